"""What an engine file was built from and for: a file serves only where every part of its key is the same."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpu.errors import ModelError
from gpu.wan.bindings import Binding

_PIECE = 1 << 22  # bytes read at a time


@dataclass(frozen=True, slots=True)
class EngineKey:
    """All that decides whether a built file may be used. Equal keys, equal files."""

    graph: str  # graph_digest() of the ONNX file with its weights
    library: str  # "tensorrt", "tensorrt-rtx"
    version: str  # the library's, all of it: "11.4.0.106"
    architecture: str  # "sm90"; "cpu" where no GPU takes part
    driver: int = 0  # major release of the GPU's driver, 580; 0: none takes part
    shapes: tuple[str, ...] = ()  # shapes_of() the pass
    flags: tuple[str, ...] = ()  # everything else the builder was told, one word each: "fp8", "level=3"

    @property
    def digest(self) -> str:
        """One name for the key, 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def stem(self) -> str:
        """A file name for people that no other key has."""
        words = f"{self.library}-{self.version}-{self.architecture}"
        return f"{re.sub(r'[^A-Za-z0-9.-]+', '_', words).strip('.')}-{self.digest[:32]}"

    def to_json(self) -> dict[str, Any]:
        """The key as a sidecar holds it: what json.loads would give back."""
        answer: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return answer


def shapes_of(tensors: tuple[Binding, ...]) -> tuple[str, ...]:
    """The shapes of a pass as a key holds them."""
    return tuple(f"{tensor.name}:{'x'.join(map(str, tensor.shape))}" for tensor in tensors)


def file_digest(path: Path) -> str:
    """sha256 of a file of any size, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def graph_digest(path: Path) -> str:
    """sha256 of an ONNX graph and of every file its weights lie in. Needs the package `onnx`.

    Raises ModelError where one of them is missing or the graph cannot be read."""
    parts = [path, *(path.parent / name for name in weights_files(path))]
    try:
        return hashlib.sha256("".join(file_digest(part) for part in parts).encode()).hexdigest()
    except OSError as exc:
        raise ModelError(f"{path} cannot be read as a graph ({exc}): export it again") from exc


def weights_files(path: Path) -> tuple[str, ...]:
    """Names of the files beside an ONNX graph that its weights lie in. Needs the package `onnx`.

    Raises ModelError where the graph is missing or cannot be read."""
    import onnx

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as exc:  # protobuf's own errors too, whose classes depend on how it was built
        raise ModelError(f"{path} cannot be read as a graph ({exc}): export it again") from exc
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data)
    return tuple(sorted({entry.value for entry in entries if entry.key == "location"}))


def driver_major() -> int:
    """Major release of this machine's NVIDIA driver, as its kernel module tells it; 0: none is loaded."""
    path = Path("/proc/driver/nvidia/version")
    text = path.read_text(errors="replace") if path.is_file() else ""
    match = re.search(r"\b(\d{3,4})\.\d+(?:\.\d+)?\b", text)
    return int(match[1]) if match else 0
