"""Encode H.264, HEVC and AV1 on the GPU by NVENC, without delay. Knows one stream; not where it is sent.

Straight on the driver's library, because what wraps it costs a live stream what it needs: NVIDIA's Python
package holds three pictures back, and FFmpeg makes a keyframe of every change of the bitrate (it reconfigures
with resetEncoder and forceIDR set, libavcodec/nvenc.c; the API asks for neither).
"""

from __future__ import annotations

import contextlib
import sys

from gpu.codec.base import EncoderConfig
from gpu.codec.pace import FramePace
from gpu.cuda import nvenc_constants as nv
from gpu.cuda.bounded import Bounded
from gpu.cuda.driver import Device, DeviceArray, Memory, Stream
from gpu.cuda.driver_errors import DeviceLost
from gpu.cuda.frame import PITCH, DeviceFrame
from gpu.cuda.nvenc_api import SOFTWARE, NvencError
from gpu.cuda.nvenc_caps import EncoderCaps, count_sessions, encoder_caps, sessions_available
from gpu.cuda.nvenc_session import Session
from gpu.cuda.nvenc_settings import CODECS, Rate, Shape, initialize_params, set_rate
from gpu.cuda.nvenc_structs import InitializeParams
from gpu.cuda.to_device import Uploader
from gpu.errors import DeviceError, FrameError
from gpu.types import EncodedFrame, Frame

__all__ = ["EncoderCaps", "NvencEncoder", "count_sessions", "encoder_caps", "sessions_available"]

TIMEOUT_S = 5.0  # a picture takes some milliseconds; what takes so long never comes
_CLOSE_S = 2.0
_RATE_STEP, _PACE_STEP = 0.02, 0.05  # smaller changes are not worth a call


