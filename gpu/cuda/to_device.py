"""Host pictures to device memory by one page-locked copy, and libav's decoders where NVDEC lacks a codec."""

from __future__ import annotations

from gpu.codec import open_decoder
from gpu.cuda.driver import Device, Event, Pinned, Stream
from gpu.cuda.frame import DeviceFrame, FramePool
from gpu.types import Codec, EncodedFrame, Frame


class Uploader:
    """Host frames to device frames, in the order of one stream. One thread at a time.

    Bytes over the bus are those of one NV12 picture. Two page-locked buffers take turns: one is filled while
    the copy from the other may still run.
    """

    def __init__(self, device: Device, stream: Stream, most: int = 8) -> None:
        """`most`: device frames alive at once, of one size."""
        self._device, self._stream, self._most = device, stream, most
        self._size: tuple[int, int] | None = None
        self._pool: FramePool | None = None
        self._pinned: list[tuple[Pinned, Event]] = []

    def upload(self, frame: Frame) -> DeviceFrame:
        """The same picture on the GPU; its `ready` is the copy. Does not wait for it.

        Raises FrameError when too many frames are alive, DeviceTimeout, CudaError, DeviceLost."""
        pool = self._for_size(frame.width, frame.height)
        buffer = pool.take(self._stream)
        pinned, copied = self._pinned[0]
        copied.synchronize()
        rows, height, width = pinned.array, frame.height, frame.width
        rows[:height] = frame.y
        chroma = rows[height:].reshape(height // 2, width // 2, 2)
        chroma[..., 0], chroma[..., 1] = frame.u, frame.v
        self._stream.copy2d(
            buffer.luma.ptr, buffer.pitch, pinned.ptr, width, width, height * 3 // 2, "h2d"
        )  # chroma follows luma at once, in both places
        self._stream.record(copied)
        self._pinned.reverse()
        return buffer.frame(frame.pts, frame.arrived_ns, frame.full_range, stream=self._stream)

    def _for_size(self, width: int, height: int) -> FramePool:
        if self._pool is not None and self._size == (width, height):
            return self._pool
        self.close()
        self._pool = FramePool(self._device, width, height, self._most)
        for _ in range(2):
            pinned = self._device.pinned((height * 3 // 2, width), "u1")
            self._pinned.append((pinned, self._device.event()))
        self._size = (width, height)
        return self._pool

    def close(self) -> None:
        """Give the buffers back; frames alive keep theirs. Idempotent."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
        while self._pinned:
            pinned, copied = self._pinned.pop()
            pinned.close()  # the driver lets the copy end first
            copied.close()


class HostDecoder:
    """A Decoder that decodes on the CPU by libav and gives device frames: for codecs a GPU's NVDEC lacks.

    BT.601 whatever the stream says: the decoder beneath converts.
    """

    def __init__(
        self,
        device: Device,
        stream: Stream,
        codec: Codec,
        max_size: tuple[int, int] | None = None,
        most: int = 8,
    ) -> None:
        """Raises DeviceError when this libav has no such decoder."""
        self._decoder = open_decoder(codec, max_size)
        self._uploader = Uploader(device, stream, most)

    @property
    def waiting_for_keyframe(self) -> bool:
        return self._decoder.waiting_for_keyframe

    def decode(self, encoded: EncodedFrame) -> list[DeviceFrame]:
        """As gpu.codec.base.Decoder. Raises FrameError; DeviceError when the GPU cannot be used."""
        return [self._uploader.upload(frame) for frame in self._decoder.decode(encoded)]

    def close(self) -> None:
        self._decoder.close()
        self._uploader.close()
