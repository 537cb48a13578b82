"""Pictures in device memory, and the bounded store of buffers they live in. Knows no codec and no kernel."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from gpu.cuda.driver import Device, DeviceArray, Event, Memory, Stream
from gpu.errors import FrameError

PITCH = 256  # bytes; every row starts on a boundary that loads of 16 B a thread and both codec engines accept


@dataclass(frozen=True, slots=True)
class DeviceFrame:
    """One picture, NV12 in device memory: BT.601 limited range unless `bt709` or `full_range`.

    luma: [H, W] uint8, rows may be padded; chroma: [H/2, W/2, 2] uint8, U then V (H, W even). Read-only by
    convention. Its samples are there once `ready` is done: a consumer's stream waits for it, on the GPU.

    The buffer goes back to its pool when the last frame and array that looks at it is collected. Who reads it
    on another stream than the one it was made on says so by `used_on`, before letting go of the frame.
    """

    luma: DeviceArray
    chroma: DeviceArray
    pts: int  # 90 kHz ticks, unwrapped
    arrived_ns: int = 0
    full_range: bool = False
    bt709: bool = False
    ready: Event | None = None
    buffer: Nv12 | None = field(default=None, repr=False)  # where it lives, if that is a pool's

    @property
    def width(self) -> int:
        return self.luma.shape[1]

    @property
    def height(self) -> int:
        return self.luma.shape[0]

    def used_on(self, stream: Stream) -> None:
        """The buffer may be written again only after the work handed to `stream` so far."""
        if self.buffer is not None:
            self.buffer.used_on(stream)


class Nv12:
    """A buffer lent by a pool until the last array that looks at it is collected."""

    __slots__ = ("_slot", "chroma", "luma")

    def __init__(self, slot: _Slot, lease: object) -> None:
        device, width, height, pitch = slot.memory.device, slot.width, slot.height, slot.pitch
        address = slot.memory.ptr
        self._slot = slot
        self.luma = DeviceArray(device, address, (height, width), "u1", (pitch, 1), lease)
        self.chroma = DeviceArray(
            device, address + pitch * height, (height // 2, width // 2, 2), "u1", (pitch, 2, 1), lease
        )

    @property
    def width(self) -> int:
        return self._slot.width

    @property
    def height(self) -> int:
        return self._slot.height

    @property
    def pitch(self) -> int:
        """Bytes from row to row, the same in both planes; chroma follows luma at once."""
        return self._slot.pitch

    @property
    def memory(self) -> Memory:
        """What it lies in, the same object whenever it is lent: by it an encoder knows a buffer again."""
        return self._slot.memory

    def frame(
        self, pts: int, arrived_ns: int = 0, full_range: bool = False, bt709: bool = False,
        stream: Stream | None = None,
    ) -> DeviceFrame:  # fmt: skip
        """The picture in it. With `stream`, the frame's `ready` is the work handed to that stream so far."""
        ready = None
        if stream is not None:
            ready = self._slot.ready
            stream.record(ready)
        return DeviceFrame(self.luma, self.chroma, pts, arrived_ns, full_range, bt709, ready, self)

    def used_on(self, stream: Stream) -> None:
        """The buffer may be written again only after the work handed to `stream` so far."""
        self._slot.used_on(stream)


class FramePool:
    """NV12 buffers of one size, made when first needed, at most `most` of them. Any thread may take."""

    def __init__(self, device: Device, width: int, height: int, most: int = 8) -> None:
        """Raises ValueError for odd sizes."""
        if width < 2 or height < 2 or width % 2 or height % 2:
            raise ValueError(f"{width}x{height} is no size for NV12: both sides must be even and at least 2")
        if most < 1:
            raise ValueError(f"a pool of {most} buffers: at least 1")
        self.width, self.height, self.most = width, height, most
        self._device = device
        # A buffer comes back when the collector drops it, at any point of any thread: so no lock there, and
        # appending is atomic.
        self._free: deque[_Slot] = deque()
        # Lent ones too: a frame that ends in a cycle (an exception's traceback) would take its memory along,
        # finalised in any order, and the lease would bring back a buffer without memory.
        self._made: dict[int, _Slot] = {}
        self._closed = self._abandoned = False
        self._lock = threading.Lock()

    @property
    def out(self) -> int:
        """How many buffers are lent."""
        return len(self._made) - len(self._free)

    def take(self, stream: Stream | None = None) -> Nv12:
        """A buffer whose content is undefined. What still reads it is waited for: by `stream`, on the GPU;
        with None, here.

        Raises FrameError when all are out or the pool is closed, CudaError when memory is full, DeviceLost.
        """
        slot = self._take()
        lease = _Lease(self, slot)  # from here on it comes back by itself, also after an error
        slot.wait_for_uses(stream)
        return Nv12(slot, lease)

    def _take(self) -> _Slot:
        with self._lock:
            if self._closed:
                raise FrameError("the pool of pictures is closed: its stream has ended")
            try:
                return self._free.popleft()  # the one that came back first: what read it is done most likely
            except IndexError:
                pass
            if len(self._made) >= self.most:
                raise FrameError(
                    f"all {self.most} buffers for pictures of {self.width}x{self.height} are in use: what "
                    f"comes after is too slow, or keeps frames it no longer needs"
                )
            slot = _Slot(self._device, self.width, self.height)
            self._made[id(slot)] = slot
            return slot

    def give_back(self, slot: _Slot) -> None:
        """For leases."""
        self._free.append(slot)
        if self._closed:
            self._drain()

    def close(self) -> None:
        """Free what is not lent now, the rest as it comes back. Idempotent."""
        self._closed = True
        self._drain()

    def abandon(self) -> None:
        """Forget all memory without freeing it: the device does not answer, and freeing would wait for it."""
        self._abandoned = True
        self.close()

    def _drain(self) -> None:
        while True:
            try:
                slot = self._free.popleft()
            except IndexError:
                return
            self._made.pop(id(slot), None)
            if self._abandoned:
                slot.abandon()
            slot.close()


class _Lease:
    """Every array of a lent buffer has it as `base`; collected with the last of them."""

    __slots__ = ("_pool", "_slot")

    def __init__(self, pool: FramePool, slot: _Slot) -> None:
        self._pool, self._slot = pool, slot

    def __del__(self) -> None:
        self._pool.give_back(self._slot)


class _Slot:
    """One buffer's memory, the event of its picture, and who read it last."""

    def __init__(self, device: Device, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pitch = -(-width // PITCH) * PITCH
        self.memory: Memory = device.alloc(self.pitch * height * 3 // 2)
        self.ready: Event = device.event()
        self._uses: dict[int, Event] = {}  # by the stream's handle: a later use there includes the earlier
        self._in_use: set[int] = set()

    def used_on(self, stream: Stream) -> None:
        event = self._uses.get(stream.handle)
        if event is None:
            event = self._uses[stream.handle] = self.memory.device.event()
        stream.record(event)
        self._in_use.add(stream.handle)

    def wait_for_uses(self, stream: Stream | None) -> None:
        for handle in list(self._in_use):
            if stream is None:
                self._uses[handle].synchronize()
            elif stream.handle != handle:  # a stream is in order by itself
                stream.wait(self._uses[handle])
        self._in_use.clear()

    def abandon(self) -> None:
        for resource in (self.memory, self.ready, *self._uses.values()):
            resource.abandon()

    def close(self) -> None:
        for event in (self.ready, *self._uses.values()):
            event.close()
        self.memory.close()
