"""The weights of exported graphs: one file for all the graphs of a network, written tensor by tensor.

Its name holds a digest of what is in it, so that a file that is there need not be written again. Tensors
begin at whole pages: what maps the file into memory uses them where they lie.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a tensor lies in the file. Offset and length in bytes."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of weights, and what lies where in it."""

    path: Path
    stored: Mapping[str, Stored]


def write_weights(
    parameters: Mapping[str, Tensor],
    dtypes: Mapping[str, torch.dtype],
    transposed: Collection[str],
    folder: Path,
) -> WeightsFile:
    """Write the parameters named in `dtypes`, in these types, those in `transposed` with rows and columns
    exchanged. One tensor at a time is held beside `parameters`. Raises OSError when the disk is full."""
    stored: dict[str, Stored] = {}
    digest, end = hashlib.sha256(), 0
    for name, tensor in _laid_out(parameters, dtypes, transposed):
        offset = -(-end // _PAGE) * _PAGE
        end = offset + tensor.nbytes
        stored[name] = Stored(tuple(tensor.shape), tensor.dtype, offset, tensor.nbytes)
        digest.update(f"{name} {stored[name]}".encode())
        digest.update(_bytes(tensor))
    path = folder / f"weights-{digest.hexdigest()[:32]}.data"
    if not path.is_file():
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                for name, tensor in _laid_out(parameters, dtypes, transposed):
                    file.seek(stored[name].offset)
                    file.write(_bytes(tensor))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return WeightsFile(path, stored)


def _laid_out(
    parameters: Mapping[str, Tensor], dtypes: Mapping[str, torch.dtype], transposed: Collection[str]
) -> Iterator[tuple[str, Tensor]]:
    for name in sorted(dtypes):
        tensor = parameters[name].detach().to("cpu", dtypes[name])
        yield name, (tensor.t() if name in transposed else tensor).contiguous()


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a tensor. (NumPy has no bfloat16.)"""
    return memoryview(tensor.flatten().view(torch.uint8).numpy())
