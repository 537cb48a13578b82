"""Questions about relens: answered with what can be typed, and never taken for an edit."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.questions import CONTRASTY, EXAMPLES, asks_for_help


@pytest.mark.parametrize("prompt", [
    "help", "Help!", "what can you do?", "what can i type", "?", "how does this work?", "show me all effects",
    "which styles are there", "what are my options", "hi, what can I say here?", "commands", "help me please",
])  # fmt: skip
def test_a_question_is_answered_with_examples(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert (reading.parts, reading.understood, reading.note) == ((), False, EXAMPLES)


def test_the_examples_are_understood(tower: TextTower) -> None:
    for example in EXAMPLES.split('"')[1::2]:
        reading = tower.read(example)
        assert reading.understood or reading.hangs, example


@pytest.mark.parametrize("prompt", [
    "make it night", "help me look like a cartoon", "", "what a lovely sunset", "show me as a sketch", "more",
    "how about rain", "help " * 20, "effects off", "style of van gogh",
])  # fmt: skip
def test_other_words_are_no_question(prompt: str) -> None:
    assert not asks_for_help(prompt)


@pytest.mark.parametrize(
    "prompt", ["more contrast", "a bit less contrast please", "add contrast", "contrast"]
)
def test_contrast_is_refused_with_what_has_some(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert (reading.understood, reading.nearest) == (False, CONTRASTY)
    assert "contrast" in reading.note


def test_contrast_among_other_words_is_read_by_the_network(tower: TextTower) -> None:
    assert tower.read("black and white with strong contrast").understood
