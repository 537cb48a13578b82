"""Timelines: what people keep comes back as it was, what is wrong is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.film.timeline import EditAt, Timeline, check_timeline, read_timeline, steps_of, write_timeline
from gpu.film.types import FilmError
from gpu.types import Edit

edits = st.builds(
    EditAt,
    at=st.integers(0, 10**9).map(lambda ticks: ticks / 90_000),
    prompt=st.text(max_size=40),
    strength=st.floats(0, 1),
    transition_ms=st.integers(0, 60_000),
    seed=st.integers(0, 2**31),
)


@given(st.lists(edits, max_size=8), st.sampled_from(["", "nano"]))
def test_what_is_written_is_read_again_in_order_of_time(made: list[EditAt], model: str) -> None:
    read = read_timeline(write_timeline(made, model))
    assert read.model == model
    assert list(read.edits) == sorted(made, key=lambda edit: edit.at)


@given(st.integers(0, 10**9))
def test_a_tick_comes_back_as_the_same_tick(tick: int) -> None:
    (step,) = steps_of(read_timeline(write_timeline([EditAt(at=tick / 90_000)])))
    assert step.at == tick


def test_steps_are_edits_with_revisions_from_one() -> None:
    timeline = Timeline(
        edits=(EditAt(prompt="night"), EditAt(at=2.5, prompt="snow", strength=0.5, transition_ms=0, seed=3))
    )
    first, second = steps_of(timeline)
    assert (first.at, first.edit) == (0, Edit(1, "night"))
    assert (second.at, second.edit) == (225_000, Edit(2, "snow", 0.5, 0, 3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no timeline"),
        (b"[]", "no timeline"),
        (b"[]", "the timeline must be an object of version, model, edits$"),
        (b'{"edit":[]}', "^the timeline: there is no field 'edit'; it has version, model, edits$"),
        (b'{"edits":{}}', "^the timeline: edits must be a list of edits$"),
        (b'{"edits":["night"]}', "edit 0 of the timeline must be an object of at, prompt, "),
        (
            b'{"edits":[{},{"promt":"x"}]}',
            "^edit 1 of the timeline: there is no field 'promt'; it has at, prompt, strength, transitionMs, ",
        ),
        (b'{"edits":[{"strength":"2"}]}', "^edit 0 of the timeline: strength must be a number from 0 to 1$"),
        (b'{"edits":[{"at":1e999}]}', "^edit 0 of the timeline: at must be a number, seconds from 0$"),
        (b'{"version":"1"}', "^the timeline: version must be 1$"),
        (b'{"edits":[}', "it is no JSON"),
        (b'{"edits":[{"prompt":"\xff"}]}', "it is no JSON"),
        (b'{"edits":[{"strength":2}]}', "edit 0 of the timeline: strength is 2"),
        (b'{"edits":[{},{"at":-1}]}', "edit 1 of the timeline: at is -1"),
        (b'{"edits":[{"transitionMs":-1}]}', "transitionMs is -1"),
        (b'{"version":2}', "version 2"),
        (b'{"edits":[{"prompt":"%s"}]}' % (b"x" * 2001), "2001 characters"),
        (b"\xff\xfe", "no timeline"),
    ],
)
def test_what_is_wrong_is_named(text: bytes, said: str) -> None:
    with pytest.raises(FilmError, match=said):
        read_timeline(text)


def test_too_many_edits_are_refused() -> None:
    with pytest.raises(FilmError, match="10001 edits"):
        check_timeline(Timeline(edits=tuple(EditAt() for _ in range(10_001))))
