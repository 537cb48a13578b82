from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu.film.cut import Cutter, Lengths, cut, even_spans, find_spans
from gpu.film.types import FilmError, Span
from gpu.types import CLOCK_HZ, Frame
from tests.gpu.film.film_frames import FramesOnly, ticks

LONGEST, SHORTEST = 6 * CLOCK_HZ, CLOCK_HZ
LENGTHS = Lengths(LONGEST, SHORTEST)


def assert_tiles(spans: tuple[Span, ...], times: list[int]) -> None:
    """`times`: of the frames, and the film's end."""
    assert [each.index for each in spans] == list(range(len(spans)))
    assert (spans[0].first_frame, spans[0].start, spans[0].scene) == (0, 0, True)
    assert spans[-1].end == times[-1]
    assert sum(each.frames for each in spans) == len(times) - 1
    for each, following in pairwise(spans):
        assert each.end == following.start == times[following.first_frame]
        assert each.first_frame + each.frames == following.first_frame
    assert all(each.frames >= 1 for each in spans)


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001)])
def test_spans_begin_where_the_scenes_do(fps: Fraction) -> None:
    times = ticks(fps, 150)
    spans = cut(FramesOnly(times, [40, 100]))
    assert [each.first_frame for each in spans] == [0, 40, 100]
    assert all(each.scene for each in spans)
    assert_tiles(spans, times)


def test_a_moving_picture_is_one_scene() -> None:
    times = ticks(Fraction(25), 100)
    assert [each.frames for each in cut(FramesOnly(times))] == [100]


def test_a_short_scene_goes_with_its_neighbour() -> None:
    times = ticks(Fraction(25), 150)
    spans = cut(FramesOnly(times, [50, 60, 140]))  # scenes of 2.0, 0.4, 3.2 and 0.4 s
    assert [each.first_frame for each in spans] == [0, 50]
    assert_tiles(spans, times)


def test_a_long_scene_is_parted_and_says_so() -> None:
    times = ticks(Fraction(10), 200)
    spans = cut(FramesOnly(times, [130]))
    assert_tiles(spans, times)
    assert [each.first_frame for each in spans if each.scene] == [0, 130]
    assert all(SHORTEST <= each.end - each.start <= LONGEST for each in spans)


def test_a_keyframe_makes_no_span_too_short() -> None:
    times = ticks(Fraction(25), 55)
    spans = cut(FramesOnly(times, keys=[0, 15]), longest_s=2.0, shortest_s=1.0)
    assert_tiles(spans, times)
    assert all(each.end - each.start >= SHORTEST for each in spans)


def test_one_frame() -> None:
    assert cut(FramesOnly([0, 3000])) == (Span(0, 0, 1, 0, 3000, True),)


def test_frames_of_many_lengths() -> None:
    times = [0]
    for number in range(120):
        times.append(times[-1] + (3000, 1500, 9000, 3003)[number % 4])
    spans = cut(FramesOnly(times, [60]), longest_s=2, shortest_s=0.5)
    assert_tiles(spans, times)
    assert 60 in [each.first_frame for each in spans]


def test_the_same_spans_again() -> None:
    film = FramesOnly(ticks(Fraction(25), 120), [33, 80])
    assert cut(film) == cut(film)


def test_progress_is_told_frame_by_frame() -> None:
    said = []
    cut(FramesOnly(ticks(Fraction(25), 30)), progress=lambda done, of: said.append((done, of)))
    assert said == [(number, 30) for number in range(1, 31)]


def test_glimpses_are_enough() -> None:
    times = ticks(Fraction(25), 152)
    spans = cut(FramesOnly(times, [40, 101], every=2))
    assert [each.first_frame for each in spans] == [0, 40, 102]  # a frame late where its first was not seen
    assert_tiles(spans, times)


def test_a_scene_is_parted_behind_a_keyframe() -> None:
    times = ticks(Fraction(25), 500)
    film = FramesOnly(times, keys=[0, 60, 125, 310, 430])
    spans = cut(film, preroll_s=0.2)
    assert [each.first_frame for each in spans][:3] == [0, 130, 280]  # 60 and 310 are too near, or too far
    assert_tiles(spans, times)
    assert all(SHORTEST <= each.end - each.start <= LONGEST for each in spans)


