"""The safetensors format: a length, a JSON header that places every tensor, then their bytes.

The header is checked before the library opens the file, so that a file cut short names what it lost.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gpu.checkpoints.fault import first_few, size_text, tame, unusable
from gpu.checkpoints.needs import need

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit


def read_safetensors(path: Path, model: str) -> dict[str, Any]:
    """Names to tensors, mapped from the file. Raises ModelError."""
    check_header(path, model)
    safetensors = need("safetensors")
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except OSError:
        raise
    except Exception as exc:  # SafetensorError, or torch's own for a type it lacks
        raise unusable(path, f"is damaged ({tame(str(exc))})", model) from exc


def check_header(path: Path, model: str) -> None:
    """The header is whole, every tensor within the file. Needs no library. Raises ModelError, OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, _MAX_HEADER_BYTES):
            why = f"is cut short or damaged: {size_text(size)} are there, its header alone takes {length}"
            raise unusable(path, why, model)
        header = file.read(length)
    try:
        entries = json.loads(header)
        ends = {
            str(name): int(entry["data_offsets"][1])
            for name, entry in entries.items()
            if name != "__metadata__"
        }
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
        OverflowError,
    ) as exc:
        raise unusable(path, "is damaged: its header is not what the format asks for", model) from exc
    there = size - 8 - length
    lost = [name for name, end in sorted(ends.items(), key=lambda item: item[1]) if end > there]
    if lost:
        promised = size_text(max(ends.values()) + 8 + length)
        why = f"is cut short: {size_text(size)} of {promised} are there. Lost: {first_few(lost)}"
        raise unusable(path, why, model)
