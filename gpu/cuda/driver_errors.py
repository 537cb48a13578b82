"""What a refused call of the driver means, and what to do about it.

CudaError             any call that failed
├── DeviceLost        the context is dead: every further call of this process fails
└── (others)          the call alone failed
DeviceTimeout         work did not finish in time
"""

from __future__ import annotations

from gpu.errors import DeviceError

NOT_READY = 600
NO_DEVICE = 100

# cuda.h, CUresult: the comments there say "this leaves the process in an inconsistent state and any further
# CUDA work will return the same error"; to these come the codes of a device or context that is gone.
LOST_CODES = frozenset((
    4,  # deinitialized
    46,  # device unavailable
    214, 220, 226,  # ECC, NVLink, contained memory error
    700, 702, 709, 710,  # illegal address, launch timeout, context destroyed, assert
    714, 715, 716, 717, 718, 719, 721,  # hardware stack .. launch failed, tensor memory leak
    810,  # MPS client terminated
    999,  # unknown
))  # fmt: skip

_RESTART = "restart the server; if it comes again, look for Xid errors in the kernel's log (dmesg)"
_UPDATE = "update NVIDIA's driver, its version must be as new as the CUDA version this was built with"
_REMEDIES = {
    2: "let fewer streams in (max_sessions), take a smaller model or end others on this GPU (nvidia-smi)",
    3: "call it after the process has forked, not before: a child cannot use its parent's driver",
    34: "this is the toolkit's stub of libcuda: take the toolkit's lib/stubs out of LD_LIBRARY_PATH",
    36: _UPDATE,
    46: "another process holds the GPU in exclusive mode: end it, or run nvidia-smi -c DEFAULT",
    100: "no GPU is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES; start a container with --gpus all",
    101: "choose a GPU that exists (nvidia-smi -L), or widen CUDA_VISIBLE_DEVICES",
    200: _UPDATE,
    209: "this GPU is older than the kernels were built for (SM 7.5): use another, or run on the CPU",
    214: "memory of the GPU is faulty: run nvidia-smi -q -d ECC, reset it (nvidia-smi -r) or replace it",
    218: _UPDATE,
    222: _UPDATE,
    701: "the kernel needs more registers or threads than this GPU has: report it with the GPU's name",
    802: "the fabric manager of this NVSwitch machine is not running: start nvidia-fabricmanager",
    803: "driver and its libraries are of different versions: reboot, or restart the container",
    804: "the CUDA compatibility libraries do not serve this GPU: take them out of LD_LIBRARY_PATH",
}  # fmt: skip


class CudaError(DeviceError):
    """A call of the driver failed. `code` is the CUresult, `name` its name, `call` what was called."""

    def __init__(self, call: str, code: int, name: str) -> None:
        self.call, self.code, self.name = call, code, name
        super().__init__(f"{call}: {name} ({code}): {remedy_of(code)}")


class DeviceLost(CudaError):
    """The GPU's context is dead. What is open on this device is void; every stream on it must end."""


class DeviceTimeout(DeviceError):
    """Work on the GPU did not finish in the time given."""


def remedy_of(code: int) -> str:
    """What to do about a CUresult."""
    known = _REMEDIES.get(code)
    if code in LOST_CODES:
        return f"the GPU is lost to this process: {known or _RESTART}"
    return known or "report it with the driver's version: this call should not have failed"


def error_of(call: str, code: int, name: str) -> CudaError:
    """The exception for a CUresult other than 0."""
    return (DeviceLost if code in LOST_CODES else CudaError)(call, code, name)
