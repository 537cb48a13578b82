"""The frames a film shows, in shown order, and the keyframes among its packets. Knows times, not pictures."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ

I64 = NDArray[np.int64]
_HEAD = struct.Struct("<qqqqq")
NONE = -(1 << 63)  # a keyframe without a dts


@dataclass(frozen=True, slots=True)
class Index:
    """`pts` [N]: of every shown frame, rising, in units of `unit` seconds; `keys` [K, 2]: pts and dts of the
    packets that decoding can begin at, by rising pts; `end`: where the last frame ends."""

    pts: I64
    keys: I64
    end: int
    unit: Fraction

    @property
    def ticks(self) -> I64:
        """[N]: from the first frame on, 90 kHz."""
        return to_ticks(self.pts - self.pts[0], self.unit)

    def key_before(self, number: int) -> int:
        """The last keyframe from which the frame can be decoded: the last not shown after it."""
        found = int(np.searchsorted(self.keys[:, 0], self.pts[number], "right")) - 1
        return max(0, found)

    def number(self, pts: int) -> int | None:
        """Which frame has this pts."""
        found = int(np.searchsorted(self.pts, pts))
        return found if found < len(self.pts) and self.pts[found] == pts else None

    def pack(self) -> bytes:
        head = _HEAD.pack(len(self.pts), len(self.keys), self.end, *self.unit.as_integer_ratio())
        return head + self.pts.astype("<i8").tobytes() + self.keys.astype("<i8").tobytes()


def unpack_index(data: bytes) -> Index:
    """Raises FilmError for what `Index.pack` never writes."""
    try:
        frames, keys, end, over, under = _HEAD.unpack_from(data)
        if not (frames >= 1 and keys >= 1 and over >= 1 and under >= 1):
            raise ValueError(f"{frames} frames, {keys} keyframes")
        if len(data) != _HEAD.size + 8 * frames + 16 * keys:
            raise ValueError(f"{len(data)} bytes")
        pts = np.frombuffer(data, "<i8", frames, _HEAD.size)
        pairs = np.frombuffer(data, "<i8", 2 * keys, _HEAD.size + 8 * frames).reshape(-1, 2)
        if np.any(np.diff(pts) <= 0) or end <= pts[-1]:
            raise ValueError("times that do not rise")
        return Index(pts, pairs, end, Fraction(over, under))
    except (struct.error, ValueError) as error:
        raise FilmError(f"the table of a film's frames is damaged ({error}): open the film again") from error


def to_ticks(times: I64, unit: Fraction) -> I64:
    """Rounded half up, exact as long as times x 90000 x the unit's numerator stay below 2^62."""
    over, under = (unit * CLOCK_HZ).as_integer_ratio()
    return (2 * times * over + under) // (2 * under)
