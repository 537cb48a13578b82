"""What is given back to the driver exactly once: when closed, when collected, or when its device closes."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import TYPE_CHECKING

import numpy as np

from gpu.errors import DeviceError

if TYPE_CHECKING:
    from gpu.cuda.driver import Device


class Resource:
    """A handle of the driver's. Any thread may close it, at any time, also the garbage collector."""

    device: Device
    handle: int = 0  # 0 once closed
    freeing_waits = False  # whether the driver waits for all work of the GPU before it gives this back

    def __init__(self, device: Device, handle: int) -> None:
        self.device, self.handle = device, handle
        device.owns(self)

    @property
    def live(self) -> int:
        """The handle. Raises DeviceError once closed: a handle of 0 would be the legacy stream, or crash."""
        if not self.handle:
            raise DeviceError(f"this {type(self).__name__.lower()} is closed: make another on an open device")
        return self.handle

    def close(self) -> None:
        """Give it back. Idempotent; a device that is lost meanwhile is no error here."""
        with self.device.lock:
            handle, self.handle = self.handle, 0
        if not handle:
            return
        self.device.disown(self)
        if not self.device.context:
            return  # collected before this, in one cycle: the context went with all that was in it
        if self.freeing_waits and self.device.hangs():
            return  # never given back; the end of the process does it
        with contextlib.suppress(DeviceError), self.device.current():
            self._release(handle)

    def abandon(self) -> None:
        """Forget the handle without giving it back: its device does not answer."""
        self.handle = 0

    def _release(self, handle: int) -> None:
        raise NotImplementedError

    def __del__(self) -> None:
        if getattr(self, "handle", 0) and not sys.is_finalizing():
            self.close()


class Memory(Resource):
    """Device memory, uninitialised. Freeing waits for the device: allocate once a stream, not a frame."""

    freeing_waits = True

    def __init__(self, device: Device, nbytes: int) -> None:
        """Raises ValueError for less than one byte, CudaError when the GPU's memory is full."""
        if nbytes < 1:
            raise ValueError(f"cannot allocate {nbytes} bytes: at least one")
        address = ctypes.c_uint64()
        device.call("cuMemAlloc_v2", ctypes.byref(address), nbytes)
        self.nbytes = nbytes
        super().__init__(device, address.value)

    @property
    def ptr(self) -> int:
        """CUdeviceptr; 0 once closed."""
        return self.handle

    def _release(self, handle: int) -> None:
        self.device.call("cuMemFree_v2", handle)


class HostMemory(Resource):
    """Page-locked host memory; NumPy arrays made of it (`np.asarray`) keep it alive."""

    freeing_waits = True

    def __init__(self, device: Device, nbytes: int) -> None:
        address = ctypes.c_void_p()
        device.call("cuMemHostAlloc", ctypes.byref(address), nbytes, 1)  # portable: for every context
        self.nbytes = nbytes
        super().__init__(device, address.value or 0)

    @property
    def __array_interface__(self) -> dict[str, object]:
        return {"shape": (self.nbytes,), "typestr": "|u1", "data": (self.handle, False), "version": 3}

    def _release(self, handle: int) -> None:
        self.device.call("cuMemFreeHost", handle)


class Pinned:
    """A NumPy array in page-locked memory, uninitialised: what the GPU copies to and from without the CPU.

    The memory is freed when the last array that looks at it is gone, or at once by `close`.
    """

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
        """Raises CudaError when the system has no memory to lock."""
        count = int(np.prod(shape, dtype=np.int64))
        if count < 1:
            raise ValueError(f"cannot allocate an array of shape {shape}: every side must be at least 1")
        self.device = device
        self._memory = HostMemory(device, count * dtype.itemsize)
        self.array = np.asarray(self._memory).view(dtype).reshape(shape)

    @property
    def ptr(self) -> int:
        """Host address of the first element."""
        return self._memory.handle

    @property
    def nbytes(self) -> int:
        return self._memory.nbytes

    def close(self) -> None:
        """Free the memory now; no array that looks at it may be touched afterwards. Idempotent."""
        self.array = np.empty(0, self.array.dtype)
        self._memory.close()
