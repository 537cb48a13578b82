"""What is to be run for an instruction: its parts as ordered stages. Pure data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gpu.nano.edits import EDIT_BY_NAME, WEATHER_PARTICLES, Kind, Region, hold_of, moves_sheet
from gpu.nano.text.colours import hue_of
from gpu.types import Part

MOST_STAGES = 4  # of a plan
ARTS = ("paint", "draw")  # at most one of them in a place: two hands on one canvas give mud
# Milliseconds at 640x480 on two threads of a stage, of holding it, of moving its sheet, of finding the
# person; see MODEL_CARD.md.
COST_MS: Mapping[Kind, float] = {"paint": 11.9, "draw": 10.4, "look": 4.7, "blur": 2.2}
HOLD_MS, SHEET_MS, PERSON_MS = 1.9, 1.2, 2.7
# With the 8 ms of steadying and finishing, a frame of a camera of 25 a second: for more than that the stream
# would step down its ladder.
MOST_MS = 30.0
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
    left_out: tuple[Part, ...] = field(default=(), compare=False)  # asked for and not run

    @property
    def is_source(self) -> bool:
        """The source exactly: nothing is asked for, or with no strength."""
        return self.strength <= 0 or not self.stages

    @property
    def keys(self) -> tuple[tuple[str, Region, tuple[str, ...]], ...]:
        """What it is but for amounts and strength."""
        return tuple(stage.key for stage in self.stages)

    @property
    def cost_ms(self) -> float:
        """Time of its stages on a frame, as measured on the machine of the model card."""
        return _cost_ms(self.stages)

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

    @property
    def is_painted(self) -> bool:
        """Whether painters do all of it; not of a plan that does nothing."""
        return bool(self.stages) and all(stage.kind == "paint" for stage in self.stages)

    @property
    def holds(self) -> tuple[float, ...]:
        """Of each stage, how much of what it made of the frame before is kept; see `gpu.nano.edits`.

        Looks of one place hold once, after the last of them, and not over an art: its paper stands."""
        holds = [hold_of(stage.name) for stage in self.stages]
        for number, stage in enumerate(self.stages):
            if stage.kind in ARTS:
                continue
            if any(_meet(stage, before) and before.kind in ARTS for before in self.stages[:number]):
                holds[number] = 0.0
            for later, after in enumerate(self.stages[number + 1 :], number + 1):
                if after.region == stage.region:
                    holds[number], holds[later] = 0.0, max(holds[number], holds[later])
                    break
        return tuple(holds)

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
    """Stages for the parts of an instruction (strongest first).

    One painting or drawing in each place, and no more than MOST_STAGES and MOST_MS allow; the rest is left
    out. Raises KeyError for an edit that is none."""
    chosen: list[Stage] = []
    left_out: list[Part] = []
    for part in parts:
        amount = min(1.0, max(0.0, part.amount))
        kind = EDIT_BY_NAME[part.name].kind
        if amount <= 0:
            continue
        stage = Stage(kind, part.name, amount, part.region, tuple(part.colours))
        stages = _ordered([*chosen, stage])
        fits = len(chosen) < len(stages) <= MOST_STAGES and _cost_ms(stages) <= MOST_MS
        if fits and not any(_excludes(other, stage) for other in chosen):
            chosen = stages
        else:
            left_out.append(part)
    return Plan(tuple(chosen), min(1.0, max(0.0, strength)), tuple(left_out))


def _cost_ms(stages: Iterable[Stage]) -> float:
    """Of all stages, and of finding the person if one of them asks where; see `gpu.nano.stages`."""
    stages = list(stages)
    person = PERSON_MS if any(stage.region != "everywhere" for stage in stages) else 0.0
    held = HOLD_MS * sum(hold > 0 for hold in Plan(tuple(stages)).holds)
    moved = SHEET_MS * sum(moves_sheet(stage.name) for stage in stages)
    return person + held + moved + sum(COST_MS[stage.kind] for stage in stages)


def _excludes(first: Stage, second: Stage) -> bool:
    """Whether only one can be done: the same twice, two arts in one place, one thing in two colours."""
    if first.key == second.key:
        return True
    if not _meet(first, second):
        return False
    recoloured = first.name == second.name == "recolour" and first.colours[:1] == second.colours[:1]
    return recoloured or (first.kind in ARTS and second.kind in ARTS)


def _ordered(stages: Iterable[Stage]) -> list[Stage]:
    """As they run. Equals go as they were said, but what turns into red waits for what red turns into.

    Fewer where recolourings stand in a ring: done one after the other, a swap makes all of it one colour."""
    waiting = sorted(stages, key=lambda stage: stage.rank)  # stable
    ordered: list[Stage] = []
    while waiting:
        free = (one for one in waiting if not any(_feeds(one, other) for other in waiting))
        first = next(free, None)
        if first is None:
            break
        waiting.remove(first)
        ordered.append(first)
    return ordered


def _feeds(first: Stage, second: Stage) -> bool:
    """Whether what the first makes is what the second finds."""
    if not (first.name == second.name == "recolour" and first.colours and second.colours):
        return False
    return _meet(first, second) and hue_of(first.colours[-1]) == second.colours[0]


def _meet(first: Stage, second: Stage) -> bool:
    """Whether there are pixels in the place of both."""
    return first.region == second.region or "everywhere" in (first.region, second.region)