def test_even_spans_are_short_at_the_ends_of_a_film() -> None:
    times = ticks(Fraction(10), 2400)
    spans = even_spans(FramesOnly(times, [33]), 40.0, 5.0, preroll_s=0.5)
    assert_tiles(spans, times)
    lasts = [round((each.end - each.start) / CLOCK_HZ) for each in spans]
    assert lasts[:4] == [5, 10, 20, 40]
    assert max(lasts) == 40
    assert all(2 <= each <= 5 for each in lasts[-3:])
    assert all(later <= before for before, later in pairwise(lasts[3:]))


def test_even_spans_need_no_frame_and_look_at_no_scene() -> None:
    class Unread(FramesOnly):
        def glimpses(self) -> Iterator[tuple[int, Frame]]:
            raise AssertionError("decoded")

    film = Unread(ticks(Fraction(25), 300), [60], keys=[0, 80, 170])
    spans = even_spans(film, 6.0, 4.0, preroll_s=0.4)
    assert [each.first_frame for each in spans] == [0, 90, 180, 240]
    assert [each.scene for each in spans] == [True] + [False] * (len(spans) - 1)


@pytest.mark.parametrize(("longest_s", "shortest_s"), [(1.5, 1.0), (6.0, 0.0)])
def test_lengths_that_cannot_be_kept_are_refused(longest_s: float, shortest_s: float) -> None:
    with pytest.raises(FilmError, match="twice the shortest"):
        tuple(find_spans(FramesOnly(ticks(Fraction(25), 30)), longest_s, shortest_s))


@pytest.mark.parametrize("ends_s", [1.5, 7.0])
def test_ends_that_cannot_be_kept_are_refused(ends_s: float) -> None:
    with pytest.raises(FilmError, match="those at the ends between them"):
        even_spans(FramesOnly(ticks(Fraction(25), 30)), 6.0, ends_s)


def test_spans_come_before_the_film_is_read() -> None:
    seen = 0

    def count(done: int, of: int) -> None:
        nonlocal seen
        seen = done

    next(find_spans(FramesOnly(ticks(Fraction(25), 200), [60]), progress=count))
    assert 60 <= seen <= 90


@given(
    st.lists(st.integers(1, 3 * CLOCK_HZ), min_size=1, max_size=200),
    st.lists(st.integers(1, 199), max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_any_film_is_tiled(lengths: list[int], cuts: list[int]) -> None:
    times = [0]
    for each in lengths:
        times.append(times[-1] + each)
    cutter = Cutter(LENGTHS)
    spans: list[Span] = []
    for number, pts in enumerate(times[:-1]):
        spans += cutter.add(pts)
        if number - 2 in cuts:  # found two frames late
            cutter.cut(number - 2)
    spans += cutter.end(times[-1])
    assert_tiles(tuple(spans), times)
    assert all(each.end - each.start <= LONGEST for each in spans)  # no frame here is longer


@given(
    st.integers(1, 2000),
    st.lists(st.integers(1, 1999), max_size=60),
    st.lists(st.integers(0, 2000 * 3003), max_size=20),
    st.sampled_from([0, 2 * CLOCK_HZ]),
)
@settings(max_examples=200, deadline=None)
def test_lengths_are_kept_at_a_constant_rate(
    count: int, cuts: list[int], seams: list[int], ends: int
) -> None:
    times = ticks(Fraction(30000, 1001), count)
    cutter = Cutter(Lengths(LONGEST, SHORTEST, ends, times[-1]), sorted(seams))
    spans: list[Span] = []
    for number, pts in enumerate(times[:-1]):
        spans += cutter.add(pts)
        if number - 2 in cuts:
            cutter.cut(number - 2)
    spans += cutter.end(times[-1])
    assert_tiles(tuple(spans), times)
    assert all(each.end - each.start <= LONGEST for each in spans)
    if times[-1] >= SHORTEST:
        assert all(each.end - each.start >= SHORTEST for each in spans)
