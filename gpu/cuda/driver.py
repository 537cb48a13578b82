"""The CUDA driver: GPUs, and the primary context of one, in which everything else is made.

Speaks to libcuda by ctypes; nothing is opened before the first call. Safe for threads: every call pushes the
context and pops it again. A process forked after the first call cannot use it. Knows no frames or codecs.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
import weakref
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from gpu.cuda.arrays import DeviceArray
from gpu.cuda.driver_api import Api, api
from gpu.cuda.driver_errors import NO_DEVICE, NOT_READY, CudaError, DeviceLost, DeviceTimeout, error_of
from gpu.cuda.module import Function, Module
from gpu.cuda.resource import Memory, Pinned, Resource
from gpu.cuda.stream import Capture, Event, Graph, Kind, Stream
from gpu.errors import DeviceError

__all__ = [
    "Capture", "CudaError", "Device", "DeviceArray", "DeviceInfo", "DeviceLost", "DeviceTimeout", "Event",
    "Function", "Graph", "Memory", "Module", "Pinned", "Stream", "Traffic", "device_count", "devices",
    "driver_version",
]  # fmt: skip

_Kind = TypeVar("_Kind", bound=Resource)
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_DRAIN_S = 2.0  # how long close() waits for work under way, each stream


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a GPU is. `free_bytes` at the time of asking; `uuid` as nvidia-smi -L prints it."""

    index: int
    name: str
    compute_capability: tuple[int, int]
    total_bytes: int
    free_bytes: int
    uuid: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes over the PCIe bus that relens itself asked for, since the device was opened."""

    host_to_device_bytes: int
    device_to_host_bytes: int


def driver_version() -> tuple[int, int]:
    """The CUDA version the driver speaks: (13, 0). Raises DeviceError without a driver."""
    version = ctypes.c_int()
    api()("cuDriverGetVersion", ctypes.byref(version))
    return version.value // 1000, version.value % 1000 // 10


def device_count() -> int:
    """How many GPUs this process may use. Raises DeviceError without a driver that starts."""
    driver = api()
    try:
        driver("cuInit", 0)
    except CudaError as error:
        if error.code == NO_DEVICE:
            return 0
        raise
    count = ctypes.c_int()
    driver("cuDeviceGetCount", ctypes.byref(count))
    return count.value


def devices() -> list[DeviceInfo]:
    """Every GPU this process may use. Makes a context on each for a moment (its free memory is told in no
    other way). Raises DeviceError as `device_count`, or where one of them cannot be opened."""
    found = []
    for index in range(device_count()):
        device = Device.open(index)
        try:
            found.append(device.info)
        finally:
            device.close()
    return found


class Device:
    """The primary context of one GPU, retained: the one that CuPy, torch and TensorRT use too."""

    def __init__(self, driver: Api, index: int) -> None:
        """Use `open`."""
        ordinal, context = ctypes.c_int(), ctypes.c_void_p()
        driver("cuDeviceGet", ctypes.byref(ordinal), index)
        driver("cuDevicePrimaryCtxRetain", ctypes.byref(context), ordinal)
        self._driver, self._ordinal = driver, ordinal.value
        self.index, self.context = index, context.value or 0
        self.lock = threading.RLock()  # re-entrant: the collector may close a resource at any moment
        # By id, not a WeakSet: that must not change while it is walked, and the collector may close one then.
        self._resources: dict[int, weakref.ref[Resource]] = {}
        self._current = _Current(driver, self.context)
        self._waited_in_vain = False
        self._bytes: dict[Kind, int] = {"d2d": 0, "d2h": 0, "h2d": 0}
        try:
            self.info = self._ask_info()
        except DeviceError:
            self.close()
            raise

    @classmethod
    def open(cls, index: int = 0) -> Device:
        """Retain the context of GPU `index`. Raises DeviceError with the remedy where there is none."""
        driver = api()
        driver("cuInit", 0)
        return cls(driver, index)

    def current(self) -> _Current:
        """`with device.current():` makes the context current on this thread, for libraries that ask for it.
        Nested use is free; every method here does it by itself."""
        return self._current

    def alloc(self, nbytes: int) -> Memory:
        """Device memory, uninitialised. Raises CudaError when it is full."""
        return Memory(self, nbytes)

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> DeviceArray:
        """A C-ordered array of its own memory, uninitialised. Raises CudaError when memory is full."""
        kind, sides = np.dtype(dtype), tuple(int(side) for side in shape)
        memory = Memory(self, math.prod(sides) * kind.itemsize)
        return DeviceArray(self, memory.ptr, sides, kind, base=memory)

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> Pinned:
        """A NumPy array in page-locked host memory. Raises CudaError when there is none to lock."""
        return Pinned(self, tuple(shape), np.dtype(dtype))

    def stream(self, priority: int = 0) -> Stream:
        """A stream that does not wait for the legacy stream; smaller `priority` is served first."""
        return Stream(self, priority)

    def event(self, timing: bool = False) -> Event:
        """An event; `timing` for `elapsed_ms`, which makes recording dearer."""
        return Event(self, timing)

    def load(self, image: bytes) -> Module:
        """Load a cubin, fatbin or PTX. Raises CudaError when it does not fit this GPU or driver."""
        return Module(self, image)

    def memory(self) -> tuple[int, int]:
        """Bytes of the GPU's memory: (free, total)."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def traffic(self) -> Traffic:
        """What was copied between host and device so far."""
        with self.lock:
            return Traffic(self._bytes["h2d"], self._bytes["d2h"])

    def close(self) -> None:
        """Give back all that was made here, then the context. Idempotent. What the GPU does not finish within
        two seconds a stream is left to the driver: taking memory from under it would hang the process."""
        with self.lock:
            if not self.context:
                return
        resources = self._alive(Resource)
        finished = True
        try:
            for stream in self._alive(Stream):
                stream.synchronize(_DRAIN_S)
        except DeviceTimeout:
            finished = False
        except DeviceError:
            pass  # lost: what follows is refused by the driver, and changes nothing
        for resource in resources:
            if finished:
                resource.close()
            else:
                resource.abandon()
        with self.lock:
            context, self.context = self.context, 0
        if context and finished:
            self._driver.ask("cuDevicePrimaryCtxRelease_v2", self._ordinal)

    def __del__(self) -> None:
        context, self.context = getattr(self, "context", 0), 0
        if context and not sys.is_finalizing():
            self._driver.ask("cuDevicePrimaryCtxRelease_v2", self._ordinal)

    # For what is made here

    def call(self, call: str, *arguments: Any) -> None:
        """A call of the driver in this context. Raises DeviceLost, CudaError; DeviceError once closed."""
        code = self.ask(call, *arguments)
        if code:
            raise error_of(call, code, self._driver.name_of(code))

    def ask(self, call: str, *arguments: Any) -> int:
        """The same, returning the CUresult. Raises DeviceError once closed, DeviceLost."""
        if not self.context:
            raise DeviceError(f"{call}: GPU {self.index} is closed: open the device anew")
        with self._current:
            return self._driver.ask(call, *arguments)

    def ready(self, call: str, handle: int) -> bool:
        """Whether a query says done. Raises DeviceLost, CudaError."""
        code = self.ask(call, handle)
        if code not in (0, NOT_READY):
            raise error_of(call, code, self._driver.name_of(code))
        return code == 0

    def hangs(self) -> bool:
        """Whether work that was waited for in vain is still not done: to free memory would wait for it too,
        without end."""
        if self._waited_in_vain:
            try:
                self._waited_in_vain = not all(stream.query() for stream in self._alive(Stream))
            except DeviceError:
                return False  # lost: nothing waits any more
        return self._waited_in_vain

    def waited_in_vain(self) -> None:
        """A wait for work of this device timed out."""
        self._waited_in_vain = True

    def _alive(self, kind: type[_Kind]) -> list[_Kind]:
        with self.lock:
            known = self._resources.copy()
        found = (reference() for reference in known.values())
        return [resource for resource in found if isinstance(resource, kind) and resource.handle]

    def owns(self, resource: Resource) -> None:
        """`resource` is closed with this device."""
        with self.lock:
            self._resources[id(resource)] = weakref.ref(resource)

    def disown(self, resource: Resource) -> None:
        """`resource` is closed already."""
        with self.lock:
            self._resources.pop(id(resource), None)

    def count(self, kind: Kind, nbytes: int) -> None:
        """A copy was handed in."""
        with self.lock:
            self._bytes[kind] += nbytes

    def _ask_info(self) -> DeviceInfo:
        name, uuid, major, minor = (
            ctypes.create_string_buffer(256),
            (ctypes.c_ubyte * 16)(),
            ctypes.c_int(),
            ctypes.c_int(),
        )
        self.call("cuDeviceGetName", name, len(name), self._ordinal)
        self.call("cuDeviceGetUuid_v2", ctypes.byref(uuid), self._ordinal)
        self.call("cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, self._ordinal)
        self.call("cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, self._ordinal)
        free, total = self.memory()
        text = bytes(uuid).hex()
        return DeviceInfo(
            index=self.index,
            name=name.value.decode(errors="replace"),
            compute_capability=(major.value, minor.value),
            total_bytes=total,
            free_bytes=free,
            uuid="GPU-" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])),
        )


class _Current:
    """A context made current on the threads that are inside; re-entrant, each thread by itself."""

    def __init__(self, driver: Api, context: int) -> None:
        self._driver, self._context = driver, context
        self._inside = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._inside, "depth", 0)
        if not depth:
            self._driver("cuCtxPushCurrent_v2", self._context)
        self._inside.depth = depth + 1

    def __exit__(self, *_: object) -> None:
        self._inside.depth -= 1
        if not self._inside.depth:
            self._driver.ask("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
