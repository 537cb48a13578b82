"""N-dimensional views of device memory. Knows addresses, shapes and strides, no kernels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpu.errors import DeviceError

if TYPE_CHECKING:
    from gpu.cuda.driver import Device
    from gpu.cuda.stream import Stream

Index = int | slice
Rows = tuple[int, int, int, int]  # (offset, pitch, width, height): rows of `width` bytes, `pitch` bytes apart


class DeviceArray:
    """An array in device memory: address, shape, dtype and strides in bytes; `base` keeps the memory alive.

    CuPy, torch and TensorRT see it without a copy through `__cuda_array_interface__` (version 3); order with
    them is the caller's: events, or `Stream.synchronize`. bfloat16 is carried as uint16.
    """

    __slots__ = ("__weakref__", "base", "device", "dtype", "ptr", "shape", "strides")

    def __init__(
        self,
        device: Device,
        ptr: int,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        strides: tuple[int, ...] | None = None,
        base: object = None,
    ) -> None:
        self.device, self.ptr, self.shape, self.dtype = device, ptr, shape, np.dtype(dtype)
        self.strides = strides if strides is not None else c_strides(shape, self.dtype.itemsize)
        self.base = base
        if len(self.strides) != len(shape) or any(stride < 0 for stride in self.strides):
            raise ValueError(f"strides {self.strides} do not fit shape {shape}: one a side, none negative")

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, gaps between rows not counted."""
        return self.size * self.dtype.itemsize

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie without gaps in C order."""
        return self.size < 2 or all(
            side == 1 or stride == dense
            for side, stride, dense in zip(
                self.shape, self.strides, c_strides(self.shape, self.dtype.itemsize), strict=True
            )
        )

    def __repr__(self) -> str:
        return f"DeviceArray({self.dtype}{list(self.shape)}, strides={self.strides}, ptr={self.ptr:#x})"

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without sides has no length")
        return self.shape[0]

    def __getitem__(self, index: Index | tuple[Index, ...]) -> DeviceArray:
        """A view of the same memory: whole numbers and slices with a positive step.

        Raises IndexError out of range or for too many indices, TypeError for anything else."""
        parts = index if isinstance(index, tuple) else (index,)
        if len(parts) > self.ndim:
            raise IndexError(f"{len(parts)} indices for an array of {self.ndim} sides")
        offset, shape, strides = 0, [], []
        for part, side, stride in zip(parts, self.shape, self.strides, strict=False):
            if isinstance(part, slice):
                start, stop, step = part.indices(side)
                if step < 1:
                    raise IndexError(f"step {step}: device arrays are cut with positive steps only")
                offset += start * stride
                shape.append(len(range(start, stop, step)))
                strides.append(stride * step)
            elif isinstance(part, (int, np.integer)):
                if not -side <= part < side:
                    raise IndexError(f"index {part} is out of range for a side of {side}")
                offset += (int(part) % side) * stride
            else:
                raise TypeError(f"device arrays are cut by numbers and slices, not by {type(part).__name__}")
        shape += self.shape[len(parts) :]
        strides += self.strides[len(parts) :]
        return DeviceArray(self.device, self.ptr + offset, tuple(shape), self.dtype, tuple(strides), self)

    def reshape(self, *shape: int) -> DeviceArray:
        """A view of another shape. Raises ValueError unless it is contiguous and of the same size."""
        if not self.contiguous or math.prod(shape) != self.size:
            raise ValueError(
                f"{self!r} cannot be seen as {list(shape)}: it must be contiguous and of that size"
            )
        return DeviceArray(self.device, self.ptr, shape, self.dtype, base=self)

    def view(self, dtype: DTypeLike) -> DeviceArray:
        """The same bytes as another dtype of the same width. Raises ValueError for another width."""
        if np.dtype(dtype).itemsize != self.dtype.itemsize:
            raise ValueError(f"{self.dtype} cannot be seen as {np.dtype(dtype)}: their widths differ")
        return DeviceArray(self.device, self.ptr, self.shape, dtype, self.strides, self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.ptr if self.size else 0, False),
            "strides": None if self.contiguous else self.strides,
            "version": 3,
            "stream": None,  # no stream of ours is to be waited for: the caller orders
        }

    def cupy(self) -> Any:
        """The same memory as a cupy.ndarray, which keeps it alive. Raises DeviceError without CuPy."""
        try:
            import cupy
        except ImportError as error:
            raise DeviceError(f"CuPy cannot be imported ({error}): pip install 'relens[gpu]'") from error
        span = sum((side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True))
        memory = cupy.cuda.UnownedMemory(self.ptr, span + self.dtype.itemsize, self, self.device.index)
        pointer = cupy.cuda.MemoryPointer(memory, 0)
        return cupy.ndarray(self.shape, self.dtype, pointer, strides=self.strides)

    def upload(self, source: NDArray[Any], stream: Stream) -> None:
        """Copy a NumPy array of the same shape and dtype in and wait for it: for tests and odd jobs.

        Raises ValueError when shape or dtype differ."""
        if source.shape != self.shape or source.dtype != self.dtype:
            raise ValueError(f"cannot upload {source.dtype}{list(source.shape)} into {self!r}")
        host = np.ascontiguousarray(source)
        self._copy(stream, host, "h2d")

    def download(self, stream: Stream) -> NDArray[Any]:
        """A NumPy copy, complete when this returns: for tests and odd jobs."""
        host: NDArray[Any] = np.empty(self.shape, self.dtype)
        self._copy(stream, host, "d2h")
        return host

    def _copy(self, stream: Stream, host: NDArray[Any], kind: str) -> None:
        here = host.ctypes.data
        for offset, pitch, width, height in self._rows():
            there = self.ptr + offset
            if kind == "h2d":
                stream.copy2d(there, pitch, here, width, width, height, "h2d")
            else:
                stream.copy2d(here, width, there, pitch, width, height, "d2h")
            here += width * height
        stream.synchronize()

    def _rows(self) -> Iterator[Rows]:
        """The array in C order as few as possible blocks of evenly spaced rows."""
        if not self.size:
            return
        width, sides = self.dtype.itemsize, list(zip(self.shape, self.strides, strict=True))
        while sides and (sides[-1][0] == 1 or sides[-1][1] == width):
            width *= sides.pop()[0]
        height, pitch = sides.pop() if sides else (1, width)
        if pitch < width:
            raise ValueError(f"{self!r} overlaps itself: copy it by a kernel")
        for place in itertools.product(*(range(side) for side, _ in sides)):
            yield sum(i * stride for i, (_, stride) in zip(place, sides, strict=True)), pitch, width, height


def c_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Strides in bytes of a C-ordered array without gaps."""
    strides = [itemsize]
    for side in reversed(shape[1:]):
        strides.append(strides[-1] * side)
    return tuple(reversed(strides)) if shape else ()
