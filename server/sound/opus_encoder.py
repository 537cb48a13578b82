"""Stereo PCM at 48 kHz made Opus, 20 ms a packet. Knows no source."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from server.peer.types import EncodedAudio

from .block_encoder import BlockEncoder
from .pcm_line import S16
from .types import RATE_HZ

OPUS_SAMPLES = 960  # 20 ms, the default of RFC 7587 §4.2
OPUS_BPS = 128_000  # stereo music without a fault to hear (RFC 7587 §3.1.1)
PRE_SKIP = 312  # libopus's look-ahead at 48 kHz: a packet's sound is this much older than what went in


class OpusEncoder:
    """One stream's. One thread."""

    def __init__(self) -> None:
        self._encoder = BlockEncoder(_opened(), OPUS_SAMPLES, PRE_SKIP)

    def encode(self, block: S16, pts: int, arrived_ns: int) -> list[EncodedAudio]:
        """`block` [960, 2]; `pts`: when its first sample is heard, 48 kHz."""
        packed = np.ascontiguousarray(block).reshape(1, -1)
        return [EncodedAudio(*each) for each in self._encoder.encode(packed, pts, arrived_ns)]


def _opened() -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, "stereo", "s16"
    encoder.time_base, encoder.bit_rate = Fraction(1, RATE_HZ), OPUS_BPS
    encoder.options = {"frame_duration": "20", "application": "audio", "compression_level": "5"}
    encoder.open()
    return encoder
