"""Encode H.264 (libx264) and VP8 (libvpx) by libav, without delay. Knows one stream; not where it is sent.

How the bitrate moves without a keyframe, by codec, as measured with PyAV 18.1:

- libx264 reads `bit_rate` before each picture and reconfigures itself. Opened with an average below its
  maximum it rates loosely; opened at constant bitrate, the maximum caps every later wish. So the context is
  opened at constant bitrate at the ceiling and told the real target before the first picture: from then on
  rate and VBV follow both up and down, with no keyframe.
- libx264 spends bits per picture for the frame rate it was opened with, whatever the pts say, so the target
  is scaled by the frame rate measured from pts.
- libvpx through libav reads `bit_rate` only once. `gpu.codec.libvpx` drives the library itself; where it
  cannot, the context is opened anew (a keyframe) when the target has moved by a third.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from gpu.codec.base import EncoderConfig
from gpu.codec.pace import NOMINAL_FPS, FramePace
from gpu.codec.range import to_limited
from gpu.errors import DeviceError, FrameError
from gpu.types import CLOCK_HZ, U8, EncodedFrame, Frame

_TICK = Fraction(1, CLOCK_HZ)
# Keyframes are sent on request (PLI) and at size changes; this bounds how long a lost request can hurt.
_INTRA_PERIOD_FRAMES = 3000
_HEADROOM = 2  # ceiling of the context over the configured one, for streams of half the nominal frame rate
_REOPEN_RATIO = 4 / 3  # libvpx only
_BT709, _SMPTE170M = 1, 6  # AVCOL_PRI/TRC/SPC; the second is BT.601, 525 lines
_LIMITED, _FULL = 1, 2  # AVCOL_RANGE


class LibavEncoder:
    """One picture in, one access unit out. Opens anew (keyframe) at a new size, range or clock."""

    def __init__(self, config: EncoderConfig, bt709: bool = False) -> None:
        """`bt709`: what the pictures' matrix is, and H.264 says of it."""
        self._config = config
        self._colour = _BT709 if bt709 else _SMPTE170M
        self._target_bps = config.clamp(config.bitrate_bps)
        self._opened_bps = 0
        self._context: Any = None
        self._shape: tuple[int, int, bool] | None = None
        self._last_pts: int | None = None
        self._pace = FramePace()
        self._applied_bps = 0

    @property
    def target_bps(self) -> int:
        return self._target_bps

    def set_bitrate(self, bps: int) -> None:
        self._target_bps = self._config.clamp(bps)

    def encode(self, frame: Frame, keyframe: bool = False) -> list[EncodedFrame]:
        if self._config.codec == "vp8" and frame.full_range:
            frame = to_limited(frame)  # VP8 has no way to say full range
        shape = (frame.width, frame.height, frame.full_range)
        back_in_time = self._last_pts is not None and frame.pts <= self._last_pts
        if self._context is None or shape != self._shape or back_in_time or self._vp8_rate_moved():
            self._open(shape)
        self._pace.saw(frame.pts)
        self._apply_bitrate()
        picture = _to_picture(frame)
        if keyframe:
            picture.pict_type = PictureType.I
        try:
            packets = self._context.encode(picture)
        except (av.FFmpegError, ValueError) as exc:
            self._context = None
            raise FrameError(
                f"{self._config.codec} encoder refused a picture ({exc}): it starts anew"
            ) from exc
        self._last_pts = frame.pts
        codec, arrived_ns = self._config.codec, frame.arrived_ns
        return [EncodedFrame(bytes(p), p.pts, p.is_keyframe, codec, arrived_ns) for p in packets]

    def _open(self, shape: tuple[int, int, bool]) -> None:
        width, height, full_range = shape
        h264 = self._config.codec == "h264"
        ceiling = self._config.max_bps * _HEADROOM if h264 else self._target_bps
        name = "libx264" if h264 else "libvpx"
        try:
            context: Any = av.CodecContext.create(name, "w")
        except ValueError as exc:
            raise DeviceError(f"libav has no {name} encoder: install the av wheel") from exc
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = _TICK, Fraction(NOMINAL_FPS, 1)
        context.bit_rate = ceiling
        context.gop_size = _INTRA_PERIOD_FRAMES
        context.max_b_frames = 0
        context.thread_count = self._config.threads
        context.color_range = _FULL if full_range else _LIMITED
        context.colorspace = context.color_primaries = context.color_trc = self._colour
        context.options = self._x264_options(ceiling) if h264 else self._vpx_options(ceiling)
        try:
            context.open()
        except (av.FFmpegError, ValueError) as exc:
            raise DeviceError(f"{name} cannot encode {width}x{height} ({exc}): send another size") from exc
        self._context, self._shape = context, shape
        self._last_pts = None
        self._opened_bps = self._applied_bps = ceiling
        self._pace = FramePace()

    def _x264_options(self, ceiling_bps: int) -> dict[str, str]:
        return {
            # superfast costs half as much again as ultrafast and pays where CABAC and 8x8 may be used.
            "preset": "ultrafast" if self._config.profile == "baseline" else "superfast",
            "tune": "zerolatency",
            "profile": self._config.profile,
            "maxrate": str(ceiling_bps),
            # One and a half pictures at the configured ceiling: a burst never holds the link longer than the
            # network's own jitter, and low targets still have room for a keyframe.
            "bufsize": str(int(self._config.max_bps * 1.5 / NOMINAL_FPS) + ceiling_bps // NOMINAL_FPS // 2),
        }

    def _vpx_options(self, bps: int) -> dict[str, str]:
        return {
            "deadline": "realtime",
            "cpu-used": "-8",  # negative: fixed; positive speeds follow the clock
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "minrate": str(bps),
            "maxrate": str(bps),
            "bufsize": str(bps // 5),
            "max-intra-rate": "400",  # % of a mean picture
        }

    def _vp8_rate_moved(self) -> bool:
        if self._config.codec != "vp8" or not self._opened_bps:
            return False
        ratio = self._target_bps / self._opened_bps
        return ratio > _REOPEN_RATIO or ratio < 1 / _REOPEN_RATIO

    def _apply_bitrate(self) -> None:
        if self._config.codec != "h264":
            return
        wanted = int(self._target_bps * min(_HEADROOM, NOMINAL_FPS / self._pace.fps))
        if abs(wanted - self._applied_bps) > self._applied_bps // 50:  # each change reconfigures x264
            self._context.bit_rate = self._applied_bps = wanted

    def close(self) -> None:
        self._context = None


def _to_picture(frame: Frame) -> Any:
    picture = av.VideoFrame(frame.width, frame.height, "yuv420p")
    planes: Any = picture.planes
    for plane, samples in zip(planes, (frame.y, frame.u, frame.v), strict=True):
        rows: U8 = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        rows[: samples.shape[0], : samples.shape[1]] = samples
    picture.pts = frame.pts
    picture.time_base = _TICK
    picture.color_range = _FULL if frame.full_range else _LIMITED
    return picture
