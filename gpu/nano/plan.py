"""What is to be run for an instruction: its parts as ordered stages. Pure data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gpu.nano.edits import EDIT_BY_NAME, WEATHER_PARTICLES, Kind, Region
from gpu.types import Part

MOST_STAGES = 4  # of a plan: each costs time on every frame
ARTS = ("paint", "draw")  # at most one of them: two hands on one canvas give mud
LOCAL = frozenset({"recolour", "colour_pop"})  # touch single things: the rest stays as the camera saw it

# Looks in the order in which the world would make them: things have colours, a season changes them, light
# falls, weather stands in it, and film sees the result.
_LOOKS = (
    ("recolour",),
    ("colour_pop",),
    ("autumn", "winter"),
    ("brighten", "darken", "warm", "cool"),
    ("golden_hour", "sunset", "blue_hour", "night", "underwater"),
    ("fog", "rain", "snow"),
    ("vivid", "pastel", "high_key", "teal_and_orange", "cyberpunk", "vintage_film", "bleach_bypass"),
    ("cross_process", "infrared", "sepia", "black_and_white", "noir", "dream"),
    ("duotone", "negative", "night_vision", "thermal"),
)
_RANK = {name: rank for rank, names in enumerate(_LOOKS) for name in names}
_BEFORE, _AFTER = -1, len(_LOOKS)


@dataclass(frozen=True, slots=True)
class Stage:
    """One edit to run: picture + amount * region * (edited picture - picture)."""

    kind: Kind
    name: str
    amount: float  # above 0, at most 1
    region: Region = "everywhere"
    colours: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, Region, tuple[str, ...]]:
        """What it is but for the amount."""
        return self.name, self.region, self.colours

    @property
    def rank(self) -> int:
        """Its place among the stages of a plan."""
        if self.kind in ARTS:
            return _BEFORE
        return _RANK.get(self.name, _AFTER)


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages in the order in which they run, and how strongly their result is laid over the source."""

    stages: tuple[Stage, ...] = ()
    strength: float = 0.0
    left_out: tuple[str, ...] = field(default=(), compare=False)  # names of what was asked for and is not run

    @property
    def is_source(self) -> bool:
        """The source exactly: nothing is asked for, or with no strength."""
        return self.strength <= 0 or not self.stages

    @property
    def keys(self) -> tuple[tuple[str, Region, tuple[str, ...]], ...]:
        """What it is but for amounts and strength."""
        return tuple(stage.key for stage in self.stages)

    @property
    def reach(self) -> Region:
        """Where anything changes at all."""
        regions = {stage.region for stage in self.stages}
        return regions.pop() if len(regions) == 1 else "everywhere"

    @property
    def is_local(self) -> bool:
        return bool(self.stages) and all(stage.name in LOCAL for stage in self.stages)

    @property
    def detail(self) -> float:
        """The share of the source's finest detail that stays: a painting has none but its own."""
        return 1.0 - max((stage.amount for stage in self.stages if stage.kind in ARTS), default=0.0)

    def falling(self) -> tuple[float, float]:
        """Amounts of rain and of snow, 0..1."""
        amounts = {stage.name: stage.amount for stage in self.stages}
        rain, snow = (amounts.get(name, 0.0) for name in WEATHER_PARTICLES)
        return rain, snow

    @property
    def falls_in(self) -> Region:
        """Where rain and snow fall."""
        regions = {stage.region for stage in self.stages if stage.name in WEATHER_PARTICLES}
        return regions.pop() if len(regions) == 1 else "everywhere"

    def towards(self, other: Plan, share: float) -> Plan:
        """Between this plan and one of the same keys: amounts and strength go over, `share` 0..1."""
        stages = tuple(
            replace(a, amount=a.amount + share * (b.amount - a.amount))
            for a, b in zip(self.stages, other.stages, strict=True)
        )
        return replace(
            other, stages=stages, strength=self.strength + share * (other.strength - self.strength)
        )


SOURCE = Plan()


def plan_of(parts: Iterable[Part], strength: float = 1.0) -> Plan:
    """Stages for the parts of an instruction (strongest first), at most one of them a painting or a drawing.

    Raises KeyError for an edit that is none."""
    chosen: list[Stage] = []
    left_out: list[str] = []
    for part in parts:
        amount = min(1.0, max(0.0, part.amount))
        kind = EDIT_BY_NAME[part.name].kind
        if amount <= 0:
            continue
        stage = Stage(kind, part.name, amount, part.region, tuple(part.colours))
        second = kind in ARTS and any(other.kind in ARTS for other in chosen)
        if second or len(chosen) == MOST_STAGES or any(other.key == stage.key for other in chosen):
            left_out.append(part.name)
        else:
            chosen.append(stage)
    chosen.sort(key=lambda stage: stage.rank)  # stable: equals stay as they were said
    return Plan(tuple(chosen), min(1.0, max(0.0, strength)), tuple(left_out))
