"""Readings of words that hang on what is in force: a change, and of which edits. Knows no network."""

from __future__ import annotations

from dataclasses import replace

from gpu.nano.text.labels import label_of
from gpu.types import Change, Part, Reading

NOTHING_RUNS = 'nothing is in force that could be more or less: ask for an edit first, such as "make it rain"'
_SURE = 0.6  # of which edit a thing is
# What is more of the same where it runs: a night is darker, a sunset warmer.
_AKIN = {
    "darken": ("night", "noir", "blue_hour"),
    "night": ("darken", "noir", "blue_hour"),
    "brighten": ("high_key",),
    "warm": ("golden_hour", "sunset"),
    "cool": ("winter", "blue_hour"),
}
# Of which the one undoes the other.
OPPOSITE = {"darken": "brighten", "brighten": "darken", "warm": "cool", "cool": "warm"}
_SOFTENED = 0.4  # of the opposite, as of "slightly darker"
_NEVER_GONE = "backdrop"  # "remove the background" asks for one


def more_or_less(change: Change) -> Reading:
    """Of all that is in force. By itself it asks for nothing."""
    return Reading((), 0.0, (), False, note=NOTHING_RUNS, change=change)


def changing(change: Change, thing: Reading, alone: Reading, is_of_place: bool = False) -> Reading:
    """`alone`, where none of the edits runs that `thing` names; as it is where that names no single one, and,
    of what is to be gone, none. `is_of_place`: it is of those in the place of `alone` only."""
    names = _single(thing)
    if change.takes_away:
        names = tuple(part.name for part in thing.parts) if thing.confidence >= _SURE else ()
        heard = {part.name for part in alone.parts}  # "no colour" is black and white, "rain off" still rain
        ends = not alone.note and heard <= {*names} - {_NEVER_GONE}
        return replace(alone, change=replace(change, of=names)) if names and ends else alone
    if is_of_place:
        if len(regions := {part.region for part in alone.parts}) != 1:
            return alone
        change = replace(change, place=regions.pop())
    if change.times > 1 or change.plus > 0:
        names = _single(alone) + names
        if names and not (alone.parts or alone.note):  # the thing is known, more of it was not taught
            alone = thing
    elif set(names) >= {part.name for part in alone.parts} and (against := OPPOSITE.get("".join(names))):
        part = Part(against, _SOFTENED)  # "too bright" is darker
        alone = replace(
            alone, parts=(part,), confidence=thing.confidence, understood=True, label=label_of(part)
        )
    if not names:
        return alone
    of = dict.fromkeys([*names, *(akin for name in names for akin in _AKIN.get(name, ()))])
    return replace(alone, change=replace(change, of=tuple(of)))


def beside(alone: Reading, change: Change) -> Reading:
    """`alone`, to go beside what is in force."""
    return replace(alone, change=change) if alone.parts else alone


def _single(reading: Reading) -> tuple[str, ...]:
    names = {part.name for part in reading.parts}
    return tuple(names) if len(names) == 1 and reading.confidence >= _SURE else ()
