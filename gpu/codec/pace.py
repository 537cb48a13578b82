"""The frame rate of a stream, from pts alone, so that the same frames always give the same bytes."""

from __future__ import annotations

from gpu.types import CLOCK_HZ

NOMINAL_FPS = 30


class FramePace:
    """A slow mean of the time between pictures."""

    def __init__(self) -> None:
        self._mean_ticks = CLOCK_HZ / NOMINAL_FPS
        self._last_pts: int | None = None

    @property
    def mean_ticks(self) -> float:
        return self._mean_ticks

    @property
    def fps(self) -> float:
        return CLOCK_HZ / self._mean_ticks

    def saw(self, pts: int) -> None:
        """Take the next picture's pts, in 90 kHz ticks. Gaps count as at most a second, bursts as 120 fps."""
        if self._last_pts is not None:
            step = min(max(pts - self._last_pts, CLOCK_HZ // 120), CLOCK_HZ)
            self._mean_ticks += (step - self._mean_ticks) / 16
        self._last_pts = pts
