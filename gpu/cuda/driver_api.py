"""The binding to libcuda: the functions relens calls, by their versioned symbols, and the check of results.

Knows no objects; driver.py and its neighbours make those. Signatures after cuda.h of CUDA 13.0. The versioned
symbols are the ABI: without the header's macros the plain names are those of CUDA 3.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import POINTER, c_char_p, c_float, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from typing import Any

from gpu.cuda.driver_errors import error_of
from gpu.cuda.libraries import open_library
from gpu.errors import DeviceError

HOST, DEVICE = 1, 2  # CU_MEMORYTYPE_*


class Copy2D(ctypes.Structure):
    """CUDA_MEMCPY2D_v2."""

    _fields_ = [
        ("srcXInBytes", c_size_t), ("srcY", c_size_t), ("srcMemoryType", c_int), ("srcHost", c_void_p),
        ("srcDevice", c_uint64), ("srcArray", c_void_p), ("srcPitch", c_size_t),
        ("dstXInBytes", c_size_t), ("dstY", c_size_t), ("dstMemoryType", c_int), ("dstHost", c_void_p),
        ("dstDevice", c_uint64), ("dstArray", c_void_p), ("dstPitch", c_size_t),
        ("WidthInBytes", c_size_t), ("Height", c_size_t),
    ]  # fmt: skip


_DEVICE = c_int  # CUdevice
_ADDRESS = c_uint64  # CUdeviceptr
_OUT = POINTER(c_void_p)

FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(_DEVICE), c_int),
    "cuDeviceGetName": (c_char_p, c_int, _DEVICE),
    "cuDeviceGetUuid_v2": (POINTER(c_ubyte * 16), _DEVICE),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), _DEVICE),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, _DEVICE),
    "cuDevicePrimaryCtxRetain": (_OUT, _DEVICE),
    "cuDevicePrimaryCtxRelease_v2": (_DEVICE,),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (_OUT,),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemAlloc_v2": (POINTER(_ADDRESS), c_size_t),
    "cuMemFree_v2": (_ADDRESS,),
    "cuMemHostAlloc": (_OUT, c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync_v2": (_ADDRESS, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, _ADDRESS, c_size_t, c_void_p),
    "cuMemcpyDtoDAsync_v2": (_ADDRESS, _ADDRESS, c_size_t, c_void_p),
    "cuMemcpy2DAsync_v2": (POINTER(Copy2D), c_void_p),
    "cuMemsetD8Async": (_ADDRESS, c_ubyte, c_size_t, c_void_p),
    "cuStreamCreateWithPriority": (_OUT, c_uint, c_int),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamQuery": (c_void_p,),
    "cuStreamWaitEvent": (c_void_p, c_void_p, c_uint),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamEndCapture": (c_void_p, _OUT),
    "cuEventCreate": (_OUT, c_uint),
    "cuEventDestroy_v2": (c_void_p,),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventQuery": (c_void_p,),
    "cuEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cuGraphInstantiateWithFlags": (_OUT, c_void_p, ctypes.c_ulonglong),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
    "cuModuleLoadData": (_OUT, c_char_p),
    "cuModuleUnload": (c_void_p,),
    "cuModuleGetFunction": (_OUT, c_void_p, c_char_p),
    "cuLaunchKernel": (c_void_p, *(c_uint,) * 7, c_void_p, c_void_p, c_void_p),
}


class Api:
    """libcuda with its functions bound; calls raise, `ask` returns the code."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Raises DeviceError where the driver lacks a function (before CUDA 11.4)."""
        self._functions: dict[str, Any] = {}
        for name, arguments in FUNCTIONS.items():
            try:
                function = library[name]
            except AttributeError as error:
                raise DeviceError(
                    f"the driver has no {name}: update it to one for CUDA 12 or later"
                ) from error
            function.argtypes, function.restype = arguments, c_int
            self._functions[name] = function
        self._name_of = library.cuGetErrorName
        self._name_of.argtypes, self._name_of.restype = (c_int, POINTER(c_char_p)), c_int
        self.library = library

    def __call__(self, call: str, *arguments: Any) -> None:
        """Call it; raises DeviceLost or CudaError when it does not return 0."""
        code = self._functions[call](*arguments)
        if code:
            raise error_of(call, code, self.name_of(code))

    def ask(self, call: str, *arguments: Any) -> int:
        """Call it and return its CUresult."""
        return int(self._functions[call](*arguments))

    def name_of(self, code: int) -> str:
        """The name of a CUresult in cuda.h."""
        text = c_char_p()
        if self._name_of(code, ctypes.byref(text)) or not text.value:
            return "CUDA_ERROR_UNNAMED"
        return text.value.decode()


_bound: Api | None = None
_lock = threading.Lock()


def api() -> Api:
    """The binding. Raises DeviceError with the remedy where there is no driver."""
    global _bound
    library = open_library("cuda")
    with _lock:
        if _bound is None or _bound.library is not library:
            _bound = Api(library)
        return _bound
