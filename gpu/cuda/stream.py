"""Order on the GPU: streams, events, and work captured once and launched as one graph."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from gpu.cuda.arrays import DeviceArray
from gpu.cuda.driver_api import DEVICE, HOST, Copy2D
from gpu.cuda.driver_errors import DeviceTimeout
from gpu.cuda.resource import Memory, Pinned, Resource
from gpu.errors import DeviceError

if TYPE_CHECKING:
    from gpu.cuda.driver import Device

Kind = Literal["d2d", "d2h", "h2d"]
Place = DeviceArray | Memory | Pinned

TIMEOUT_S = 5.0
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the legacy stream 0
_DISABLE_TIMING = 2  # CU_EVENT_DISABLE_TIMING
_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED: the collector may free memory in any thread while one captures
_COPIES = {"d2d": "cuMemcpyDtoDAsync_v2", "d2h": "cuMemcpyDtoHAsync_v2", "h2d": "cuMemcpyHtoDAsync_v2"}
_SPINS = 50  # polls before the first sleep; about 50 us
_FIRST_SLEEP_S, _LONGEST_SLEEP_S = 20e-6, 1e-3


class Event(Resource):
    """A point in a stream's work, or done when never recorded."""

    def __init__(self, device: Device, timing: bool = False) -> None:
        event = ctypes.c_void_p()
        device.call("cuEventCreate", ctypes.byref(event), 0 if timing else _DISABLE_TIMING)
        super().__init__(device, event.value or 0)

    def query(self) -> bool:
        """Whether the work before it is done. Raises DeviceLost when it never will be."""
        return self.device.ready("cuEventQuery", self.live)

    def synchronize(self, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until the work before it is done. Raises DeviceTimeout, DeviceLost."""
        _wait(self, timeout_s)

    def elapsed_ms(self, since: Event) -> float:
        """GPU time since `since`; both made with `timing`, recorded, and done. Raises CudaError otherwise."""
        elapsed = ctypes.c_float()
        self.device.call("cuEventElapsedTime", ctypes.byref(elapsed), since.live, self.live)
        return elapsed.value

    def _release(self, handle: int) -> None:
        self.device.call("cuEventDestroy_v2", handle)


class Stream(Resource):
    """A queue of work on the GPU, done in order. One thread at a time hands work in."""

    def __init__(self, device: Device, priority: int = 0) -> None:
        """`priority`: smaller is served first; the driver clamps it to what the GPU has."""
        stream = ctypes.c_void_p()
        device.call("cuStreamCreateWithPriority", ctypes.byref(stream), _NON_BLOCKING, priority)
        self.capturing: Capture | None = None
        super().__init__(device, stream.value or 0)

    def record(self, event: Event) -> None:
        """`event` is done when all work handed in so far is."""
        self.device.call("cuEventRecord", event.live, self.live)

    def wait(self, event: Event | None) -> None:
        """Work handed in from here on waits, on the GPU, for `event`; None: for nothing."""
        if event is not None:
            self.device.call("cuStreamWaitEvent", self.live, event.live, 0)

    def query(self) -> bool:
        """Whether all work is done. Raises DeviceLost when it never will be."""
        return self.device.ready("cuStreamQuery", self.live)

    def synchronize(self, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until all work handed in is done. Raises DeviceTimeout, DeviceLost."""
        _wait(self, timeout_s)

    def copy(self, dst: Place, src: Place, nbytes: int | None = None) -> None:
        """Copy `nbytes` (default: all of `src`) between contiguous memory; both must live until it is done.

        Raises ValueError for strided arrays, two places on the host, or more bytes than either has."""
        nbytes = src.nbytes if nbytes is None else nbytes
        for place in (dst, src):
            if isinstance(place, DeviceArray) and not place.contiguous:
                raise ValueError(f"{place!r} has gaps: copy it by copy2d")
            if not 0 <= nbytes <= place.nbytes:
                raise ValueError(f"cannot copy {nbytes} bytes: {place!r} has {place.nbytes}")
        kind = _kind(dst, src)
        self.device.call(_COPIES[kind], dst.ptr, src.ptr, nbytes, self.live)
        self._count(kind, nbytes)

    def copy2d(
        self, dst_ptr: int, dst_pitch: int, src_ptr: int, src_pitch: int, width_bytes: int, height: int,
        kind: Kind = "d2d",
    ) -> None:  # fmt: skip
        """Copy `height` rows of `width_bytes`, `*_pitch` bytes apart; host memory that is not page-locked
        makes the call wait. Raises CudaError where a pitch is smaller than the width."""
        to, from_ = (HOST if kind == "d2h" else DEVICE), (HOST if kind == "h2d" else DEVICE)
        job = Copy2D(
            srcMemoryType=from_, srcHost=src_ptr if from_ == HOST else None, srcPitch=src_pitch,
            srcDevice=src_ptr if from_ == DEVICE else 0, dstMemoryType=to, dstPitch=dst_pitch,
            dstHost=dst_ptr if to == HOST else None, dstDevice=dst_ptr if to == DEVICE else 0,
            WidthInBytes=width_bytes, Height=height,
        )  # fmt: skip
        self.device.call("cuMemcpy2DAsync_v2", ctypes.byref(job), self.live)
        self._count(kind, width_bytes * height)

    def fill(self, place: DeviceArray | Memory, byte: int) -> None:
        """Set every byte of contiguous device memory. Raises ValueError for strided arrays."""
        if isinstance(place, DeviceArray) and not place.contiguous:
            raise ValueError(f"{place!r} has gaps: fill it by a kernel")
        self.device.call("cuMemsetD8Async", place.ptr, byte, place.nbytes, self.live)

    @contextmanager
    def capture(self) -> Iterator[Capture]:
        """Work handed in inside is not done but recorded; afterwards `capture.graph` launches it as one.

        Raises CudaError when something inside cannot be captured (a wait of the host's, an allocation)."""
        capture = Capture()
        self.device.call("cuStreamBeginCapture_v2", self.live, _RELAXED)
        self.capturing = capture
        recorded = ctypes.c_void_p()
        try:
            yield capture
        except BaseException:
            with contextlib.suppress(DeviceError):  # what went wrong inside is the cause, not this
                self.device.ask("cuStreamEndCapture", self.live, ctypes.byref(recorded))
                if recorded.value:
                    self.device.ask("cuGraphDestroy", recorded)
            raise
        finally:
            self.capturing = None
        self.device.call("cuStreamEndCapture", self.live, ctypes.byref(recorded))
        capture.made = Graph(self.device, recorded, capture)

    def __cuda_stream__(self) -> tuple[int, int]:
        """(protocol version, CUstream), as cupy.cuda.Stream.from_external takes it."""
        return (0, self.live)

    def _count(self, kind: Kind, nbytes: int) -> None:
        if self.capturing is not None:
            self.capturing.bytes[kind] += nbytes
        else:
            self.device.count(kind, nbytes)

    def _release(self, handle: int) -> None:
        self.device.call("cuStreamDestroy_v2", handle)


class Capture:
    """What a stream records. `graph` is there once the `with` block is left."""

    def __init__(self) -> None:
        self.bytes: dict[Kind, int] = {"d2d": 0, "d2h": 0, "h2d": 0}
        self.keep: list[object] = []  # modules whose kernels are in it
        self.made: Graph | None = None

    @property
    def graph(self) -> Graph:
        """Raises RuntimeError while the capture runs, or when it failed."""
        if self.made is None:
            raise RuntimeError("the capture is not complete: leave its `with` block first")
        return self.made


class Graph(Resource):
    """Work captured once. Memory its kernels were given must outlive it, at the same addresses."""

    def __init__(self, device: Device, recorded: ctypes.c_void_p, capture: Capture) -> None:
        executable = ctypes.c_void_p()
        try:
            device.call("cuGraphInstantiateWithFlags", ctypes.byref(executable), recorded, 0)
        finally:
            device.ask("cuGraphDestroy", recorded)
        self._keep, self._bytes = tuple(capture.keep), dict(capture.bytes)
        super().__init__(device, executable.value or 0)

    def launch(self, stream: Stream) -> None:
        """Hand all of it in at once. Raises DeviceLost, CudaError."""
        self.device.call("cuGraphLaunch", self.live, stream.live)
        for kind, nbytes in self._bytes.items():
            if nbytes:
                self.device.count(kind, nbytes)

    def _release(self, handle: int) -> None:
        self.device.call("cuGraphExecDestroy", handle)


def _kind(dst: Place, src: Place) -> Kind:
    if isinstance(src, Pinned):
        if isinstance(dst, Pinned):
            raise ValueError("both places are on the host: copy them by NumPy")
        return "h2d"
    return "d2h" if isinstance(dst, Pinned) else "d2d"


def _wait(work: Event | Stream, timeout_s: float) -> None:
    """Poll with longer and longer pauses: the driver's own wait has no timeout."""
    deadline = time.monotonic() + timeout_s
    for _ in range(_SPINS):
        if work.query():
            return
    pause_s = _FIRST_SLEEP_S
    while not work.query():
        if time.monotonic() >= deadline:
            work.device.waited_in_vain()
            raise DeviceTimeout(
                f"a CUDA {type(work).__name__.lower()} was not done after {timeout_s:g} s: the GPU hangs "
                f"or is overloaded; see nvidia-smi, and the kernel's log (dmesg) for Xid errors"
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_SLEEP_S)
