"""An encoder fed blocks of one size, whose packets get the times of the blocks back. Knows no one codec.

What an encoder is told are times of its own, that count samples: those of a stream may jump.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

import av
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from .types import RATE_HZ


class BlockEncoder:
    """One stream's, stereo at 48 kHz. One thread."""

    def __init__(self, context: AudioCodecContext, samples: int, delay: int) -> None:
        """`context`: open; `samples` of a block; `delay`: samples that a packet's sound is older than the
        block it comes out for."""
        self._context, self._samples, self._delay = context, samples, delay
        self._fed = 0
        self._times: deque[tuple[int, int]] = deque()  # (pts, arrived_ns) of what the encoder still has

    def encode(self, planes: NDArray[Any], pts: int, arrived_ns: int) -> list[tuple[bytes, int, int]]:
        """`planes` as the context's format lies; `pts`: when its first sample is heard, 48 kHz. -> (packet,
        pts, arrived_ns), none or several."""
        frame = av.AudioFrame.from_ndarray(planes, self._context.format.name, "stereo")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts, self._fed = self._fed, self._fed + self._samples
        self._times.append((pts, arrived_ns))
        found = []
        for packet in self._context.encode(frame):
            at, came_ns = self._times.popleft()
            found.append((bytes(packet), at - self._delay, came_ns))
        return found
