"""How much of the edit shows, over stream time: linear in pts, so that a file and a live stream are alike."""

from __future__ import annotations

from dataclasses import dataclass

from gpu.types import CLOCK_HZ


@dataclass(slots=True)
class Fade:
    """A strength 0..1 on its way to the one aimed at. Starts at the first picture after `aim`."""

    now: float = 0.0
    target: float = 0.0
    _from: float = 0.0
    _ticks: int = 0
    _start: int | None = None
    _progress: float = 1.0

    def aim(self, target: float, duration_ms: int) -> None:
        """Go to `target` within that time of pts; 0: at once."""
        self._from, self.target = self.now, target
        self._ticks = duration_ms * CLOCK_HZ // 1000
        self._start, self._progress = None, 0.0

    def at(self, pts: int) -> float:
        """The strength of the picture of that time; progress never falls, whatever the pts do."""
        if self._progress < 1.0:
            if self._start is None:
                self._start = pts
            past = pts - self._start
            # the first picture shows a beginning, or it would come out as if nothing had been asked for
            reached = 1.0 if self._ticks <= 0 else min(1.0, max(past, self._ticks / 50) / self._ticks)
            self._progress = max(self._progress, reached)
            self.now = self._from + (self.target - self._from) * self._progress
            if self._progress >= 1.0:
                self.now = self.target
        return self.now
