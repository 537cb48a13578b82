"""Opus of an edited stream made AAC for RTMP players and targets, as it comes. Knows no RTMP and no RTP."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from server.errors import ProtocolError
from server.peer.types import EncodedAudio

from .block_encoder import BlockEncoder
from .codec_thread import CodecThread
from .pcm_line import CHANNELS, S16, PcmLine
from .types import RATE_HZ, AacFrame

AAC_SAMPLES = 1024  # of a frame (ISO/IEC 14496-3 §4.5.1.1), and what FFmpeg's encoder is late by
AAC_BPS = 128_000
MAX_OPUS_BYTES = 1275 * 48 + 64  # RFC 6716 §3.4: at most 48 frames of at most 1275 bytes
_EXACT = RATE_HZ // 200  # 5 ms: Opus's times count samples, so that one lost packet is seen
_GLOBAL_HEADER = 1 << 22  # the config apart, not in the frames (libavcodec/avcodec.h)


class OpusToAac:
    """Stereo AAC-LC at 48 kHz of one stream's Opus. Made and used on the loop's thread."""

    def __init__(self, on_frame: Callable[[AacFrame], None]) -> None:
        """`on_frame` gets frames in order, their pts on the clock of what is pushed; the first is for the
        decoder only, and begins 1024 samples before the sound."""
        self._decoder = _opus_decoder()
        self._line = PcmLine(AAC_SAMPLES, _EXACT)
        encoder = _aac_encoder()
        self._encoder = BlockEncoder(encoder, AAC_SAMPLES, delay=AAC_SAMPLES)
        self.config = bytes(encoder.extradata or b"")  # AudioSpecificConfig
        self._thread = CodecThread("opus-to-aac", self._transcode, on_frame)

    def push(self, packet: EncodedAudio) -> None:
        """Where the thread cannot keep up the oldest go."""
        self._thread.push(packet)

    @property
    def dropped(self) -> int:
        """Packets that went for want of time."""
        return self._thread.dropped

    @property
    def failed(self) -> int:
        """Packets that could not be decoded."""
        return self._thread.failed

    def close(self) -> None:
        """Idempotent; nothing is told from now on."""
        self._thread.close()

    # on the thread

    def _transcode(self, item: EncodedAudio) -> list[AacFrame]:
        if not 0 < len(item.data) <= MAX_OPUS_BYTES:
            raise ProtocolError(f"an Opus packet of {len(item.data)} bytes: send 20 ms a packet")
        found: list[AacFrame] = []
        pts = item.pts
        for frame in self._decoder.decode(av.Packet(item.data)):
            samples = cast(S16, frame.to_ndarray()).reshape(-1, CHANNELS)  # [1, 2n] -> [n, 2]
            for block, at in self._line.add(samples, pts):
                found += self._encode(block, at, item.arrived_ns)
            pts += len(samples)
        return found

    def _encode(self, block: S16, pts: int, arrived_ns: int) -> list[AacFrame]:
        planes = np.ascontiguousarray(block.T).astype(np.float32) / 32768
        return [AacFrame(*each) for each in self._encoder.encode(planes, pts, arrived_ns)]


def _opus_decoder() -> AudioCodecContext:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout, decoder.format = RATE_HZ, "stereo", "s16"
    decoder.open()
    return decoder


def _aac_encoder() -> AudioCodecContext:
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, "stereo", "fltp"
    encoder.time_base, encoder.bit_rate = Fraction(1, RATE_HZ), AAC_BPS
    encoder.flags |= _GLOBAL_HEADER
    encoder.open()
    return encoder