class NvencEncoder:
    """One picture in, one access unit out, in the same call. Takes device frames without a copy, host frames
    by one.

    A new size, range or matrix opens a new session, which begins with a keyframe.
    """

    def __init__(
        self, device: Device, config: EncoderConfig, stream: Stream | None = None, refresh_frames: int = 0,
        timeout_s: float = TIMEOUT_S,
    ) -> None:  # fmt: skip
        """`stream`: what orders the reading, one of its own by default. `refresh_frames`: 0, or the period of
        a wave of intra blocks, where the GPU can. Raises DeviceError for a codec that NVENC does not make.

        The session opens with the first picture: `encode` then raises SessionLimit, NoEncoder or DeviceError
        with the remedy, which is libx264 (HostEncoder)."""
        if config.codec not in CODECS:
            raise DeviceError(f"NVENC does not encode {config.codec}: use {', '.join(CODECS)}, or libav")
        self._device, self._config, self._refresh_frames = device, config, refresh_frames
        self._own_stream = stream is None
        self._stream = device.stream() if stream is None else stream
        self._uploader = Uploader(device, self._stream, most=2)
        self._thread = Bounded("relens-nvenc", timeout_s)
        self._target_bps = config.clamp(config.bitrate_bps)
        self._pace = FramePace()
        self._last_pts: int | None = None
        self._session: Session | None = None
        self._params: InitializeParams | None = None
        self._shape: Shape | None = None
        self._rate = Rate(0, 0.0)
        self._staging: Memory | None = None  # for the session's size
        self._pictures = 0
        self._closed = False

    @property
    def target_bps(self) -> int:
        return self._target_bps

    def set_bitrate(self, bps: int) -> None:
        self._target_bps = self._config.clamp(bps)

    def encode(self, frame: Frame | DeviceFrame, keyframe: bool = False) -> list[EncodedFrame]:
        """As gpu.codec.base.Encoder. The buffer of a device frame may be written again when this returns.

        Raises FrameError when NVENC refuses the picture (a new session follows), DeviceError when none can be
        had, DeviceTimeout, DeviceLost."""
        if self._closed:
            raise DeviceError("the encoder is closed: open another")
        return self._thread.run(lambda: self._encode(frame, keyframe))

    def _encode(self, frame: Frame | DeviceFrame, keyframe: bool) -> list[EncodedFrame]:
        shape = _shape_of(frame)
        if self._last_pts is not None and frame.pts <= self._last_pts:  # a clock that jumps back starts anew
            keyframe, self._pace = True, FramePace()
        self._pace.saw(frame.pts)
        self._last_pts = frame.pts
        try:
            if self._session is None or shape != self._shape:
                self._open(shape)
            self._steer()
            data, is_keyframe = self._put(frame, keyframe)
        except DeviceLost:
            self._release()
            raise
        except NvencError as error:
            if self._session is None:
                raise  # none could be opened
            self._release()
            raise FrameError(f"{error}; a new session follows") from error
        if self._config.codec == "av1":
            data = _without_delimiter(data)
        return [EncodedFrame(data, frame.pts, is_keyframe, self._config.codec, frame.arrived_ns)]

    def _put(self, frame: Frame | DeviceFrame, keyframe: bool) -> tuple[bytes, bool]:
        assert self._session is not None
        source = self._uploader.upload(frame) if isinstance(frame, Frame) else frame
        self._stream.wait(source.ready)
        memory, address, pitch = self._one_block(source)
        self._pictures += 1
        return self._session.encode(memory, address, pitch, self._stream, keyframe, self._pictures)

    def _open(self, shape: Shape) -> None:
        self._release()  # first: where sessions are few, the old one's place is needed
        session = Session(self._device)
        try:
            self._check(session, shape)
            config, rate = self._config, Rate(self._target_bps, self._pace.fps)
            can_refresh = session.capability(config.codec, nv.NV_ENC_CAPS_SUPPORT_INTRA_REFRESH)
            params = initialize_params(
                config, shape, session.preset(config.codec), rate, self._refresh_frames if can_refresh else 0
            )
            session.initialize(params, self._stream)
        except BaseException:
            session.close()
            raise
        self._session, self._params, self._shape, self._rate = session, params, shape, rate

    def _check(self, session: Session, shape: Shape) -> None:
        """What the driver would refuse with no more than "invalid parameter"."""
        codec = self._config.codec
        if codec not in session.codecs():
            raise DeviceError(
                f"this GPU's NVENC does not encode {codec}: negotiate another codec, or {SOFTWARE}"
            )
        caps = {
            "width": (nv.NV_ENC_CAPS_WIDTH_MIN, shape.width, nv.NV_ENC_CAPS_WIDTH_MAX),
            "height": (nv.NV_ENC_CAPS_HEIGHT_MIN, shape.height, nv.NV_ENC_CAPS_HEIGHT_MAX),
        }
        for side, (lowest, pixels, highest) in caps.items():
            least, most = session.capability(codec, lowest), session.capability(codec, highest)
            if not least <= pixels <= most:
                raise DeviceError(
                    f"a picture of {shape.width}x{shape.height}: this GPU's NVENC encodes {codec} with a "
                    f"{side} of {least} to {most}: send another size, or {SOFTWARE}"
                )

    def _steer(self) -> None:
        """Bring rate and frame rate to what is aimed at, when they moved. No keyframe comes of it."""
        assert self._session is not None
        assert self._params is not None
        rate, fps = Rate(self._target_bps, self._pace.fps), self._rate.fps
        if (
            abs(rate.bps - self._rate.bps) <= self._rate.bps * _RATE_STEP
            and abs(rate.fps - fps) <= fps * _PACE_STEP
        ):
            return
        set_rate(self._params, rate)
        self._session.reconfigure()
        self._rate = rate

    def _one_block(self, frame: DeviceFrame) -> tuple[Memory, int, int]:
        """(memory, address, pitch) of the picture as NVENC surely takes it: chroma behind luma in rows as
        long, aligned as a pool's buffers are. Frames that lie otherwise, or in memory that is not ours to
        keep books of, are copied on the GPU."""
        luma, chroma, height = frame.luma, frame.chroma, frame.height
        memory, pitch = _memory_of(frame), luma.strides[0]
        together = chroma.ptr == luma.ptr + pitch * height and chroma.strides[0] == pitch
        if memory is not None and together and luma.ptr % PITCH == pitch % PITCH == 0:
            return memory, luma.ptr, pitch
        width, to_pitch = frame.width, -(-frame.width // PITCH) * PITCH
        if self._staging is None:
            self._staging = self._device.alloc(to_pitch * height * 3 // 2)
        place = self._staging.ptr
        self._stream.copy2d(place, to_pitch, luma.ptr, pitch, width, height)
        to_chroma = place + to_pitch * height
        self._stream.copy2d(to_chroma, to_pitch, chroma.ptr, chroma.strides[0], width, height // 2)
        return self._staging, place, to_pitch

    def _release(self) -> None:
        session, self._session = self._session, None
        self._params = self._shape = None
        if session is not None:
            session.close()
        staging, self._staging = self._staging, None
        if staging is not None:
            staging.close()

    def close(self) -> None:
        """Give session and buffers back. Idempotent; what hangs is left to the driver."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(DeviceError):
            self._thread.run(self._end, _CLOSE_S)
        self._thread.close()

    def _end(self) -> None:
        self._release()
        self._uploader.close()
        if self._own_stream:
            self._stream.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and not sys.is_finalizing():
            self._closed = True
            self._thread.finish(self._end)


def _shape_of(frame: Frame | DeviceFrame) -> Shape:
    return Shape(frame.width, frame.height, frame.full_range, isinstance(frame, DeviceFrame) and frame.bt709)


def _memory_of(frame: DeviceFrame) -> Memory | None:
    """The allocation a frame lies in, or None for memory of other libraries."""
    if frame.buffer is not None:
        return frame.buffer.memory
    base: object = frame.luma
    while isinstance(base, DeviceArray):
        base = base.base
    return base if isinstance(base, Memory) else None


def _without_delimiter(data: bytes) -> bytes:
    """A temporal unit without the temporal delimiter OBU (AV1 §5.6) that NVENC puts first."""
    return data[2:] if data[:2] == b"\x12\x00" else data
