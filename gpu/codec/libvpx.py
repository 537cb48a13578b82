"""VP8 by libvpx itself, because libav's wrapper cannot move the bitrate of an open encoder.

Owns the binding to the library that PyAV's wheel carries, and one encoder. Pinned to that library's ABI:
where library, version or defaults are not those known here, `usable()` is False and `LibavEncoder` takes over
(same pictures; a keyframe whenever the bitrate moves far).
"""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np

from gpu.codec.base import EncoderConfig
from gpu.codec.pace import FramePace
from gpu.codec.range import to_limited
from gpu.errors import DeviceError, FrameError
from gpu.types import CLOCK_HZ, U8, EncodedFrame, Frame

_ABI = 39  # VPX_ENCODER_ABI_VERSION of libvpx 1.16
_CONFIG_WORDS = 256  # vpx_codec_enc_cfg_t is 126 words; room to spare
_CONTEXT_BYTES = 512  # vpx_codec_ctx_t is 56 bytes

# Where things are in vpx_codec_enc_cfg_t, in 32-bit words (vpx_encoder.h), and the library's own defaults, by
# which the layout is known again.
_THREADS, _WIDTH, _HEIGHT, _TIMEBASE_NUM, _TIMEBASE_DEN, _LAG = 1, 3, 4, 7, 8, 11
_END_USAGE, _TARGET_KBPS, _MIN_Q, _MAX_Q = 18, 28, 29, 30
_BUFFER_MS, _BUFFER_INITIAL_MS, _BUFFER_OPTIMAL_MS, _KF_MODE, _KF_MIN, _KF_MAX = 33, 34, 35, 40, 41, 42
_DEFAULTS = {
    _WIDTH: 320, _HEIGHT: 240, _TIMEBASE_NUM: 1, _TIMEBASE_DEN: 30, _TARGET_KBPS: 256, _MIN_Q: 4, _MAX_Q: 63,
    _BUFFER_MS: 6000, _BUFFER_INITIAL_MS: 4000, _BUFFER_OPTIMAL_MS: 5000, _KF_MODE: 1, _KF_MAX: 128,
}  # fmt: skip

_CBR, _KF_DISABLED = 1, 0
_I420 = 0x102
_FORCE_KEYFRAME = 1
_REALTIME = 1  # VPX_DL_REALTIME, us
_FRAME_PACKET, _IS_KEY = 0, 1
_SET_CPUUSED, _SET_STATIC_THRESHOLD, _SET_MAX_INTRA = 13, 17, 26
_SPEED = -8  # negative: fixed. Positive speeds follow the clock, and the same frames would give other bytes.
_INTRA_PERIOD_FRAMES = 3000
_MAX_INTRA_PCT = 400  # of a mean picture


class _Image(ctypes.Structure):
    """vpx_image_t (vpx_image.h)."""

    _fields_ = [
        *((name, ctypes.c_uint) for name in ("fmt", "cs", "range", "w", "h", "bit_depth", "d_w", "d_h")),
        *((name, ctypes.c_uint) for name in ("r_w", "r_h", "x_chroma_shift", "y_chroma_shift")),
        ("planes", ctypes.c_void_p * 4),
        ("stride", ctypes.c_int * 4),
        ("bps", ctypes.c_int),
        ("user_priv", ctypes.c_void_p),
        ("img_data", ctypes.c_void_p),
        ("img_data_owner", ctypes.c_int),
        ("self_allocd", ctypes.c_int),
        ("fb_priv", ctypes.c_void_p),
    ]


class _Packet(ctypes.Structure):
    """The head of vpx_codec_cx_pkt_t (vpx_encoder.h)."""

    _fields_ = [
        ("kind", ctypes.c_int),
        ("buf", ctypes.c_void_p),
        ("sz", ctypes.c_size_t),
        ("pts", ctypes.c_int64),
        ("duration", ctypes.c_ulong),
        ("flags", ctypes.c_uint32),
    ]


@functools.cache
def _library() -> Any:
    """The bound library, or None where it is not the one known here."""
    if sys.platform != "linux":  # elsewhere variadic calls and the wheel's layout differ
        return None
    folder = Path(av.__file__).parent.parent / "av.libs"
    for path in sorted(folder.glob("libvpx-*.so*")):
        try:
            lib = ctypes.CDLL(str(path))
            lib.vpx_codec_vp8_cx.restype = ctypes.c_void_p
        except (OSError, AttributeError):
            continue
        pointer, number = ctypes.c_void_p, ctypes.c_long
        lib.vpx_codec_enc_config_default.argtypes = [pointer, pointer, ctypes.c_uint]
        lib.vpx_codec_enc_init_ver.argtypes = [pointer, pointer, pointer, number, ctypes.c_int]
        lib.vpx_codec_enc_config_set.argtypes = [pointer, pointer]
        lib.vpx_codec_control_.argtypes = [pointer, ctypes.c_int, ctypes.c_int]
        lib.vpx_codec_encode.argtypes = [
            pointer, ctypes.POINTER(_Image), ctypes.c_int64, ctypes.c_ulong, number, ctypes.c_ulong,
        ]  # fmt: skip
        lib.vpx_codec_get_cx_data.argtypes = [pointer, ctypes.POINTER(pointer)]
        lib.vpx_codec_get_cx_data.restype = ctypes.POINTER(_Packet)
        lib.vpx_codec_destroy.argtypes = [pointer]
        config = (ctypes.c_uint32 * _CONFIG_WORDS)()
        known = lib.vpx_codec_enc_config_default(lib.vpx_codec_vp8_cx(), config, 0) == 0 and all(
            config[word] == value for word, value in _DEFAULTS.items()
        )
        if known:
            return lib
    return None


