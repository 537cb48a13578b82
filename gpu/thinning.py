"""Which pictures a model that cannot take all of them gets, evenly spaced. Pure: time comes in as pts.

A mailbox alone gives a slow chunked model the newest N in a row and then nothing for the length of a step:
motion would run at full speed and stand still by turns, and a video model would see it jump. So the spacing
follows what the model takes: it widens where pictures were lost, and narrows by a little where none was.
"""

from __future__ import annotations

from gpu.types import CLOCK_HZ

_GAIN = 0.5  # of the way to what was measured, a chunk
_ROOM = 1.03  # on top, so that the next picture is not lost soon
_NARROWER = 0.99  # a chunk; where that is too near, a picture is lost and it widens again
_TOLERANCE = 0.25  # of the spacing: a picture that comes so much earlier is taken
_WIDEST_TICKS = CLOCK_HZ  # apart; beyond that a model is stuck, not slow


class Thinning:
    """One stream's. `skips` from one thread, `took` from one other."""

    def __init__(self, chunk_frames: int) -> None:
        self._chunk = chunk_frames
        self._spacing = 0.0  # ticks; 0: all
        self._due: float | None = None
        self._turn_pts: int | None = None

    def skips(self, pts: int) -> bool:
        """Whether the picture of that time is left out."""
        spacing, due = self._spacing, self._due
        if (
            spacing
            and due is not None
            and 0 < due - pts <= _WIDEST_TICKS
            and pts < due - _TOLERANCE * spacing
        ):
            return True
        in_step = due is not None and abs(pts - due) <= spacing
        self._due = (due if in_step and due is not None else pts) + spacing
        return False

    def took(self, newest_pts: int, lost: int) -> None:
        """A chunk was taken whose last picture is of that time; `lost`: how many were pushed out since the
        one before."""
        before, self._turn_pts = self._turn_pts, newest_pts
        if before is None:
            return
        if not lost:
            self._spacing *= _NARROWER
            return
        wanted = _ROOM * (newest_pts - before) / self._chunk
        if self._spacing < wanted <= _WIDEST_TICKS:
            self._spacing += (wanted - self._spacing) * (_GAIN if self._spacing else 1.0)
