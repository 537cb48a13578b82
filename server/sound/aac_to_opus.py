"""AAC of a publisher made Opus for WebRTC, as it comes. Knows no RTMP and no RTP.

A frame's time is that of its first decoded sample. What HE-AAC's decoder is late by (962 samples at 48 kHz)
is left to the source's times: encoders count it in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler

from server.errors import ProtocolError
from server.peer.types import EncodedAudio

from .codec_thread import CodecThread
from .opus_encoder import OPUS_SAMPLES, OpusEncoder
from .pcm_line import CHANNELS, S16, PcmLine
from .types import RATE_HZ

log = logging.getLogger(__name__)

HOPELESS = 50  # frames, a second of sound: where none of them can be decoded the next will not be either
MAX_AAC_BYTES = 16_384  # eight channels of 6144 bits (ISO/IEC 14496-3 §4.5.3) are 6144 bytes


class AacToOpus:
    """Made for one AudioSpecificConfig; a new one needs a new object. Made and used on the loop's thread."""

    def __init__(self, config: bytes, on_packet: Callable[[EncodedAudio], None]) -> None:
        """`config`: AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). `on_packet` gets 20 ms of stereo Opus, in
        order, its pts on the clock of what is pushed. Raises ProtocolError for a config that is none."""
        self._decoder = _aac_decoder(config)
        self._resampler: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None
        self._line = PcmLine(OPUS_SAMPLES)
        self._encoder = OpusEncoder()
        self._undecoded = 0
        self._decoded = False  # one frame at least
        self._usual = 0  # samples of a frame, at RATE_HZ
        self._thread = CodecThread("aac-to-opus", self._transcode, on_packet)

    def push(self, data: bytes, pts_48k: int) -> None:
        """One raw AAC frame; `pts_48k`: when its first sample is heard. Where the thread cannot keep up the
        oldest go."""
        self._thread.push((data, pts_48k, time.monotonic_ns()))

    @property
    def dropped(self) -> int:
        """Packets that went for want of time."""
        return self._thread.dropped

    @property
    def failed(self) -> int:
        """Frames that could not be decoded: silence in their place."""
        return self._thread.failed + self._undecoded

    @property
    def hopeless(self) -> bool:
        """Its config was taken, and none of its frames."""
        return not self._decoded and self.failed >= HOPELESS

    def close(self) -> None:
        """Idempotent; nothing is told from now on."""
        self._thread.close()

    # on the thread

    def _transcode(self, item: tuple[bytes, int, int]) -> list[EncodedAudio]:
        data, pts, arrived_ns = item
        if not 0 < len(data) <= MAX_AAC_BYTES:
            raise ProtocolError(f"an AAC frame of {len(data)} bytes: send raw frames, one at a time")
        try:
            parts = [part for frame in self._decoder.decode(av.Packet(data)) for part in self._stereo(frame)]
            self._decoded |= bool(parts)
        except av.FFmpegError:
            self._undecoded += 1
            if self._undecoded == HOPELESS and not self._decoded:
                log.warning("sound: none of the first %d AAC frames can be decoded: send AAC-LC", HOPELESS)
            parts = [np.zeros((self._usual, CHANNELS), np.int16)]  # its time goes by all the same
        found: list[EncodedAudio] = []
        for samples in parts:
            for block, at in self._line.add(samples, pts):
                found += self._encoder.encode(block, at, arrived_ns)
            pts += len(samples)
            self._usual = len(samples)
        return found

    def _stereo(self, frame: av.AudioFrame) -> list[S16]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or shape != self._shape:
            self._resampler, self._shape = AudioResampler("s16", "stereo", RATE_HZ), shape
        frame.pts = None
        return [
            cast(S16, out.to_ndarray()).reshape(-1, CHANNELS)  # [1, 2n] -> [n, 2]
            for out in self._resampler.resample(frame)
        ]


def _aac_decoder(config: bytes) -> AudioCodecContext:
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = config
    try:
        if not config:
            raise ValueError("it is empty")
        decoder.open()
    except (av.FFmpegError, ValueError) as error:
        raise ProtocolError(f"the AAC config {config[:16].hex()} is none ({error}): send AAC-LC") from error
    return decoder
