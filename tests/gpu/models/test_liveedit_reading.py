"""Open-ended prompts: all but the source and stepping back are instructions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.models.liveedit_reading import is_source, read


@pytest.mark.parametrize(
    "prompt",
    [
        "", "  \n", "undo", "Undo!", "reset", "original", "the original, please", "back to normal",
        "put everything back to normal", "no effects", "without any filter", "remove the effects",
        "turn the effect off", "cancel", "never mind", "as it was", "show me as I am", "leave it as it is",
        "just the source", "unedited video", "stop", "off", "nothing", "disable the filter",
        "show the original video again",
    ],
)  # fmt: skip
def test_the_source(prompt: str) -> None:
    reading = read(prompt)
    assert is_source(reading)
    assert (reading.label, reading.understood, reading.steps_back) == ("original", True, False)


@pytest.mark.parametrize(
    "prompt", ["undo that", "go back one", "take that back", "Back to the previous one."]
)
def test_a_step_back(prompt: str) -> None:
    reading = read(prompt)
    assert reading.steps_back
    assert is_source(reading), "a model by itself gives the source"


@pytest.mark.parametrize("prompt", ["more", "a bit less", "half of that", "Turn it down", "50%"])
def test_a_degree_is_of_what_is_in_force(prompt: str) -> None:
    reading = read(prompt)
    assert reading.change
    assert (reading.change.of, reading.understood) == ((), False)


@pytest.mark.parametrize(
    "prompt",
    [
        "turn the person into a robot", "make me look natural", "turn off the tv", "stop the rain",
        "clear sky", "reset my hair",
        "remove everything", "remove the hat", "no glasses", "a normal day", "clear the table",
        "turn off the lights", "original van gogh", "change the original poster to a map", "make it real",
        "more rain", "less hair",
        "without the beard", "set everything on fire", "unchanged face, red hair", "\N{SNOWMAN}", "?!",
    ],
)  # fmt: skip
def test_an_instruction_is_what_it_says(prompt: str) -> None:
    reading = read(prompt)
    assert not is_source(reading)
    assert (reading.understood, reading.parts, reading.label) == (True, (), prompt)


def test_a_long_instruction_is_shortened_at_a_word() -> None:
    label = read("make " + "very " * 40 + "red").label
    assert len(label) <= 60
    assert label.endswith("very\N{HORIZONTAL ELLIPSIS}")
    assert len(read("x" * 500).label) == 60


@given(st.text(max_size=2000))
def test_any_text_is_read(prompt: str) -> None:
    reading = read(prompt)
    assert reading.understood
    assert len(reading.label) <= 60