def usable() -> bool:
    """Whether this machine's PyAV carries the libvpx known here."""
    lib = _library()
    if lib is None:
        return False
    context, config = ctypes.create_string_buffer(_CONTEXT_BYTES), (ctypes.c_uint32 * _CONFIG_WORDS)()
    lib.vpx_codec_enc_config_default(lib.vpx_codec_vp8_cx(), config, 0)
    if lib.vpx_codec_enc_init_ver(context, lib.vpx_codec_vp8_cx(), config, 0, _ABI) != 0:
        return False
    lib.vpx_codec_destroy(context)
    return True


class LibvpxEncoder:
    """VP8, zero latency, constant bitrate that moves live without a keyframe."""

    def __init__(self, config: EncoderConfig) -> None:
        """Raises DeviceError where `usable()` is False."""
        lib = _library()
        if lib is None:
            raise DeviceError("this PyAV carries another libvpx: use LibavEncoder")
        self._lib = lib
        self._bounds = config
        self._target_bps = config.clamp(config.bitrate_bps)
        self._context: Any = None
        self._config = (ctypes.c_uint32 * _CONFIG_WORDS)()
        self._size: tuple[int, int] | None = None
        self._last_pts = 0
        self._pace = FramePace()

    @property
    def target_bps(self) -> int:
        return self._target_bps

    def set_bitrate(self, bps: int) -> None:
        self._target_bps = self._bounds.clamp(bps)

    def encode(self, frame: Frame, keyframe: bool = False) -> list[EncodedFrame]:
        if frame.full_range:
            frame = to_limited(frame)  # VP8 has no way to say full range
        size = (frame.width, frame.height)
        if self._context is None or size != self._size or frame.pts <= self._last_pts:
            self._open(size)
        self._apply_bitrate()
        self._pace.saw(frame.pts)
        planes: list[U8] = [np.ascontiguousarray(plane) for plane in (frame.y, frame.u, frame.v)]
        image = _image(planes)
        flags = _FORCE_KEYFRAME if keyframe else 0
        ticks = max(1, round(self._pace.mean_ticks))
        code = self._lib.vpx_codec_encode(self._context, image, frame.pts, ticks, flags, _REALTIME)
        if code != 0:
            self._release()
            raise FrameError(f"libvpx refused a picture (error {code}): the encoder starts anew")
        self._last_pts = frame.pts
        return self._packets(frame)

    def _packets(self, frame: Frame) -> list[EncodedFrame]:
        iterator = ctypes.c_void_p()
        out: list[EncodedFrame] = []
        while packet := self._lib.vpx_codec_get_cx_data(self._context, ctypes.byref(iterator)):
            head = packet.contents
            if head.kind == _FRAME_PACKET:
                data = ctypes.string_at(head.buf, head.sz)
                out.append(EncodedFrame(data, frame.pts, bool(head.flags & _IS_KEY), "vp8", frame.arrived_ns))
        return out

    def _open(self, size: tuple[int, int]) -> None:
        self._release()
        lib, config = self._lib, self._config
        lib.vpx_codec_enc_config_default(lib.vpx_codec_vp8_cx(), config, 0)
        settings = {
            _THREADS: self._bounds.threads, _WIDTH: size[0], _HEIGHT: size[1],
            _TIMEBASE_NUM: 1, _TIMEBASE_DEN: CLOCK_HZ, _LAG: 0,
            _END_USAGE: _CBR, _TARGET_KBPS: self._target_bps // 1000, _MIN_Q: 4, _MAX_Q: 63,
            _BUFFER_MS: 400, _BUFFER_INITIAL_MS: 200, _BUFFER_OPTIMAL_MS: 250,
            _KF_MODE: _KF_DISABLED, _KF_MIN: 0, _KF_MAX: _INTRA_PERIOD_FRAMES,
        }  # fmt: skip
        for word, value in settings.items():
            config[word] = value
        context = ctypes.create_string_buffer(_CONTEXT_BYTES)
        code = lib.vpx_codec_enc_init_ver(context, lib.vpx_codec_vp8_cx(), config, 0, _ABI)
        if code != 0:
            raise DeviceError(f"libvpx cannot encode {size[0]}x{size[1]} (error {code}): send another size")
        for control, value in (
            (_SET_CPUUSED, _SPEED),
            (_SET_STATIC_THRESHOLD, 1),
            (_SET_MAX_INTRA, _MAX_INTRA_PCT),
        ):
            lib.vpx_codec_control_(context, control, value)
        self._context, self._size, self._last_pts, self._pace = context, size, -1, FramePace()

    def _apply_bitrate(self) -> None:
        kbps = self._target_bps // 1000
        if self._config[_TARGET_KBPS] != kbps:
            self._config[_TARGET_KBPS] = kbps
            code = self._lib.vpx_codec_enc_config_set(self._context, self._config)
            if code != 0:
                self._release()
                raise FrameError(f"libvpx refused {kbps} kbit/s (error {code}): the encoder starts anew")

    def _release(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            self._lib.vpx_codec_destroy(context)

    def close(self) -> None:
        self._release()

    def __del__(self) -> None:
        if getattr(self, "_context", None) is not None:
            self._release()


def _image(planes: list[U8]) -> _Image:
    """A vpx_image over the planes' own memory; they must outlive it."""
    height, width = planes[0].shape
    image = _Image(fmt=_I420, w=width, h=height, bit_depth=8, d_w=width, d_h=height, bps=12)
    image.x_chroma_shift = image.y_chroma_shift = 1
    for i, plane in enumerate(planes):
        image.planes[i] = plane.ctypes.data
        image.stride[i] = plane.shape[1]
    return image
