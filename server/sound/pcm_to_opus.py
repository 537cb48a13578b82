"""PCM as it is due made Opus for WebRTC. Knows no film and no RTP."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from server.peer.types import EncodedAudio

from .codec_thread import CodecThread
from .opus_encoder import OPUS_SAMPLES, OpusEncoder
from .pcm_line import CHANNELS, S16
from .types import RATE_HZ

FADE_SAMPLES = RATE_HZ // 200  # 5 ms: sound that begins in mid-wave clicks


class PcmToOpus:
    """Made on the loop's thread, which hears of the packets; one thread pushes."""

    def __init__(self, on_packet: Callable[[EncodedAudio], None]) -> None:
        """`on_packet` gets 20 ms of stereo Opus, in order, its pts on the clock of what is pushed."""
        self._encoder = OpusEncoder()
        self._next: int | None = None  # where the block that follows begins
        self._thread = CodecThread("pcm-to-opus", self._encode, on_packet)

    def push(self, block: bytes, pts: int, arrived_ns: int) -> None:
        """20 ms of stereo s16 at 48 kHz; `pts`: when its first sample is heard. A block that is not where the
        one before ends begins anew; what would step back is left out. Where the thread cannot keep up the
        oldest go."""
        self._thread.push((block, pts, arrived_ns))

    @property
    def dropped(self) -> int:
        """Blocks and packets that went for want of time."""
        return self._thread.dropped

    def close(self) -> None:
        """Idempotent; nothing is told from now on."""
        self._thread.close()

    # on the thread

    def _encode(self, item: tuple[bytes, int, int]) -> list[EncodedAudio]:
        data, pts, arrived_ns = item
        if self._next is not None and pts < self._next:
            return []
        block: S16 = np.frombuffer(data, np.int16).reshape(OPUS_SAMPLES, CHANNELS)
        if pts != self._next:
            self._encoder = OpusEncoder()  # nothing of what was before is heard in it
            block = faded_in(block)
        self._next = pts + OPUS_SAMPLES
        return self._encoder.encode(block, pts, arrived_ns)


def faded_in(block: S16) -> S16:
    gain = np.ones((len(block), 1), np.float32)
    gain[:FADE_SAMPLES, 0] = np.arange(FADE_SAMPLES, dtype=np.float32) / FADE_SAMPLES
    return (block * gain).astype(np.int16)
