"""The edits of a film or a session over time: what is asked when. Reads and writes the JSON of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ, Edit

MOST_EDITS = 10_000
MOST_PROMPT = 2000  # characters; the protocol's limit
_ALLOWED = {
    "version": "1",
    "model": "text, the name of a model",
    "edits": "a list of edits",
    "at": "a number, seconds from 0",
    "prompt": f"text of at most {MOST_PROMPT} characters",
    "strength": "a number from 0 to 1",
    "transitionMs": "a whole number from 0 to 60000",
    "seed": f"a whole number from 0 to {2**32 - 1}",
}
# As msgspec says what it refuses, and where.
_AT = re.compile(r"(?P<what>.*?)(?: - at `\$(?:\.edits\[(?P<edit>\d+)\])?\.?(?P<field>\w*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


class EditAt(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One instruction of a timeline; `at` in seconds from the first frame."""

    at: float = 0.0
    prompt: str = ""
    strength: float = 1.0
    transition_ms: int = 400
    seed: int = 0


class Timeline(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Edits by rising `at`. `model` "" is the renderer's choice."""

    version: int = 1
    model: str = ""
    edits: tuple[EditAt, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """An edit with the tick it takes force at: with the first frame that is not before it."""

    at: int
    edit: Edit


def read_timeline(data: bytes) -> Timeline:
    """Raises FilmError naming the field that is wrong."""
    try:
        made = msgspec.json.decode(data, type=Timeline)
    except msgspec.ValidationError as error:
        raise FilmError(_in_words(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FilmError(f"this is no timeline: it is no JSON, or cut off ({error})") from error
    return check_timeline(made)


def check_timeline(timeline: Timeline) -> Timeline:
    """The same, its edits in order. Raises FilmError for values out of range."""
    if timeline.version != 1:
        raise FilmError(f"a timeline of version {timeline.version}: this relens reads version 1")
    if len(timeline.edits) > MOST_EDITS:
        raise FilmError(f"{len(timeline.edits)} edits in a timeline: at most {MOST_EDITS}")
    for index, edit in enumerate(timeline.edits):
        wrong = _wrong(edit)
        if wrong:
            raise FilmError(f"edit {index} of the timeline: {wrong}")
    ordered = tuple(sorted(timeline.edits, key=lambda edit: edit.at))  # stable
    return msgspec.structs.replace(timeline, edits=ordered)


def steps_of(timeline: Timeline) -> tuple[Step, ...]:
    """With revisions counted from 1, as a live stream counts them."""
    return tuple(
        Step(
            round(each.at * CLOCK_HZ),
            Edit(number, each.prompt, each.strength, each.transition_ms, each.seed),
        )
        for number, each in enumerate(timeline.edits, 1)
    )


def write_timeline(edits: Sequence[EditAt], model: str = "") -> bytes:
    return msgspec.json.format(msgspec.json.encode(Timeline(model=model, edits=tuple(edits))))


def _in_words(said: str) -> str:
    """What msgspec refused: which field, and what it takes; what msgspec says where we know no better."""
    found = _AT.fullmatch(said)
    if found is None:
        return f"this is no timeline: {said}"
    inside = f"edit {found['edit']} of the timeline" if found["edit"] else "the timeline"
    fields = msgspec.structs.fields(EditAt if found["edit"] else Timeline)
    names = ", ".join(field.encode_name for field in fields)
    if unknown := _UNKNOWN.fullmatch(found["what"]):
        return f"{inside}: there is no field {unknown[1][:40]!r}; it has {names}"
    if allowed := _ALLOWED.get(found["field"]):
        return f"{inside}: {found['field']} must be {allowed}"
    return f"this is no timeline: {inside} must be an object of {names}"


def _wrong(edit: EditAt) -> str:
    if not 0 <= edit.at < 1e6:
        return f"at is {edit.at}: seconds from 0"
    if not 0 <= edit.strength <= 1:
        return f"strength is {edit.strength}: 0 to 1"
    if not 0 <= edit.transition_ms <= 60_000:
        return f"transitionMs is {edit.transition_ms}: 0 to 60000"
    if not 0 <= edit.seed < 2**32:
        return f"seed is {edit.seed}: 0 to {2**32 - 1}"
    if len(edit.prompt) > MOST_PROMPT:
        return f"a prompt of {len(edit.prompt)} characters: at most {MOST_PROMPT}"
    return ""
