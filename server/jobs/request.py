"""What POST /edit-video asks for, read and checked. Knows models' words, no HTTP and no database."""

from __future__ import annotations

from typing import Any

import msgspec

from gpu.film.timeline import MOST_PROMPT, EditAt, Timeline, check_timeline, steps_of
from gpu.film.types import FilmError, FilmInfo
from gpu.history import settled_in_order
from gpu.models.base import EditModel
from server.errors import ProtocolError
from server.reading import why_not
from server.wrong import in_words

_ALSO = {"video_id": "videoId"}  # as architecture's first clients say it


class EditVideo(msgspec.Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Edit a whole film: by one instruction, or by a timeline of them. `model`: without it the timeline's, or
    the server's default. `strength` (0 to 1) and `seed` go with an instruction."""

    video_id: str
    instruction: str | None = None
    timeline: Timeline | None = None
    strength: float = 1.0
    model: str = ""
    seed: int = 0


class NotUnderstood(FilmError):
    """The model takes nothing of it for an edit."""


def read_request(body: bytes) -> EditVideo:
    """Raises ProtocolError naming what is wrong."""
    try:
        said: Any = msgspec.json.decode(body)
        if isinstance(said, dict):
            for old, new in _ALSO.items():
                if old in said and new in said:
                    raise ProtocolError(f"{old} and {new} at once: give one of them")
                said = {new if name == old else name: value for name, value in said.items()}
        made = msgspec.convert(said, EditVideo)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the body is not what is asked for: {in_words(error)}") from error
    if (made.instruction is None) == (made.timeline is None):
        raise ProtocolError("give instruction, or timeline, and not both")
    if made.instruction is None and (made.strength != 1.0 or made.seed):
        raise ProtocolError("strength and seed go with an instruction: in a timeline each edit has its own")
    if made.instruction is not None and not made.instruction.strip():
        raise ProtocolError("instruction is empty: say what should change")
    if made.instruction is not None and len(made.instruction) > MOST_PROMPT:
        raise ProtocolError(f"instruction has {len(made.instruction)} characters: at most {MOST_PROMPT}")
    return made


def timeline_of(request: EditVideo, model: str) -> Timeline:
    """What the job keeps: its edits in order, its model named. Raises FilmError for values out of range."""
    if request.timeline is not None:
        return msgspec.structs.replace(check_timeline(request.timeline), model=model)
    edit = EditAt(
        prompt=request.instruction or "", strength=request.strength, seed=request.seed, transition_ms=0
    )
    return check_timeline(Timeline(model=model, edits=(edit,)))


def plain(timeline: Timeline) -> dict[str, Any]:
    """As a database's JSON gives it back, to be compared with."""
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(timeline))
    return made


def check_understood(model: EditModel, timeline: Timeline) -> None:
    """Raises NotUnderstood where the model understands none of the instructions, with the nearest it knows;
    as in a live session, one among others that it does not understand changes nothing."""
    edits = [step.edit for step in steps_of(timeline)]
    readings = [settled.reading for settled in settled_in_order(edits, model.read)]
    if readings and not any(reading.understood for reading in readings):
        raise NotUnderstood(f"{model.spec.name} cannot do {edits[0].prompt[:200]!r}{why_not(readings[0])}")


def check_size(model: EditModel, info: FilmInfo) -> None:
    """Raises FilmError for a film larger than the model takes, before anything is rendered."""
    width, height = model.spec.max_size
    if info.video.width > width or info.video.height > height:
        raise FilmError(
            f"the film is {info.video.width}x{info.video.height}, {model.spec.name} takes up to "
            f"{width}x{height}: choose another model, or send it smaller"
        )
