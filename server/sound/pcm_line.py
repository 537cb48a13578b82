"""Decoded sound put in its time: blocks of one size whose times are the source's. Knows no codec. Pure.

Samples count; times are believed slowly. A source's times are rounded (RTMP's to milliseconds), and its
clock is not quite 48 kHz: what they are off by is stretched away, unheard. A hole becomes silence, an overlap
is cut.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .types import RATE_HZ

S16 = NDArray[np.int16]
CHANNELS = 2
CONTIGUOUS = RATE_HZ // 25  # 40 ms: off by less is rounding, jitter or drift; more is a hole or an overlap
MOST_FILLED = RATE_HZ  # 1 s: a wider hole, or overlap, is another place in time: begin anew there
STEADY = RATE_HZ // 500  # 2 ms off in the mean: left alone
STRETCH = 0.005  # of a packet's length: a tenth of a semitone
_WEIGHT = 1 / 16  # of one packet's time in the mean


class PcmLine:
    """Give it samples as they come, [n, 2] int16 at 48 kHz; take blocks of `size` with their times."""

    def __init__(self, size: int, contiguous: int = CONTIGUOUS) -> None:
        """`contiguous`: samples that times may be off by without a hole or an overlap."""
        self._size, self._contiguous = size, contiguous
        self._samples: S16 = np.zeros((0, CHANNELS), np.int16)
        self._at: int | None = None  # pts of the first of them
        self._off = 0.0  # mean of what the source's times are ahead of what was counted
        self.filled = self.cut = self.anchored = 0  # samples of silence, samples left out, begins

    def add(self, samples: S16, pts: int) -> Iterator[tuple[S16, int]]:
        """-> (samples [size, 2], pts of the first), none or several."""
        yield from self._place(pts)
        samples = self._fit(samples, pts)
        self._samples = np.concatenate((self._samples, samples))
        yield from self._blocks()

    def _end(self) -> int:
        assert self._at is not None
        return self._at + len(self._samples)

    def _place(self, pts: int) -> Iterator[tuple[S16, int]]:
        """Makes the end of what is held the place for samples at `pts`, or near enough, or behind it."""
        if self._at is None:
            self._begin(pts)
            return
        ahead = pts - self._end()
        if abs(ahead) > MOST_FILLED:
            if len(self._samples):
                yield from self._pad(self._size - len(self._samples))
            self._begin(pts)
        elif ahead > self._contiguous:
            self.filled += ahead
            self._off = 0.0
            yield from self._pad(ahead)

    def _begin(self, pts: int) -> None:
        self._at, self._off = pts, 0.0
        self._samples = self._samples[:0]
        self.anchored += 1

    def _pad(self, count: int) -> Iterator[tuple[S16, int]]:
        self._samples = np.concatenate((self._samples, np.zeros((count, CHANNELS), np.int16)))
        yield from self._blocks()

    def _fit(self, samples: S16, pts: int) -> S16:
        ahead = pts - self._end()
        if ahead < -self._contiguous:
            overlap = min(-ahead, len(samples))
            self.cut += overlap
            self._off = 0.0
            return samples[overlap:]
        self._off += (ahead - self._off) * _WEIGHT
        if abs(self._off) <= STEADY or len(samples) < 2:
            return samples
        most = max(1, int(len(samples) * STRETCH))
        change = int(np.clip(round(self._off), -most, most))
        self._off -= change
        return stretched(samples, len(samples) + change)

    def _blocks(self) -> Iterator[tuple[S16, int]]:
        assert self._at is not None
        while len(self._samples) >= self._size:
            block, self._samples = self._samples[: self._size], self._samples[self._size :]
            pts, self._at = self._at, self._at + self._size
            yield block, pts


def stretched(samples: S16, count: int) -> S16:
    """The same sound in `count` samples."""
    old = np.arange(len(samples))
    new = np.linspace(0, len(samples) - 1, count)
    parts = [np.interp(new, old, samples[:, channel]) for channel in range(samples.shape[1])]
    return np.stack(parts, 1).round().astype(np.int16)
