"""More or less of an edit in force: what it becomes, and in words how much that is. Pure; hears no words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from gpu.amounts import Mix, all_moved, has_room, is_there, laid_over, one_moved
from gpu.nano.edits import EDIT_BY_NAME
from gpu.nano.text.labels import label_of, labels_of
from gpu.nano.text.relative import NOTHING_RUNS, OPPOSITE
from gpu.nano.text.spelled import spelled
from gpu.types import Change, Edit, Part, Reading

ADDED = 0.4  # most of what is laid over an edit that can be no stronger, and of "a bit more" of what is new
_A_BIT = 1.3  # times: less is a bit
_STRONGEST, _WEAKEST = "already at its strongest", 'already at its weakest: say "undo" to have it gone'
_AT_NOTHING = 'say "more" or "50%" to have it back'
_ARTS = ("paint", "draw")  # one in each place
_ELSEWHERE: dict[str, Literal["background", "person"]] = {"background": "person", "person": "background"}

Read = Callable[[str], Reading]


def changed(running: Edit, asked: Edit, reading: Reading, read: Read) -> tuple[Edit, Reading]:
    """What `asked`, read as `reading`, makes of the edit `running`: the edit to be in force, and what it was
    taken for with a note. Where that is not understood the note says why nothing can be made of it."""
    change, runs = reading.change or Change(), read(running.prompt)
    edit = replace(running, revision=asked.revision, transition_ms=asked.transition_ms)
    does = runs.understood and not is_source(runs)
    if reading.then:
        in_turn = does or not reading.parts
        return _in_turn(running, asked, reading.then, read) if in_turn else _alone(asked, reading, read)
    if not change.of and not change.adds:
        return _all(edit, runs, change, read) if does else (asked, _nothing(NOTHING_RUNS))
    if change.takes_away:
        return _without(edit, runs, change, read) or (asked, _nothing(_none_to_stop(runs, change, does)))
    if does and (name := _movable(Mix(runs.parts, running.strength), change)):
        return _one(edit, runs, reading, name, read)
    if does and _is_less(reading, change):
        return asked, _nothing(
            f"there is no {_named(change.of[:1])} that could be less: {runs.label} is in force"
        )
    if does and runs.parts and reading.parts and running.strength > 0:
        return _beside(edit, runs, reading, read)
    return _alone(asked, reading, read)


def _alone(asked: Edit, reading: Reading, read: Read) -> tuple[Edit, Reading]:
    """What the words ask for by themselves, spelled out, as in force they would mean another thing."""
    if not reading.understood:
        return asked, reading
    edit = replace(asked, prompt=spelled(reading.parts))
    is_all = all(part.amount > 0 for part in reading.parts)
    return edit, reading if is_all else replace(read(edit.prompt), left_out=reading.left_out)


def _in_turn(running: Edit, asked: Edit, changes: Iterable[Reading], read: Read) -> tuple[Edit, Reading]:
    """What can be done of several changes, one after the other, and what is to be said of each."""
    made: Reading | None = None
    notes, left_out = list[str](), list[str]()
    for one in changes:
        edit, taken = changed(running, asked, one, read)
        notes.append(taken.note)
        if taken.understood:
            running, made = edit, taken
            left_out += [said for said in taken.left_out if said not in left_out]
    note = "; ".join(filter(None, notes))
    if made is None:
        return asked, _nothing(note)
    return running, replace(made, note=note, left_out=tuple(left_out))


def _all(edit: Edit, runs: Reading, change: Change, read: Read) -> tuple[Edit, Reading]:
    """The strength; once that is full, each part's amount."""
    before = Mix(runs.parts, edit.strength)
    after = all_moved(before, change)
    if after == before:
        return edit, replace(runs, note=_at_its_end(change, edit.strength))
    if after.parts == before.parts:
        return replace(edit, strength=after.strength), replace(runs, note=_strength(after))
    edit = replace(edit, prompt=spelled(after.parts), strength=after.strength)
    return edit, replace(read(edit.prompt), note=_seen(after, after.parts))


def _one(edit: Edit, runs: Reading, reading: Reading, name: str, read: Read) -> tuple[Edit, Reading]:
    """What is seen of one edit among those in force, wherever it is."""
    change, before = reading.change or Change(), Mix(runs.parts, edit.strength)
    after = one_moved(before, name, change)
    if after == before:
        new = [_a_little(part) for part in reading.parts if all(part.name != one.name for one in runs.parts)]
        if not new:
            return edit, replace(runs, note=_at_its_end(change, edit.strength))
        after = replace(before, parts=(*before.parts, *new))  # the night is as dark as it gets: darken it
        told = new
    else:
        told = [part for part in after.parts if part.name == name and is_there(part, change)]
    if after.parts == before.parts:
        return replace(edit, strength=after.strength), replace(runs, note=_strength(after))
    edit = replace(edit, prompt=spelled(after.parts), strength=after.strength)
    return edit, replace(read(edit.prompt), note=_seen(after, told))


def _without(edit: Edit, runs: Reading, change: Change, read: Read) -> tuple[Edit, Reading] | None:
    """What is in force but for what the change names; None where none of that is in force."""
    gone = [part for part in runs.parts if part.name in change.of]
    if not gone:
        return None
    kept = tuple(part for part in runs.parts if part not in gone)
    edit = replace(edit, prompt=spelled(kept))
    return edit, replace(read(edit.prompt), note=_gone(gone, kept))


