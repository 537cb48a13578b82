"""Compiled kernels: modules loaded from an image, and their functions."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpu.cuda.resource import Resource

if TYPE_CHECKING:
    from gpu.cuda.driver import Device
    from gpu.cuda.stream import Stream


class Module(Resource):
    """A loaded cubin, fatbin or PTX. Lives as long as one of its functions or graphs does."""

    freeing_waits = True

    def __init__(self, device: Device, image: bytes) -> None:
        """Raises CudaError when the image has no code for this GPU, or the driver is too old for it."""
        module = ctypes.c_void_p()
        device.call("cuModuleLoadData", ctypes.byref(module), image)
        super().__init__(device, module.value or 0)

    def function(self, name: str) -> Function:
        """A kernel by its name in the image (`extern "C"`). Raises CudaError where there is none."""
        function = ctypes.c_void_p()
        self.device.call("cuModuleGetFunction", ctypes.byref(function), self.live, name.encode())
        return Function(self, name, function.value or 0)

    def _release(self, handle: int) -> None:
        self.device.call("cuModuleUnload", handle)


class Function:
    """A kernel."""

    __slots__ = ("handle", "module", "name")

    def __init__(self, module: Module, name: str, handle: int) -> None:
        self.module, self.name, self.handle = module, name, handle

    def launch(
        self,
        stream: Stream,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        args: Sequence[Any],
        shared_bytes: int = 0,
    ) -> None:
        """Run it on `grid` blocks of `block` threads. `args`: ctypes simple values in the kernel's order,
        copied before this returns. Raises CudaError for a grid or block the GPU does not take, DeviceLost."""
        _ = self.module.live  # raises once it is closed
        # One null beyond the last: the driver knows how many a kernel takes, a stand-in can count them.
        pointers = (ctypes.c_void_p * (len(args) + 1))(*(ctypes.addressof(arg) for arg in args))
        self.module.device.call(
            "cuLaunchKernel", self.handle, *grid, *block, shared_bytes, stream.live, pointers, None
        )
        if stream.capturing is not None:
            stream.capturing.keep.append(self.module)
