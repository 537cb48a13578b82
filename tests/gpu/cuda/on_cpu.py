"""The typed launchers over NumPy memory: the kernels of the shim, run at once, without any driver."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.cuda.arrays import DeviceArray
from gpu.cuda.kernels import BINDING_BYTES, Kernels
from gpu.cuda.planes import Planes

PADDING = 0xA5  # what gaps between rows are filled with: no kernel may touch them


class CpuFunction:
    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        self._launch, self._name = library.relens_cpu_launch, name.encode()

    def launch(
        self, stream: Any, grid: tuple[int, int, int], block: tuple[int, int, int], args: Sequence[Any]
    ) -> None:
        pointers = (ctypes.c_void_p * len(args))(*(ctypes.addressof(arg) for arg in args))
        code = self._launch(self._name, *grid, *block, pointers)
        assert code == 0, f"{self._name!r}: {code}"


class CpuModule:
    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))

    def function(self, name: str) -> CpuFunction:
        return CpuFunction(self._library, name)


class CpuStream:
    """Does at once what it is handed."""

    def copy2d(self, to: int, to_pitch: int, from_: int, from_pitch: int, width: int, height: int) -> None:
        for row in range(height):
            ctypes.memmove(to + row * to_pitch, from_ + row * from_pitch, width)


STREAM: Any = CpuStream()


def kernels(library: Path) -> Kernels:
    return Kernels(CpuModule(library))


def device(array: NDArray[Any]) -> DeviceArray:
    """A NumPy array as the launchers see memory of a GPU."""
    none: Any = None
    return DeviceArray(none, array.ctypes.data, array.shape, array.dtype, array.strides, array)


def padded(shape: tuple[int, ...], dtype: Any = np.uint8, gap: int = 0) -> NDArray[Any]:
    """An array whose rows (the first side's) lie `gap` bytes apart, filled with PADDING. Its base ends with
    the last row's samples: nothing beyond may be touched."""
    kind = np.dtype(dtype)
    row = int(np.prod(shape[1:])) * kind.itemsize
    memory = np.full(shape[0] * (row + gap) - gap, PADDING, np.uint8)
    inner = np.empty(shape[1:], kind).strides
    return np.ndarray(shape, kind, memory, 0, (row + gap, *inner))


def gaps_untouched(array: NDArray[Any]) -> bool:
    """Whether everything between the rows of a padded array still is PADDING."""
    memory = array.base
    assert isinstance(memory, np.ndarray)
    row, pitch = int(np.prod(array.shape[1:])) * array.dtype.itemsize, array.strides[0]
    return all(
        bool((memory[start + row : start + pitch] == PADDING).all()) for start in range(0, memory.size, pitch)
    )


def nv12(luma: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> Planes:
    return Planes(device(luma), device(chroma))


def binding() -> NDArray[np.uint64]:
    return np.zeros(BINDING_BYTES // 8, np.uint64)  # aligned to 8


def bound(array: NDArray[np.uint64]) -> DeviceArray:
    return device(array.view(np.uint8))
