"""What a GPU's NVENC can do, and how many sessions it opens now. Knows no stream."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from gpu.codec.base import EncoderConfig
from gpu.cuda import nvenc_constants as nv
from gpu.cuda.driver import Device, DeviceLost
from gpu.cuda.nvenc_api import NoEncoder, NvencError
from gpu.cuda.nvenc_session import Session
from gpu.cuda.nvenc_settings import Rate, Shape, initialize_params
from gpu.types import Codec

# Large enough for every GPU's smallest picture, small enough that sixteen of them are no burden.
_TRIAL = Shape(320, 192, full_range=False, bt709=False)


@dataclass(frozen=True, slots=True)
class EncoderCaps:
    """What NVENC makes of one codec."""

    codec: Codec
    profiles: tuple[str, ...]
    bits: tuple[int, ...]  # depths of a sample
    min_width: int
    min_height: int
    max_width: int
    max_height: int
    engines: int  # NVENCs on the GPU; 0 where the driver does not say
    intra_refresh: bool
    dynamic_bitrate: bool  # the bitrate moves in an open session
    asynchronous: bool  # completion by events; Windows only


def encoder_caps(device: Device) -> list[EncoderCaps]:
    """One entry a codec; none on a GPU without NVENC. Takes a session for a moment.

    Raises DeviceError without the library or with a driver too old, SessionLimit, NvencError, DeviceLost."""
    try:
        session = Session(device)
    except NoEncoder:
        return []
    try:
        return [_caps(session, codec) for codec in session.codecs()]
    finally:
        session.close()


def sessions_available(device: Device, most: int = 16) -> int:
    """How many more sessions open now, at most `most`. Raises as `count_sessions`."""
    return count_sessions(device, most)[0]


def count_sessions(device: Device, most: int = 16) -> tuple[int, str]:
    """How many more sessions open now, at most `most`, and why there are no more ("" when `most` opened).

    Opens and sets up each, since drivers differ in which of the two they refuse, and closes all. Raises
    DeviceError without the library, DeviceLost."""
    with contextlib.ExitStack() as opened:
        stream = device.stream()
        opened.callback(stream.close)
        for count in range(most):
            try:
                session = Session(device)
                opened.callback(session.close)
                config = EncoderConfig("h264")
                params = initialize_params(config, _TRIAL, session.preset("h264"), Rate(1_000_000, 30))
                session.initialize(params, stream)
            except DeviceLost:
                raise
            except NvencError as error:
                return count, str(error)
    return most, ""


def _caps(session: Session, codec: Codec) -> EncoderCaps:
    def ask(which: int) -> int:
        return session.capability(codec, which)

    return EncoderCaps(
        codec=codec,
        profiles=tuple(session.profiles(codec)),
        bits=(8, 10) if ask(nv.NV_ENC_CAPS_SUPPORT_10BIT_ENCODE) else (8,),
        min_width=ask(nv.NV_ENC_CAPS_WIDTH_MIN),
        min_height=ask(nv.NV_ENC_CAPS_HEIGHT_MIN),
        max_width=ask(nv.NV_ENC_CAPS_WIDTH_MAX),
        max_height=ask(nv.NV_ENC_CAPS_HEIGHT_MAX),
        engines=ask(nv.NV_ENC_CAPS_NUM_ENCODER_ENGINES),
        intra_refresh=bool(ask(nv.NV_ENC_CAPS_SUPPORT_INTRA_REFRESH)),
        dynamic_bitrate=bool(ask(nv.NV_ENC_CAPS_SUPPORT_DYN_BITRATE_CHANGE)),
        asynchronous=bool(ask(nv.NV_ENC_CAPS_ASYNC_ENCODE_SUPPORT)),
    )
