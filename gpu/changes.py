"""More or less of an edit in force: what it becomes, and in words how much that is. Pure; hears no words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from gpu.nano.text.labels import label_of
from gpu.nano.text.relative import NOTHING_RUNS
from gpu.nano.text.spelled import spelled
from gpu.types import Change, Edit, Part, Reading

LEAST = 0.1  # "a bit less" never ends an edit: "undo" does
ADDED = 0.4  # most of what is laid over an edit that can be no stronger
_STRONGEST, _WEAKEST = "already at its strongest", 'already at its weakest: say "undo" to have it gone'


def changed(
    running: Edit, asked: Edit, reading: Reading, read: Callable[[str], Reading]
) -> tuple[Edit, Reading]:
    """What `asked`, read as `reading`, makes of the edit `running`: the edit to be in force, and what it was
    taken for with a note. Where that is not understood the note says why nothing can be made of it."""
    change, runs = reading.change or Change(), read(running.prompt)
    edit = replace(running, revision=asked.revision, transition_ms=asked.transition_ms)
    does = runs.understood and not _is_source(runs) and (running.strength > 0 or change.times == 0)
    if change.adds and does and runs.parts:
        return _beside(edit, runs, reading, read)
    if not change.of and not change.adds:
        return _all(edit, runs, change, read) if does else (asked, _nothing(NOTHING_RUNS))
    name = _movable(runs.parts, change)
    if does and name:
        return _one(edit, runs, reading, name, read)
    if does and change.takes_away:
        note = f'nothing of the kind is in force, but {runs.label}: say "undo" to have that gone'
        return asked, _nothing(note)
    if reading.parts:  # spelled out, as in force its own words would mean another thing
        prompt = spelled(reading.parts)
        return replace(asked, prompt=prompt), reading if prompt else read(prompt)
    return (replace(asked, prompt="") if reading.understood else asked), reading


def _all(edit: Edit, runs: Reading, change: Change, read: Callable[[str], Reading]) -> tuple[Edit, Reading]:
    """The strength; once that is full, each part's amount."""
    strength = _moved(edit.strength, change)
    parts = runs.parts
    if strength == edit.strength == 1 or change.plus >= 1:
        parts = tuple(replace(part, amount=_moved(part.amount, change)) for part in parts)
    if strength == edit.strength and parts == runs.parts:
        return edit, replace(runs, note=_at_its_end(change))
    note = _strength(strength)
    if parts != runs.parts:
        edit = replace(edit, prompt=spelled(parts))
        runs, note = read(edit.prompt), _amounts(parts)
    return replace(edit, strength=strength), replace(runs, note=note)


def _one(
    edit: Edit, runs: Reading, reading: Reading, name: str, read: Callable[[str], Reading]
) -> tuple[Edit, Reading]:
    """The amount of one edit among those in force, wherever it is; once that is full, the strength of all."""
    change = reading.change or Change()
    if change.takes_away:
        parts = tuple(part for part in runs.parts if part.name != name)
        edit = replace(edit, prompt=spelled(parts))
        return edit, read(edit.prompt)
    parts = tuple(
        replace(part, amount=_moved(part.amount, change)) if part.name == name else part
        for part in runs.parts
    )
    if parts == runs.parts:
        new = tuple(_a_little(part) for part in reading.parts if all(part.name != one.name for one in parts))
        strength = _moved(edit.strength, change)
        if new:  # the night is as dark as it gets: "even darker" darkens it
            parts = (*parts, *new)
        elif strength != edit.strength and len(parts) == 1:
            return replace(edit, strength=strength), replace(runs, note=_strength(strength))
        else:
            return edit, replace(runs, note=_at_its_end(change))
    edit = replace(edit, prompt=spelled(parts))
    note = _amounts(part for part in parts if part not in runs.parts)
    return edit, replace(read(edit.prompt), note=note)


def _beside(
    edit: Edit, runs: Reading, reading: Reading, read: Callable[[str], Reading]
) -> tuple[Edit, Reading]:
    """What is in force and what is asked for, of the same thing in the same place the newer amount."""
    asked = {(part.name, part.region) for part in reading.parts}
    kept = [part for part in runs.parts if (part.name, part.region) not in asked]
    edit = replace(edit, prompt=spelled([*kept, *reading.parts]))
    both = read(edit.prompt)
    confidence, left_out = min(reading.confidence, both.confidence), (*both.left_out, *reading.left_out)
    return edit, replace(both, confidence=confidence, left_out=left_out)


def _movable(parts: Iterable[Part], change: Change) -> str:
    """Which of the edits that the change may be of is in force and has room left, or at least is in force."""
    amounts = {part.name: part.amount for part in parts}
    running = [name for name in change.of if name in amounts]
    free = [name for name in running if _moved(amounts[name], change) != amounts[name]]
    return next(iter([*free, *running]), "")


def _moved(value: float, change: Change) -> float:
    """0..1, to a hundredth; not below LEAST where it was above and nothing below is named, and at least that
    where "a bit more" of hardly anything would be no more."""
    wanted = min(1.0, max(0.0, round(change.times * value + change.plus, 2)))
    if change.times > 1 and wanted <= value < LEAST:
        return LEAST
    return max(wanted, min(value, LEAST)) if change.times > 0 else wanted


def _a_little(part: Part) -> Part:
    return replace(part, amount=min(part.amount, ADDED))


def _at_its_end(change: Change) -> str:
    if change.times == 0 and change.plus < 1:
        return f"already at {change.plus:.0%}"
    return _STRONGEST if change.times * LEAST + change.plus > LEAST else _WEAKEST


def _strength(strength: float) -> str:
    return f"at a strength of {strength:.0%}"


def _amounts(parts: Iterable[Part]) -> str:
    return ", ".join(f"{label_of(part)} at {part.amount:.0%}" for part in parts)


def _is_source(reading: Reading) -> bool:
    return not reading.parts and reading.label in ("", "original")


def _nothing(note: str) -> Reading:
    return Reading((), 0.0, (), False, note=note)
