"""How what is in force moves from one plan to the next over stream time. Knows no pictures.

At most two plans run at a time. Who asks again while two run finds the heavier of them as the new origin;
what the other had added to the picture is kept as a still difference, the *rest*, and let go within REST_MS.
So nothing jumps, and nothing piles up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gpu.nano.edits import Region
from gpu.nano.plan import SOURCE, Plan
from gpu.types import CLOCK_HZ

REST_MS = 250  # long enough to hide a step, too short to show that it stands still


@dataclass(frozen=True, slots=True)
class Mix:
    """One plan, or an origin and a target with their weights (sum 1); the share left of the rest."""

    plans: tuple[tuple[Plan, float], ...] = ((SOURCE, 1.0),)
    rest: float = 0.0  # laid over the first plan
    rest_falling: tuple[float, float] = (0.0, 0.0)  # rain and snow that fell besides the first plan's

    @property
    def strength(self) -> float:
        return sum(weight * plan.strength for plan, weight in self.plans)

    @property
    def is_source(self) -> bool:
        """The source exactly."""
        return all(plan.is_source or weight <= 0 for plan, weight in self.plans)

    @property
    def detail(self) -> float:
        """The share of the source's finest detail that stays; of no use where the mix is the source."""
        shares = [weight * plan.strength * plan.detail for plan, weight in self.plans]
        return sum(shares) / self.strength

    def falling(self) -> tuple[float, float]:
        """Amounts of rain and of snow, 0..1, strength and all."""
        amounts = [plan.falling() for plan, _ in self.plans]
        shares = [weight * plan.strength for plan, weight in self.plans]
        rain, snow = (
            min(1.0, max(0.0, sum(s * a[i] for s, a in zip(shares, amounts, strict=True)) + self.rest * more))
            for i, more in enumerate(self.rest_falling)
        )
        return rain, snow

    @property
    def falls_in(self) -> Region:
        """Where rain and snow fall; wherever they fall at all while one gives way to the other."""
        if self.rest > 0 and any(self.rest_falling):
            return "everywhere"
        regions = {plan.falls_in for plan, weight in self.plans if weight > 0 and any(plan.falling())}
        return regions.pop() if len(regions) == 1 else "everywhere"

    @property
    def heavier(self) -> int:
        """Which plan shows most; the target where both show alike."""
        shown = [weight * plan.strength for plan, weight in self.plans]
        return len(shown) - 1 if shown[-1] >= shown[0] else 0


@dataclass(slots=True)
class Transition:
    """From what was in force to the target, linear in pts. Progress never falls, whatever the pts do."""

    target: Plan = SOURCE
    origin: Plan = SOURCE
    now: Mix = field(default_factory=Mix)
    _duration_ticks: int = 0
    _start: int | None = None
    _progress: float = 1.0
    _rest_start: int | None = None
    _rest: float = 0.0
    _rest_falling: tuple[float, float] = (0.0, 0.0)
    _last_pts: int | None = None

    def begin(self, target: Plan, duration_ms: int) -> int | None:
        """Aim at `target`. Before the first frame there is nothing to blend from: it holds at once.

        Returns which of the plans of `now` goes on as the origin while the caller keeps the rest, the
        difference between the picture shown last and that plan's; None where there is none to keep."""
        now, kept = self.now, None
        self._duration_ticks = max(0, duration_ms) * CLOCK_HZ // 1000
        self._start = self._last_pts
        moves = self._start is not None and self._duration_ticks > 0
        if moves and len(now.plans) > 1:
            kept = now.heavier
            self._rest, self._rest_start = 1.0, self._start
        elif not moves:
            self._rest = 0.0
        origin = replace(now.plans[kept or 0][0], strength=now.strength)
        if kept is not None:
            fell, falls = now.falling(), origin.falling()
            self._rest_falling = (
                fell[0] - falls[0] * origin.strength,
                fell[1] - falls[1] * origin.strength,
            )
        if origin.is_source:  # fade the whole edit in, rather than every stage through half-edits
            origin = replace(target, strength=0.0)
        if target.is_source:  # ... and out
            target = replace(origin, strength=0.0)
        self.origin, self.target = origin, target
        self._progress = 0.0 if moves else 1.0
        return kept

    def at(self, pts: int) -> Mix:
        """What is in force for the frame with that pts; the first frame after `begin` already moves."""
        if self._last_pts is not None and pts < self._last_pts:  # a clock set back: what is left goes on
            back = pts - self._last_pts
            self._start = None if self._start is None else self._start + back
            self._rest_start = None if self._rest_start is None else self._rest_start + back
        if self._progress < 1.0 and self._start is not None:
            self._progress = min(1.0, max(self._progress, (pts - self._start) / self._duration_ticks))
        if self._rest > 0 and self._rest_start is not None:
            gone = (pts - self._rest_start) * 1000 / (REST_MS * CLOCK_HZ)
            self._rest = max(0.0, min(self._rest, 1.0 - gone))
        self._last_pts = pts
        share = self._progress
        if self.origin.keys == self.target.keys:
            plan = self.target if share >= 1.0 else self.origin.towards(self.target, share)
            self.now = Mix(((plan, 1.0),), self._rest, self._rest_falling)
        elif share >= 1.0:
            self._rest = 0.0
            self.now = Mix(((self.target, 1.0),))
        else:
            self.now = Mix(((self.origin, 1.0 - share), (self.target, share)), self._rest, self._rest_falling)
        return self.now
