"""What an exported graph was made from, kept beside it: a graph that is there need not be traced again.

Like an engine file, a graph is used only where everything is the same: what was asked for, the code that
traced it, the libraries, and the file itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from gpu.wan.engines.key import file_digest

_CODE = (  # modules whose change may change a graph
    *("attention", "bindings", "block", "condition", "config", "export", "exported", "network", "rewrite"),
    *("rope", "weights"),
)
_LIBRARIES = ("torch", "onnx", "onnx-ir", "onnxscript")


@dataclass(frozen=True, slots=True)
class Exported:
    """A graph's weights: their types by name, which are transposed, and the name of the file they lie in."""

    dtypes: dict[str, torch.dtype]
    transposed: list[str]
    weights: str


def made_by(asked: str) -> str:
    """A digest of what is asked for and of all that makes a graph from it.

    Raises PackageNotFoundError, an ImportError, where a library is not installed."""
    digest = hashlib.sha256(asked.encode())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}".encode())
    for name in _CODE:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()


def find(graph: Path, by: str) -> Exported | None:
    """What is known of the graph, if it is whole and was made by the same."""
    try:
        about = json.loads(graph.with_suffix(".json").read_text())
        if about["made_by"] != by or about["sha256"] != file_digest(graph):
            return None
        dtypes = {name: getattr(torch, kind) for name, kind in about["dtypes"].items()}
        return Exported(dtypes, list(about["transposed"]), about["weights"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def note(graph: Path, by: str, exported: Exported) -> None:
    """Write down what the graph was made from. Raises OSError."""
    about = {
        "made_by": by,
        "sha256": file_digest(graph),
        "weights": exported.weights,
        "transposed": sorted(exported.transposed),
        "dtypes": {name: str(dtype).removeprefix("torch.") for name, dtype in exported.dtypes.items()},
    }
    part = graph.with_suffix(".json.part")
    part.write_text(json.dumps(about, indent=1))
    part.replace(graph.with_suffix(".json"))