def _beside(edit: Edit, runs: Reading, reading: Reading, read: Read) -> tuple[Edit, Reading]:
    """What is in force and what is asked for. Of two arts in one place, and of two that undo each other, the
    newer goes on with what is left of it."""
    change = reading.change or Change()
    asked = [_a_little(part) for part in reading.parts] if 1 < change.times < _A_BIT else reading.parts
    kept, new = _weighed(runs.parts, asked)
    kept = [_given_way(part, new) for part in kept]
    replaced = [part for part in kept if any(_is_in_the_way(part, one) for one in new)]
    mix = Mix(tuple(laid_over([part for part in kept if part not in replaced], new, change)), edit.strength)
    edit = replace(edit, prompt=spelled(mix.parts))
    both = read(edit.prompt)
    names = {part.name for part in reading.parts}
    note = _seen(mix, [part for part in mix.parts if part.name in names or part not in runs.parts])
    if replaced:
        note += f", in the place of {labels_of(replaced)}"
    note = note or _gone([part for part in runs.parts if part not in mix.parts], mix.parts)
    confidence, left_out = min(reading.confidence, both.confidence), (*both.left_out, *reading.left_out)
    return edit, replace(both, confidence=confidence, left_out=left_out, note=note)


def _weighed(kept: Iterable[Part], new: Iterable[Part]) -> tuple[list[Part], list[Part]]:
    """Both without what they undo of each other: "a bit darker" takes from what was brightened."""
    left, added = list(kept), list[Part]()
    for part in new:
        wanted = (OPPOSITE.get(part.name), part.region)
        against = next((one for one in left if (one.name, one.region) == wanted), None)
        rest = round(part.amount - (against.amount if against else 0.0), 2)
        if against and rest <= 0:
            at = left.index(against)
            left[at : at + 1] = [replace(against, amount=-rest)] if rest < 0 else []
        else:
            left = [one for one in left if one is not against]
            added.append(replace(part, amount=rest))
    return left, added


def _given_way(old: Part, new: Iterable[Part]) -> Part:
    """An art of everything goes on where a new one is not that is of one place."""
    for one in new:
        if old.region == "everywhere" and one.region in _ELSEWHERE and _is_in_the_way(old, one):
            return replace(old, region=_ELSEWHERE[one.region])
    return old


def _is_in_the_way(old: Part, new: Part) -> bool:
    """Whether both are arts of one place, which holds one."""
    arts = all(EDIT_BY_NAME[part.name].kind in _ARTS for part in (old, new))
    return (
        arts
        and old.name != new.name
        and (old.region == new.region or "everywhere" in (old.region, new.region))
    )


def _movable(mix: Mix, change: Change) -> str:
    """Which of the edits that the change may be of is in force and has room left, or at least is in force."""
    there = {part.name for part in mix.parts if is_there(part, change)}
    running = [name for name in change.of if name in there]
    return next(iter([*(name for name in running if has_room(mix, name, change)), *running]), "")


def _is_less(reading: Reading, change: Change) -> bool:
    """Whether it is less of a thing and nothing else: "less dark" is brighter, too."""
    names = {part.name for part in reading.parts}
    return change.times <= 1 and change.plus <= 0 and not change.adds and names <= set(change.of)


def _a_little(part: Part) -> Part:
    return replace(part, amount=min(part.amount, ADDED))


def _at_its_end(change: Change, strength: float) -> str:
    if strength <= 0:
        return f"already at 0%: {_AT_NOTHING}"
    if change.times == 0 and change.plus < 1:
        return f"already at {change.plus:.0%}"
    return _STRONGEST if change.times > 1 or change.plus > 0 else _WEAKEST


def _strength(mix: Mix) -> str:
    """How strong all is, and what that makes of parts that are not full themselves."""
    note = f"at a strength of {mix.strength:.0%}"
    if mix.strength <= 0:
        return f"{note}: {_AT_NOTHING}"
    return f"{note}: {_seen(mix, mix.parts)}" if any(part.amount < 1 for part in mix.parts) else note


def _seen(mix: Mix, parts: Iterable[Part]) -> str:
    return ", ".join(f"{label_of(part)} at {mix.seen(part):.0%}" for part in parts)


def _gone(gone: Iterable[Part], kept: Iterable[Part]) -> str:
    names, stay = list(dict.fromkeys(part.name for part in gone)), list(kept)
    note = f"{_named(names)} {'is' if len(names) == 1 else 'are'} gone, "
    if not stay:
        return note + "and nothing else was in force: the source is back"
    return note + f"{labels_of(stay)} {'stays' if len(stay) == 1 else 'stay'}"


def _none_to_stop(runs: Reading, change: Change, does: bool) -> str:
    what = f"{runs.label} is in force" if does else "nothing is in force"
    return f"there is no {_named(change.of)} to stop: {what}"


def _named(names: Iterable[str]) -> str:
    return " and ".join(EDIT_BY_NAME[name].label.lower() for name in names)


def is_source(reading: Reading) -> bool:
    """Whether it leaves the picture as it came; what is not understood has no label either."""
    return not reading.parts and reading.label in ("", "original")


def _nothing(note: str) -> Reading:
    return Reading((), 0.0, (), False, note=note)
