"""One AAC for all targets of a stream, made of its Opus once. Where there is no sound it is silence.

Platforms want a sound track, and a container that has one waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

from server.peer.types import EncodedAudio
from server.sound.opus_to_aac import OpusToAac
from server.sound.types import RATE_HZ, AacFrame

_SILENCE = bytes([0xFC, 0xFF, 0xFE])  # Opus: 20 ms of CELT, stereo, no energy (RFC 6716 §3.1, §4.3)
_SILENCE_TICKS = RATE_HZ // 50
_LATE = RATE_HZ // 2  # sound that lags its picture by more will not come
_BEHIND = RATE_HZ // 10  # silence is made up to here
_MOST_MADE = 45  # packets at once: fewer than its thread holds


class TargetSound:
    """Loop thread only. Several targets hand the same packets in; each is taken once."""

    def __init__(self, on_frame: Callable[[AacFrame], None]) -> None:
        self._aac = OpusToAac(on_frame)
        self._newest: int | None = None  # 48 kHz: where the sound so far ends

    def audio(self, packet: EncodedAudio) -> None:
        if self._newest is None or packet.pts >= self._newest:
            self._newest = packet.pts + _SILENCE_TICKS
            self._aac.push(packet)

    def video(self, pts: int) -> None:
        """A picture at `pts` (90 kHz) is sent: sound that did not come is made up for."""
        at = pts * RATE_HZ // 90_000
        if self._newest is None or at - self._newest > RATE_HZ:
            self._newest = at - _LATE
        if at - self._newest <= _LATE:
            return
        for _ in range(_MOST_MADE):
            if self._newest >= at - _BEHIND:
                return
            self._aac.push(EncodedAudio(_SILENCE, self._newest))
            self._newest += _SILENCE_TICKS

    def close(self) -> None:
        self._aac.close()
