"""A bounded ring of pictures in memory that two processes share. Knows sizes, not what is in them."""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np

from gpu.types import U8, Frame

_MOST_BYTES = 64 << 20
_MOST_SLOTS = 8
_LEAST_SLOTS = 2


def slots_of(width: int, height: int) -> int:
    """How many pictures the ring of a film has."""
    return max(_LEAST_SLOTS, min(_MOST_SLOTS, _MOST_BYTES // (width * height * 3 // 2)))


def make_memory() -> int:
    """A descriptor of empty shared memory; the caller's to close."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("relens-film", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    import tempfile  # large

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def size_memory(fd: int, width: int, height: int) -> None:
    """Room for the ring of a film of this size, once and for all: the other side cannot take it away, which
    would end whoever reads there with SIGBUS."""
    os.ftruncate(fd, slots_of(width, height) * (width * height * 3 // 2))
    if hasattr(fcntl, "F_ADD_SEALS"):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)


class Ring:
    """The mapped slots; each holds one picture, planes one behind the other."""

    def __init__(self, fd: int, width: int, height: int) -> None:
        self.slots = slots_of(width, height)
        self._width, self._height = width, height
        self._bytes = width * height * 3 // 2
        self._map = mmap.mmap(fd, self.slots * self._bytes)
        self._all: U8 | None = np.frombuffer(self._map, np.uint8).reshape(self.slots, self._bytes)

    def planes(self, slot: int) -> tuple[U8, U8, U8]:
        """y [H, W], u and v [H/2, W/2] of a slot, to write to. Not to be kept beyond `close`."""
        assert self._all is not None
        return _split(self._all[slot], self._width, self._height)

    def frame(self, slot: int, pts: int) -> Frame:
        """A copy of a slot."""
        assert self._all is not None
        y, u, v = _split(self._all[slot].copy(), self._width, self._height)
        return Frame(y, u, v, pts)

    def close(self) -> None:
        self._all = None
        self._map.close()


def _split(data: U8, width: int, height: int) -> tuple[U8, U8, U8]:
    luma, chroma = width * height, width * height // 4
    return (
        data[:luma].reshape(height, width),
        data[luma : luma + chroma].reshape(height // 2, width // 2),
        data[luma + chroma :].reshape(height // 2, width // 2),
    )
