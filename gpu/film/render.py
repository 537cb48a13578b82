"""Edit a span of a film: the same frames for the same span, whoever asks and whatever was rendered before.

A span begins with a state of its own. Where it does not begin with another scene, the frames before it are
edited too and dropped, so that the model's cache is warm and the seam is not seen. Knows no files of its own
and no encoders.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from gpu.editor import Editor
from gpu.film.index import I64
from gpu.film.timeline import Step
from gpu.film.types import FilmError, Span
from gpu.history import settled_in_order
from gpu.models.base import EditModel
from gpu.types import CLOCK_HZ, Edit, Frame

# Nano's seams are within 55 dB of a film edited in one go from there on, which its encoding hides (10 dB more
# with 1 s); `tests/gpu/film/test_film_render.py` holds it to 50.
PREROLL_S = 0.5
MOST_UNDER_WAY = 8  # transitions one in another: of what came before them nothing is seen any more


class Frames(Protocol):
    """What is asked of a film: its reader (gpu/film/reader.py) is one."""

    @property
    def ticks(self) -> I64:
        """[N]: when each frame is shown, from 0."""
        ...

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


def begins(span: Span, preroll_s: float = PREROLL_S) -> int:
    """The tick from which on frames are edited for a span."""
    return span.start if span.scene else max(0, span.start - round(preroll_s * CLOCK_HZ))


def steps_within(steps: Sequence[Step], start: int, end: int) -> tuple[Step, ...]:
    """What of `steps` can be seen between two ticks, in order: the edit in force at `start`, without a
    transition, then those up to `end`. Where a transition is under way at `start`, the first is the edit that
    it comes from, and steps before `start` follow."""
    at = bisect_right(steps, start, key=lambda step: step.at) - 1
    first, now = at, start
    while first >= 0 and _under_way(steps[first], now) and at - first < MOST_UNDER_WAY:
        now = steps[first].at
        first -= 1
    settled = steps[first].edit if first >= 0 else Edit()
    later = (step for step in steps[at + 1 :] if step.at < end)
    return (Step(now, replace(settled, transition_ms=0)), *steps[first + 1 : at + 1], *later)


def _under_way(step: Step, now: int) -> bool:
    """At a film's beginning there is nothing to come from."""
    return step.at > 0 and step.at + step.edit.transition_ms * CLOCK_HZ // 1000 > now


def render_span(
    model: EditModel,
    film: Frames,
    span: Span,
    steps: Sequence[Step],
    preroll_s: float = PREROLL_S,
) -> Iterator[Frame]:
    """The span's frames edited, in order, same size and pts; `steps` as `resolved` gives them.

    The edit in force where the pre-roll begins is there at once, but a transition under way goes on from
    where it is. Frames are edited in the model's chunks counted from the first one read, the last chunk
    filled up. Raises FilmError when the film gives other frames than the span says, FrameError and ModelError
    as the model does."""
    start = begins(span, preroll_s)
    editor = Editor(model, briefly=True)
    seen = steps_within(steps, start, span.end)
    editor.want(seen[0].edit)
    pending = list(seen[1:])
    size = model.spec.frames_per_chunk
    chunk: list[Frame] = []
    given = 0
    try:
        for frame in film.frames(start, span.end):
            while pending and pending[0].at <= start:
                _catch_up(editor, film, frame, size, pending[0].at)
                editor.want(pending.pop(0).edit)
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


def _catch_up(editor: Editor, film: Frames, frame: Frame, size: int, at: int) -> None:
    """Bring the model's clock to the frame before `at`, so that a transition asked for next has begun then:
    models count them by the time of the frames. The picture is one to come, which spares decoding."""
    before = int(film.ticks[max(0, int(np.searchsorted(film.ticks, at)) - 1)])
    editor.edit([replace(frame, pts=before - (size - 1 - number)) for number in range(size)])


def _edit(editor: Editor, chunk: list[Frame], size: int, start: int) -> Iterator[Frame]:
    filled = chunk + [chunk[-1]] * (size - len(chunk))
    for edited in editor.edit(filled)[: len(chunk)]:
        if edited.frame.pts >= start:
            yield edited.frame
