"""Which prompts ask for the edit before, and which for the source."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.wording import steps_back, steps_on


@pytest.mark.parametrize("prompt", [
    "undo that", "Undo that.", "undo the last one", "please undo my last edit", "undo the last change",
    "revert that", "take that back", "take the last one back", "go back one step", "one step back",
    "go back to the previous look", "the one before", "previous edit please", "no, undo that!",
])  # fmt: skip
def test_the_edit_before_is_asked_for(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert reading.steps_back
    assert (reading.parts, reading.understood, reading.label) == ((), True, "the edit before")


@pytest.mark.parametrize(
    "prompt", ["redo", "Redo that!", "undo the undo", "redo it please", "one step forward"]
)
def test_what_was_undone_is_asked_for(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert (reading.redoes, reading.hangs, reading.understood) == (True, True, False)
    assert reading.note


@pytest.mark.parametrize("prompt", ["undo that", "undo", "redo the wall in red", "forward", "", "red"])
def test_other_words_bring_nothing_back(prompt: str) -> None:
    assert not steps_on(prompt)


@pytest.mark.parametrize("prompt", [
    "undo", "undo everything", "back to normal", "go back", "reset", "remove everything", "undo the blur",
    "back to the original", "the original picture", "undo all of that", "", "undo that " * 60,
])  # fmt: skip
def test_the_source_is_not_the_edit_before(tower: TextTower, prompt: str) -> None:
    assert not steps_back(prompt)
    if len(prompt) < 60:
        reading = tower.read(prompt)
        assert (reading.parts, reading.understood, reading.label) == ((), True, "original")


@pytest.mark.parametrize("prompt", [
    "make it snow behind us", "heavy snow behind me", "snow behind me at night",
    "cartoon me and snow behind me",
])  # fmt: skip
def test_snow_behind_someone_falls_there(tower: TextTower, prompt: str) -> None:
    assert ("snow", "background") in {(part.name, part.region) for part in tower.read(prompt).parts}
