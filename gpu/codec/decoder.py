"""Decode every codec we speak by libav to tight I420 pictures. Knows one stream and nothing around it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.context import Flags, ThreadType
from av.video.reformatter import Colorspace, VideoReformatter

from gpu.errors import DeviceError, FrameError
from gpu.types import CLOCK_HZ, U8, Codec, EncodedFrame, Frame

# libav's own "av1" only drives hardware; dav1d decodes on any CPU.
_NAMES: dict[Codec, str] = {"h264": "h264", "vp8": "vp8", "vp9": "vp9", "hevc": "hevc", "av1": "libdav1d"}
_TICK = Fraction(1, CLOCK_HZ)
_MAX_PIXELS = 4096 * 2304  # a hostile sequence header must not make us allocate gigabytes
_MAX_PENDING = 32  # arrival times kept for pictures still inside the decoder
_FULL = 2  # AVCOL_RANGE_JPEG
_BT709 = 1  # AVCOL_SPC_BT709
# After a corrupt access unit pictures are built on damage: wait for a keyframe, but not for ever, because
# some senders send none on request.
RECOVERY_TICKS = CLOCK_HZ


class LibavDecoder:
    """One access unit in, its picture out. Pictures beyond `max_size`, either way up, are scaled down.

    A stream may go over to another codec at a keyframe, as WebRTC allows a sender at any time.
    """

    def __init__(self, codec: Codec, max_size: tuple[int, int] | None = None) -> None:
        """Raises DeviceError when this libav was built without the decoder."""
        self._codec = codec
        self._max_size = max_size
        self._context: Any = self._open()
        # One for all pictures: what a picture brings of its own is set up, threads and all, for it alone.
        self._scaler = VideoReformatter()
        self._arrived: dict[int, int] = {}
        self._recovering_since: int | None = None
        self._seen_keyframe = False

    def _open(self) -> Any:
        try:
            context = av.CodecContext.create(_NAMES[self._codec], "r")
        except (KeyError, ValueError) as exc:
            raise DeviceError(f"libav has no decoder for {self._codec!r}: install the av wheel") from exc
        context.flags |= Flags.low_delay
        context.thread_type = ThreadType.SLICE  # frame threads would hold pictures back
        context.thread_count = 1
        context.options = {"err_detect": "explode", "max_pixels": str(_MAX_PIXELS)}
        return context

    @property
    def waiting_for_keyframe(self) -> bool:
        """True when nothing can be shown until a keyframe comes."""
        return not self._seen_keyframe or self._recovering_since is not None

    def decode(self, encoded: EncodedFrame) -> list[Frame]:
        if not self._admits(encoded):
            return []
        packet = av.Packet(encoded.data)
        packet.pts = packet.dts = encoded.pts
        packet.time_base = _TICK
        self._arrived[encoded.pts] = encoded.arrived_ns
        while len(self._arrived) > _MAX_PENDING:
            self._arrived.pop(next(iter(self._arrived)))
        try:
            if not encoded.data:  # libav would take it for the end of the stream and refuse what follows
                raise FrameError(f"an empty access unit at pts {encoded.pts}: a keyframe repairs it")
            decoded = self._context.decode(packet)
            if any(picture.is_corrupt for picture in decoded):
                raise FrameError(
                    f"{self._codec} picture at pts {encoded.pts} is damaged: a keyframe repairs it"
                )
            # Layers of one picture all come out of VP9 and AV1; the last is the best.
            return [self._to_frame(picture) for picture in _last_of_each(decoded)]
        except (av.FFmpegError, FrameError, ValueError) as exc:
            self._recover(encoded)
            if isinstance(exc, FrameError):
                raise
            raise FrameError(
                f"{self._codec} access unit of {len(encoded.data)} bytes at pts {encoded.pts} cannot be "
                f"decoded ({exc}): a keyframe repairs it"
            ) from exc

    def _admits(self, encoded: EncodedFrame) -> bool:
        """Whether the stream can go on with this access unit."""
        if encoded.codec != self._codec:
            self._seen_keyframe = False
            if encoded.is_keyframe:
                self._codec = encoded.codec
                self._context = self._open()
                self._arrived.clear()
        if encoded.is_keyframe:
            self._seen_keyframe = True
            self._recovering_since = None
        elif not self._seen_keyframe:
            return False
        elif self._recovering_since is not None:
            if abs(encoded.pts - self._recovering_since) < RECOVERY_TICKS:
                return False
            self._recovering_since = None
        return True

    def _recover(self, encoded: EncodedFrame) -> None:
        self._recovering_since = encoded.pts
        self._arrived.clear()
        if encoded.is_keyframe:
            # Not even a keyframe could be decoded: the context may be damaged. After other errors it is kept,
            # for its parameter sets.
            self._context = self._open()

    def _to_frame(self, picture: Any) -> Frame:
        full_range = picture.format.name == "yuvj420p" or int(picture.color_range) == _FULL
        arrived_ns = self._arrived.pop(picture.pts, 0) if picture.pts is not None else 0
        if picture.pts is None:
            raise FrameError("the decoder lost the time of a picture: a keyframe repairs it")
        width, height = self._target_size(picture.width, picture.height)
        if width < 2 or height < 2:
            raise FrameError(f"a picture of {picture.width}x{picture.height} is too small: send at least 2x2")
        bt709 = int(picture.colorspace) == _BT709
        planar = picture.format.name in ("yuv420p", "yuvj420p")
        if (width, height) != (picture.width & ~1, picture.height & ~1) or bt709 or not planar:
            picture = self._scaler.reformat(
                picture,
                width=width,
                height=height,
                format="yuvj420p" if full_range else "yuv420p",
                src_colorspace=Colorspace.ITU709 if bt709 else Colorspace.ITU601,
                dst_colorspace=Colorspace.ITU601,
                threads=1,
            )
        y, u, v = picture.planes[:3]
        return Frame(
            y=_tight(y, width, height),
            u=_tight(u, width // 2, height // 2),
            v=_tight(v, width // 2, height // 2),
            pts=picture.pts,
            arrived_ns=arrived_ns,
            full_range=full_range,
        )

    def _target_size(self, width: int, height: int) -> tuple[int, int]:
        """Even, and within max_size with the proportions kept; a phone held upright counts as turned."""
        if self._max_size is not None:
            long, short = max(width, height), min(width, height)
            scale = min(1.0, max(self._max_size) / long, min(self._max_size) / short)
            width, height = round(width * scale), round(height * scale)
        return width & ~1, height & ~1

    def close(self) -> None:
        self._context = None


def _last_of_each(pictures: list[Any]) -> list[Any]:
    """The last picture of each time, in order."""
    return list({picture.pts: picture for picture in pictures}.values())


def _tight(plane: Any, width: int, height: int) -> U8:
    """Copy a plane out of libav's padded, reused buffer."""
    rows: U8 = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[:height, :width].copy()
