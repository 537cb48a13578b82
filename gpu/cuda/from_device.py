"""Encode on the CPU what is on the GPU: libx264 for GPUs without NVENC, by one page-locked copy of one
picture.

The copy of a picture may run while the one before it is encoded, but only where that costs no delay: whoever
has a picture early says so by `begin` (the edit is done, the encoder not yet); `encode` never waits for a
later picture, and copies by itself what was not begun. Holding each picture back by one call would overlap
them always, and add a frame of delay to hide a copy that takes a hundredth of it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from gpu.codec import open_encoder
from gpu.codec.base import Encoder, EncoderConfig
from gpu.codec.encoder import LibavEncoder
from gpu.cuda.driver import Device, Event, Pinned, Stream
from gpu.cuda.frame import DeviceFrame
from gpu.types import CLOCK_HZ, U8, EncodedFrame, Frame

_SLOTS = 2  # one being encoded, one being copied
_SOON_TICKS = CLOCK_HZ  # how far ahead of the picture being encoded one may have been begun


@dataclass(slots=True)
class _Slot:
    """A page-locked NV12 picture, and which device frame is being copied to it."""

    pinned: Pinned  # [H * 3 / 2, W] uint8
    copied: Event
    frame: DeviceFrame | None = None  # keeps the buffer from being lent anew


class Downloader:
    """Device frames to host frames on a stream of its own. `begin` from any thread, the rest from one.

    Bytes over the bus are those of one NV12 picture each."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._stream: Stream = device.stream()
        self._lock = threading.Lock()  # of the slots, and of handing work to the stream
        self._slots: list[_Slot] = []
        self._lent: _Slot | None = None  # whose luma the last host frame shows
        self._size: tuple[int, int] | None = None

    def begin(self, frame: DeviceFrame) -> None:
        """Start copying a frame that `download` will be asked for soon. Does nothing where there is no room.

        Raises CudaError, DeviceLost."""
        with self._lock:
            if self._size != (frame.width, frame.height) or any(s.frame is frame for s in self._slots):
                return
            free = (slot for slot in self._slots if slot.frame is None and slot is not self._lent)
            slot = next(free, None)
            if slot is not None:
                self._copy(frame, slot)

    def download(self, frame: DeviceFrame) -> Frame:
        """The picture on the host. Its luma lies in memory that is its own until the next call.

        Raises DeviceTimeout, CudaError, DeviceLost."""
        with self._lock:
            self._for_size(frame.width, frame.height)
            self._lent = None
            self._drop_stale(frame)
            slot = next((slot for slot in self._slots if slot.frame is frame), None)
            if slot is None:  # not begun
                slot = min(self._slots, key=lambda slot: slot.frame is not None)
                self._copy(frame, slot)
            self._lent = slot
        slot.copied.synchronize()
        with self._lock:
            slot.frame = None
        picture, height, width = slot.pinned.array, frame.height, frame.width
        chroma = picture[height:].reshape(height // 2, width // 2, 2)
        u: U8 = np.ascontiguousarray(chroma[..., 0])
        v: U8 = np.ascontiguousarray(chroma[..., 1])
        return Frame(picture[:height], u, v, frame.pts, frame.arrived_ns, frame.full_range)

    def _drop_stale(self, now: DeviceFrame) -> None:
        """Pictures come in order: what was begun for an earlier one, or on another clock, nobody asks for."""
        for slot in self._slots:
            if slot.frame is not None and slot.frame is not now:
                ahead_ticks = slot.frame.pts - now.pts
                if not 0 < ahead_ticks <= _SOON_TICKS:
                    slot.frame = None

    def _copy(self, frame: DeviceFrame, slot: _Slot) -> None:
        luma, chroma, stream = frame.luma, frame.chroma, self._stream
        height, width, pitch = frame.height, frame.width, luma.strides[0]
        to = slot.pinned.ptr
        stream.wait(frame.ready)
        if chroma.ptr == luma.ptr + pitch * height and chroma.strides[0] == pitch:
            stream.copy2d(to, width, luma.ptr, pitch, width, height * 3 // 2, "d2h")
        else:
            stream.copy2d(to, width, luma.ptr, pitch, width, height, "d2h")
            stream.copy2d(
                to + width * height, width, chroma.ptr, chroma.strides[0], width, height // 2, "d2h"
            )
        stream.record(slot.copied)
        frame.used_on(stream)
        slot.frame = frame

    def _for_size(self, width: int, height: int) -> None:
        if self._size == (width, height):
            return
        self._free()
        for _ in range(_SLOTS):
            pinned = self._device.pinned((height * 3 // 2, width), "u1")
            self._slots.append(_Slot(pinned, self._device.event()))
        self._size = (width, height)

    def _free(self) -> None:
        while self._slots:
            slot = self._slots.pop()
            slot.pinned.close()  # the driver lets a copy that runs end first
            slot.copied.close()
        self._size = self._lent = None

    def close(self) -> None:
        """Give everything back. Idempotent."""
        with self._lock:
            self._free()
            self._stream.close()


class HostEncoder:
    """An Encoder for device frames on any GPU: libx264 (or libvpx), zero latency. Takes host frames too."""

    def __init__(self, device: Device, config: EncoderConfig) -> None:
        """Raises DeviceError for a codec that is not encoded on the CPU."""
        self._config = config
        self._bt709 = False
        self._encoder: Encoder = open_encoder(config)
        self._downloader = Downloader(device)

    @property
    def target_bps(self) -> int:
        return self._encoder.target_bps

    def set_bitrate(self, bps: int) -> None:
        self._encoder.set_bitrate(bps)

    def begin(self, frame: DeviceFrame) -> None:
        """A frame that `encode` will get soon: start copying it, if there is room. From any thread.

        Raises CudaError, DeviceLost."""
        self._downloader.begin(frame)

    def encode(self, frame: Frame | DeviceFrame, keyframe: bool = False) -> list[EncodedFrame]:
        """As gpu.codec.base.Encoder. The buffer of a device frame may be written again when this returns.

        Raises FrameError, DeviceTimeout, DeviceLost, DeviceError."""
        if isinstance(frame, Frame):
            return self._of_matrix(False).encode(frame, keyframe)
        picture = self._downloader.download(frame)
        if frame.bt709 and self._config.codec != "h264":
            return self._encoder.encode(_to_bt601(picture), keyframe)  # VP8 has no way to say BT.709
        return self._of_matrix(frame.bt709).encode(picture, keyframe)

    def _of_matrix(self, bt709: bool) -> Encoder:
        """The encoder for H.264 of a matrix; a new one, with a keyframe, where the matrix changes."""
        if bt709 != self._bt709 and self._config.codec == "h264":
            target_bps = self._encoder.target_bps
            self._encoder.close()
            self._encoder, self._bt709 = LibavEncoder(self._config, bt709), bt709
            self._encoder.set_bitrate(target_bps)
        return self._encoder

    def close(self) -> None:
        self._encoder.close()
        self._downloader.close()


def _to_bt601(frame: Frame) -> Frame:
    """The same picture with its matrix changed, in the range it has."""
    picture: Any = av.VideoFrame(frame.width, frame.height, "yuv420p")
    for plane, samples in zip(picture.planes, (frame.y, frame.u, frame.v), strict=True):
        rows: U8 = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[: samples.shape[0], : samples.shape[1]] = samples
    extent = ColorRange.JPEG if frame.full_range else ColorRange.MPEG
    changed: Any = picture.reformat(
        src_colorspace=Colorspace.ITU709, dst_colorspace=Colorspace.ITU601,
        src_color_range=extent, dst_color_range=extent,
    )  # fmt: skip
    planes = []
    for plane, shape in zip(changed.planes, (frame.y.shape, frame.u.shape, frame.v.shape), strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[: shape[0], : shape[1]].copy())
    return Frame(planes[0], planes[1], planes[2], frame.pts, frame.arrived_ns, frame.full_range)
