"""Edit a span of a film: the same frames for the same span, whoever asks and whatever was rendered before.

A span begins with a state of its own. Where it does not begin with another scene, the frames before it are
edited too and dropped, so that the model's cache is warm and the seam is not seen. Knows no files of its own
and no encoders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from gpu.editor import Editor
from gpu.film.timeline import Step
from gpu.film.types import FilmError, Span
from gpu.history import settled_in_order
from gpu.models.base import EditModel
from gpu.types import CLOCK_HZ, Edit, Frame

# Nano's seams are within 55 dB of a film edited in one go from there on, which its encoding hides (10 dB more
# with 1 s); `tests/gpu/film/test_film_render.py` holds it to 50.
PREROLL_S = 0.5


class Frames(Protocol):
    """What is asked of a film: its reader (gpu/film/reader.py) is one."""

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """Frames with start <= pts < end, as shown, in order."""
        ...


def resolved(model: EditModel, steps: Sequence[Step]) -> tuple[Step, ...]:
    """What `model` makes of a timeline, as a live session does: what it does not understand changes nothing,
    and what hangs on the edit in force ("more", "undo that") becomes one that stands by itself."""
    settled = settled_in_order([step.edit for step in steps], model.read)
    return tuple(
        Step(step.at, each.edit) for step, each in zip(steps, settled, strict=True) if each.reading.understood
    )


def in_force(steps: Sequence[Step], at: int) -> Edit:
    """The edit that a frame at tick `at` is made under; of several at once, the last."""
    edit = Edit()
    for step in steps:
        if step.at > at:
            break
        edit = step.edit
    return edit


def steps_within(steps: Sequence[Step], start: int, end: int, frame_ticks: int = 0) -> tuple[Step, ...]:
    """What of `steps` can be seen between two ticks: the edit in force at `start`, then those up to `end`.

    `frame_ticks` before `start` still count as in force at once: a chunk may begin there."""
    first = in_force(steps, start + frame_ticks)
    later = tuple(step for step in steps if start + frame_ticks < step.at < end)
    return (Step(start, replace(first, transition_ms=0)), *later)


def render_span(
    model: EditModel,
    film: Frames,
    span: Span,
    steps: Sequence[Step],
    preroll_s: float = PREROLL_S,
) -> Iterator[Frame]:
    """The span's frames edited, in order, same size and pts; `steps` as `resolved` gives them.

    The edit in force where the pre-roll begins is there at once, without a transition. Frames are edited in
    the model's chunks counted from the first one read, the last chunk filled up. Raises FilmError when the
    film gives other frames than the span says, FrameError and ModelError as the model does."""
    start = span.start if span.scene else max(0, span.start - round(preroll_s * CLOCK_HZ))
    editor = Editor(model, briefly=True)
    seen = steps_within(steps, start, span.end)
    editor.want(seen[0].edit)
    pending = list(seen[1:])
    size = model.spec.frames_per_chunk
    chunk: list[Frame] = []
    given = 0
    try:
        for frame in film.frames(start, span.end):
            if len(chunk) == size:
                for edited in _edit(editor, chunk, size, span.start):
                    given += 1
                    yield edited
                chunk = []
            while pending and pending[0].at <= frame.pts:
                editor.want(pending.pop(0).edit)
            chunk.append(frame)
        if chunk:
            for edited in _edit(editor, chunk, size, span.start):
                given += 1
                yield edited
    finally:
        editor.close()
    if given != span.frames:
        raise FilmError(
            f"segment {span.index} has {given} frames and should have {span.frames}: the file has changed, "
            "or is damaged there; upload it again"
        )


def _edit(editor: Editor, chunk: list[Frame], size: int, start: int) -> Iterator[Frame]:
    filled = chunk + [chunk[-1]] * (size - len(chunk))
    for edited in editor.edit(filled)[: len(chunk)]:
        if edited.frame.pts >= start:
            yield edited.frame
