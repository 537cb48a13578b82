"""How much of each edit is seen, and what more or less of it comes to. Pure numbers; hears and says no words.

What is seen of a part is its amount times the strength of all: what changes one part is said of that product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpu.types import Change, Part

LEAST = 0.1  # "a bit less" never ends an edit: "undo" does
BACK = 0.4  # what "more" makes of nothing: enough to be seen
_LEAST_SPELLED = 0.01  # what is scaled down and still in force


@dataclass(frozen=True, slots=True)
class Mix:
    """Parts and the strength of all, 0..1, both to a hundredth."""

    parts: tuple[Part, ...]
    strength: float

    def seen(self, part: Part) -> float:
        return part.amount * self.strength


def moved(value: float, change: Change) -> float:
    """0..1, to a hundredth; not below LEAST where it was above and nothing below is named, and at least that
    where "a bit more" of hardly anything would be no more."""
    wanted = min(1.0, max(0.0, round(change.times * value + change.plus, 2)))
    if change.times > 1 and value <= 0:
        return BACK
    if change.times > 1 and wanted <= value < LEAST:
        return LEAST
    return max(wanted, min(value, LEAST)) if change.times > 0 else wanted


def all_moved(mix: Mix, change: Change) -> Mix:
    """The strength; once that is full, the parts, in their proportions as long as the strongest has room."""
    strength = moved(mix.strength, change)
    if not (strength == mix.strength == 1 or change.plus >= 1):
        return replace(mix, strength=strength)
    top = max((part.amount for part in mix.parts), default=0.0)
    if 0 < top < 1 and (change.times > 1 or change.plus >= 1):
        share = 1 / top if change.plus >= 1 else min(change.times, 1 / top)
        return Mix(tuple(_with(part, part.amount * share) for part in mix.parts), strength)
    if change.plus >= 1:
        return replace(mix, strength=strength)
    return Mix(tuple(_with(part, moved(part.amount, change)) for part in mix.parts), strength)


def one_moved(mix: Mix, name: str, change: Change) -> Mix:
    """What is seen of one edit in the place that the change names. Where the strength of all is in its way
    that is raised, and of the others as much is seen as before."""
    if mix.strength <= 0:
        return all_moved(mix, change)
    wanted = {
        part: moved(round(mix.seen(part), 4), change)
        for part in mix.parts
        if part.name == name and is_there(part, change)
    }
    strength = max(mix.strength, *wanted.values())
    same = mix.strength / strength
    return Mix(
        tuple(
            _with(part, wanted[part] / strength)
            if part in wanted
            else part
            if same == 1
            else _with(part, max(part.amount * same, _LEAST_SPELLED))
            for part in mix.parts
        ),
        strength,
    )


def has_room(mix: Mix, name: str, change: Change) -> bool:
    """Whether there is more, or less, of one edit to be had."""
    return one_moved(mix, name, change) != mix


def is_there(part: Part, change: Change) -> bool:
    """Whether it is in the place that the change is said of."""
    return change.place in ("", part.region)


def laid_over(kept: Sequence[Part], new: Sequence[Part], change: Change) -> list[Part]:
    """Both, the newer amount where they are of one thing in one place; where the change grows, no less than
    more of what there was."""
    old = {(part.name, part.region): part.amount for part in kept}
    grown = [
        replace(part, amount=max(part.amount, moved(old[key], change)))
        if change.times > 1 and (key := (part.name, part.region)) in old
        else part
        for part in new
    ]
    named = {(part.name, part.region) for part in new}
    return [*(part for part in kept if (part.name, part.region) not in named), *grown]


def _with(part: Part, amount: float) -> Part:
    return replace(part, amount=min(1.0, round(amount, 2)))
