"""RTP payload formats, one file a codec: access units to payloads and back."""

from __future__ import annotations

from gpu.types import Codec
from server.peer.fmtp import hevc_parameter_sets

from .av1 import Av1Format
from .base import PAYLOAD_MAX, PayloadFormat, split_annex_b
from .h264 import H264Format
from .hevc import HevcFormat
from .vp8 import Vp8Format
from .vp9 import Vp9Format

__all__ = [
    "PAYLOAD_MAX",
    "Av1Format",
    "H264Format",
    "HevcFormat",
    "PayloadFormat",
    "Vp8Format",
    "Vp9Format",
    "payload_format",
    "split_annex_b",
]


def payload_format(codec: Codec, fmtp: str = "") -> PayloadFormat:
    """`fmtp` as the sender of the stream offered it: HEVC may have its parameter sets there."""
    match codec:
        case "h264":
            return H264Format()
        case "vp8":
            return Vp8Format()
        case "vp9":
            return Vp9Format()
        case "hevc":
            return HevcFormat(hevc_parameter_sets(fmtp))
        case "av1":
            return Av1Format()
