"""How the conditioning in force moves from one edit to the next over stream time. Knows no pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gpu.nano.edits import EDIT_NAMES
from gpu.types import CLOCK_HZ

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Conditioning:
    """Amounts [N] over EDIT_NAMES, 0..1, and the strength with which the edit is laid over the source."""

    amounts: F32
    strength: float

    @property
    def is_source(self) -> bool:
        """The source exactly: nothing is asked for, or with no strength."""
        return self.strength <= 0 or not self.amounts.any()


NOTHING = Conditioning(np.zeros(len(EDIT_NAMES), np.float32), 0.0)


@dataclass(slots=True)
class Transition:
    """From what was in force to the target, linear in pts. Progress never falls, whatever the pts do."""

    target: Conditioning = NOTHING
    origin: Conditioning = NOTHING
    duration_ticks: int = 0
    start: int | None = None
    progress: float = 1.0
    _now: Conditioning = field(default=NOTHING)
    _last_pts: int | None = None

    def begin(self, target: Conditioning, duration_ms: int) -> None:
        """Aim at `target`. Before the first frame there is nothing to blend from: it holds at once."""
        origin = self._now
        if origin.is_source:  # fade the whole edit in, rather than every amount through half-edits
            origin = Conditioning(target.amounts, 0.0)
        if target.is_source:  # ... and out
            target = Conditioning(origin.amounts, 0.0)
        self.origin, self.target = origin, target
        self.duration_ticks = duration_ms * CLOCK_HZ // 1000
        self.start = self._last_pts
        self.progress = 0.0 if self.start is not None and self.duration_ticks > 0 else 1.0

    def at(self, pts: int) -> Conditioning:
        """What is in force for the frame with that pts; the first frame after `begin` already moves."""
        if self.progress < 1.0 and self.start is not None:
            self.progress = min(1.0, max(self.progress, (pts - self.start) / self.duration_ticks))
        self._last_pts = pts
        if self.progress >= 1.0:
            self._now = self.target
        else:
            share = np.float32(self.progress)
            self._now = Conditioning(
                self.origin.amounts + share * (self.target.amounts - self.origin.amounts),
                self.origin.strength + self.progress * (self.target.strength - self.origin.strength),
            )
        return self._now
