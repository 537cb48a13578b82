"""Spans are rendered alike whoever asks: seams, timelines, chunks; work is named by all that decides it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from streams import TintModel, TintState

from gpu.film.render import MOST_UNDER_WAY, in_force, render_span, resolved, steps_within
from gpu.film.timeline import Step
from gpu.film.types import FilmError, Span
from gpu.film.work import work_key
from gpu.models.passthrough import PassthroughModel
from gpu.types import Edit, Frame, Reading

TICKS = 3000  # a frame
W, H = 32, 16


class Film:
    """`count` frames, each of the luma of its number."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.ticks = np.arange(count, dtype=np.int64) * TICKS
        self.asked: list[tuple[int, int | None]] = []

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        self.asked.append((start, end))
        for number in range(self.count):
            if start <= number * TICKS < (self.count * TICKS if end is None else end):
                chroma = np.full((H // 2, W // 2), 128, np.uint8)
                yield Frame(np.full((H, W), number, np.uint8), chroma, chroma, number * TICKS)


def span(first: int, frames: int, scene: bool = False, index: int = 0) -> Span:
    return Span(index, first, frames, first * TICKS, (first + frames) * TICKS, scene)


class Noted(TintModel):
    """Says for each chunk which frames it was given, and under which edit."""

    def __init__(self, frames_per_chunk: int = 1) -> None:
        super().__init__()
        self._spec = replace(self._spec, frames_per_chunk=frames_per_chunk)
        self.seen: list[tuple[int, str]] = []

    def step(self, state: TintState, chunk: Sequence[Frame]) -> list[Frame]:  # type: ignore[override]
        self.seen += [(frame.pts // TICKS, state.edit.prompt) for frame in chunk]
        return list(chunk)


def numbers(frames: Iterator[Frame]) -> list[int]:
    return [frame.pts // TICKS for frame in frames]


def test_a_span_gives_its_frames_and_asks_for_what_comes_before_a_seam() -> None:
    film, model = Film(100), Noted()
    assert numbers(render_span(model, film, span(40, 10), ())) == list(range(40, 50))
    assert film.asked == [(25 * TICKS, 50 * TICKS)]  # half a second, at 30 frames
    assert [number for number, _ in model.seen] == list(range(25, 50))


def test_a_scene_needs_nothing_before_it() -> None:
    film, model = Film(100), Noted()
    assert numbers(render_span(model, film, span(40, 10, scene=True), ())) == list(range(40, 50))
    assert [number for number, _ in model.seen] == list(range(40, 50))


@pytest.mark.parametrize("chunk", [1, 4, 12])
def test_chunks_do_not_change_which_frames_come(chunk: int) -> None:
    model = Noted(chunk)
    assert numbers(render_span(model, Film(100), span(33, 9), ())) == list(range(33, 42))
    assert len(model.seen) % chunk == 0


def test_edits_take_force_at_their_frame_and_the_one_before_a_span_at_once() -> None:
    steps = (
        Step(0, Edit(1, "red")),
        Step(20 * TICKS + 1, Edit(2, "green")),
        Step(45 * TICKS, Edit(3, "blue", transition_ms=0)),
        Step(90 * TICKS, Edit(4, "late")),
    )
    model = Noted()
    list(render_span(model, Film(100), span(40, 10, scene=True), steps))
    assert model.seen == [(n, "green" if n < 45 else "blue") for n in range(40, 50)]
    model = Noted()
    list(render_span(model, Film(100), span(10, 15, scene=True), steps))
    assert [prompt for _, prompt in model.seen] == ["red"] * 11 + ["green"] * 4


def test_a_film_of_other_frames_than_the_span_is_refused() -> None:
    with pytest.raises(FilmError, match="has 5 frames and should have 10"):
        list(render_span(Noted(), Film(45), span(40, 10), ()))


def test_rendering_twice_and_out_of_order_gives_the_same_bytes() -> None:
    from gpu.models.nano import NanoModel

    model = NanoModel.load(threads=1)
    steps = resolved(model, (Step(0, Edit(1, "sepia")), Step(12 * TICKS, Edit(2, "make it night"))))

    def render(order: Sequence[int]) -> dict[int, bytes]:
        made = {}
        for index in order:
            frames = render_span(model, Film(32), span(index * 8, 8, index == 0, index), steps)
            made[index] = b"".join(f.y.tobytes() + f.u.tobytes() + f.v.tobytes() for f in frames)
        return made

    assert render([0, 1, 2, 3]) == render([3, 1, 0, 2])
    model.close()


@pytest.mark.parametrize("prompt", ["starry night", "as a pencil sketch"])
def test_a_seam_is_not_seen(prompt: str) -> None:
    """Against the same film edited in one go; its encoding is some 40 dB from either."""
    from gpu.models.nano import NanoModel

    rng = np.random.default_rng(3)
    ground = cv2.GaussianBlur(rng.integers(0, 256, (120, 240), np.uint8), (0, 0), 3)

    class Moving(Film):
        def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
            chroma = np.full((48, 64), 128, np.uint8)
            for number in range(start // TICKS, (end or self.count * TICKS) // TICKS):
                yield Frame(ground[12:108, number : number + 128].copy(), chroma, chroma, number * TICKS)

    model = NanoModel.load(threads=1)
    steps = resolved(model, (Step(0, Edit(1, prompt)),))
    whole = list(render_span(model, Moving(62), span(0, 61, scene=True), steps))[60]
    parted = next(iter(render_span(model, Moving(62), span(60, 1), steps)))
    model.close()
    assert cv2.PSNR(whole.y, parted.y) > 45


FADES = {
    "one": (Step(0, Edit(1, "sepia")), Step(20 * TICKS, Edit(2, "make it night", transition_ms=3000))),
    "from the source": (Step(20 * TICKS + 1, Edit(1, "make it night", transition_ms=3000)),),
    "one in another": (
        Step(0, Edit(1, "sepia")),
        Step(20 * TICKS, Edit(2, "make it night", transition_ms=4000)),
        Step(40 * TICKS, Edit(3, "starry night", transition_ms=4000)),
    ),
    "over": (Step(0, Edit(1, "sepia")), Step(20 * TICKS, Edit(2, "make it night", transition_ms=600))),
}


@pytest.mark.parametrize("fade", FADES)
@pytest.mark.parametrize("scene", [False, True])
def test_a_transition_goes_on_over_a_seam(fade: str, scene: bool) -> None:
    from gpu.models.nano import NanoModel

    ground = np.random.default_rng(3).integers(60, 200, (12, 16), np.uint8).repeat(8, 0).repeat(8, 1)

    class Still(Film):
        def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
            for frame in super().frames(start, end):
                yield replace(frame, y=ground, u=ground[::2, ::2].copy(), v=ground[1::2, ::2].copy())

    model = NanoModel.load(threads=1)
    steps = resolved(model, FADES[fade])
    whole = list(render_span(model, Still(90), span(0, 90, scene=True), steps))
    parted = list(render_span(model, Still(90), span(60, 30, scene), steps))
    model.close()
    for one, other in zip(whole[60:], parted, strict=True):
        assert one.pts == other.pts
        assert abs(float(one.y.mean()) - float(other.y.mean())) < 0.5


class Reader(PassthroughModel):
    def read(self, prompt: str) -> Reading:
        return Reading((), 1.0, (), prompt != "nonsense", prompt, steps_back=prompt == "undo that")


def test_a_timeline_is_resolved_as_a_session_does_it() -> None:
    words = ["night", "nonsense", "snow", "undo that", "undo that", "undo that", "sepia"]
    steps = [Step(n, Edit(n + 1, word, transition_ms=n)) for n, word in enumerate(words)]
    made = resolved(Reader(), steps)
    assert [(step.at, step.edit.prompt) for step in made] == [
        (0, "night"), (2, "snow"), (3, "night"), (4, ""), (5, ""), (6, "sepia"),
    ]  # fmt: skip
    assert [step.edit.transition_ms for step in made] == [0, 2, 3, 4, 5, 6]
    assert in_force(made, 3).prompt == "night"
    assert in_force((), 3) == Edit()


def test_a_timelines_edit_may_be_said_of_the_one_before_it() -> None:
    from gpu.models.nano import NanoModel

    model = NanoModel.load(threads=1)
    words = ["more", "make it a rainy night", "less rain", "half of that", "undo that"]
    steps = [Step(n, Edit(n + 1, word, transition_ms=n)) for n, word in enumerate(words)]
    made = resolved(model, steps)
    model.close()
    assert [(step.at, step.edit.strength) for step in made] == [(1, 1.0), (2, 1.0), (3, 0.5), (4, 1.0)]
    assert made[1].edit.prompt == made[2].edit.prompt == made[3].edit.prompt
    assert "rain 55%" in made[1].edit.prompt
    assert resolved(model, made) == made


def test_work_is_the_same_only_where_all_that_decides_it_is() -> None:
    spec = replace(PassthroughModel().spec, identity="a")
    steps = (Step(0, Edit(1, "red")), Step(45 * TICKS, Edit(2, "blue")), Step(90 * TICKS, Edit(3, "late")))
    here = span(40, 10)
    key = work_key("film", here, steps, spec, {"crf": 18})
    later = (*steps[:2], Step(91 * TICKS, Edit(3, "later")))
    assert key == work_key("film", here, later, spec, {"crf": 18})  # nothing of it is seen here
    renumbered = (Step(0, Edit(7, "red")), *steps[1:])
    assert key == work_key("film", here, renumbered, spec, {"crf": 18})
    others = [
        work_key("other", here, steps, spec, {"crf": 18}),
        work_key("film", span(40, 11), steps, spec, {"crf": 18}),
        work_key("film", span(40, 10, scene=True), steps, spec, {"crf": 18}),
        work_key("film", here, steps[1:], spec, {"crf": 18}),
        work_key("film", here, (steps[0], Step(46 * TICKS, Edit(2, "blue"))), spec, {"crf": 18}),
        work_key("film", here, (Step(0, Edit(1, "red", seed=1)), *steps[1:]), spec, {"crf": 18}),
        work_key("film", here, steps, replace(spec, identity="b"), {"crf": 18}),
        work_key("film", here, steps, replace(spec, name="x"), {"crf": 18}),
        work_key("film", here, steps, spec, {"crf": 19}),
        work_key("film", here, steps, spec, {"crf": 18}, preroll_s=2.0),
    ]
    assert len({key, *others}) == 1 + len(others)


def test_steps_within_begin_with_the_edit_in_force() -> None:
    steps = (Step(10, Edit(1, "a", transition_ms=0)), Step(20, Edit(2, "b")), Step(30, Edit(3, "c")))
    assert steps_within(steps, 15, 30) == (Step(15, Edit(1, "a", transition_ms=0)), steps[1])
    assert steps_within((), 15, 30) == (Step(15, Edit(transition_ms=0)),)


def test_steps_within_begin_with_what_a_transition_comes_from() -> None:
    steps = (
        Step(9, Edit(1, "a", transition_ms=1)),
        Step(2 * 90, Edit(2, "b", transition_ms=4)),
        Step(900, Edit(3, "c")),
    )
    settled = Step(2 * 90, Edit(1, "a", transition_ms=0))
    assert steps_within(steps, 6 * 90 - 1, 900) == (settled, steps[1])
    overlapping = (replace(steps[0], edit=Edit(1, "a", transition_ms=2)), *steps[1:])
    assert steps_within(overlapping, 6 * 90 - 1, 900) == (Step(9, Edit(transition_ms=0)), *overlapping[:2])
    assert steps_within(steps, 6 * 90, 900) == (Step(6 * 90, Edit(2, "b", transition_ms=0)),)
    many = tuple(Step(1 + n, Edit(n, str(n), transition_ms=60_000)) for n in range(100))
    assert len(steps_within(many, 100, 900)) == 1 + MOST_UNDER_WAY


def test_the_work_of_a_seam_in_a_transition_is_named_by_what_it_comes_from() -> None:
    spec = replace(PassthroughModel().spec, identity="a")
    night = Step(39 * TICKS, Edit(2, "night", transition_ms=1000))
    keys = {
        work_key("film", span(40, 10, scene=True), (Step(0, Edit(1, first)), night), spec, {})
        for first in ("red", "blue")
    }
    assert len(keys) == 2
