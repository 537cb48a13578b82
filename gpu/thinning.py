"""Which pictures a model that cannot take all of them gets, evenly spaced. Pure: time comes in as pts.

A mailbox alone gives a slow chunked model the newest N in a row and then nothing for the length of a step:
motion would run at full speed and stand still by turns, and a video model would see it jump. So the spacing
follows what the model takes: it widens where pictures were lost, and narrows by a little where none was.
"""

from __future__ import annotations

from gpu.types import CLOCK_HZ

_SHARE = 0.2  # of a chunk in the mean of how far apart they are
_GAIN = 0.5  # of the way to that mean, a chunk
_ROOM = 1.03  # on top, so that the next picture is not lost soon
_NARROWER = 0.9975  # a picture; where that is too near, one is lost and it widens again
_CAMERA = 0.1  # of a picture in the mean of how far apart the source's are
_TOLERANCE = 0.25  # of the spacing: a picture that comes so much earlier is taken
_WIDEST_TICKS = CLOCK_HZ  # apart; beyond that a model is stuck, not slow


class Thinning:
    """One stream's. `skips` from one thread, `took` from one other."""

    def __init__(self, chunk_frames: int) -> None:
        self._chunk = chunk_frames
        self._spacing = 0.0  # ticks; 0: all
        self._due: float | None = None
        self._turn_pts: int | None = None
        self._apart = 0.0  # ticks between pictures taken, on average
        self._pts = 0
        self._camera = 0.0  # ticks between pictures that came, on average

    def skips(self, pts: int) -> bool:
        """Whether the picture of that time is left out."""
        apart, self._pts = pts - self._pts, pts
        if 0 < apart <= _WIDEST_TICKS:
            self._camera += (apart - self._camera) * (_CAMERA if self._camera else 1.0)
        spacing, due = self._spacing, self._due
        early = due - pts if due is not None else 0.0
        if spacing and _TOLERANCE * spacing < early <= _WIDEST_TICKS:
            return True
        in_step = due is not None and abs(early) <= spacing
        self._due = (due if in_step and due is not None else pts) + spacing
        return False

    def took(self, newest_pts: int, lost: int) -> None:
        """A chunk was taken whose last picture is of that time; `lost`: how many were pushed out since the
        one before."""
        before, self._turn_pts = self._turn_pts, newest_pts
        apart = (newest_pts - before) / self._chunk if before is not None else 0.0
        if not 0 < apart <= _WIDEST_TICKS:
            return
        # one hiccup is no pace: what counts is how far apart pictures are on average
        self._apart += (apart - self._apart) * (_SHARE if self._apart else 1.0)
        spacing, wanted = max(self._spacing, self._camera), _ROOM * self._apart
        if lost and spacing < wanted:
            self._spacing = spacing + (wanted - spacing) * _GAIN
        elif not lost:
            self._spacing *= _NARROWER**self._chunk
            if self._spacing < self._camera:
                self._spacing = 0.0
