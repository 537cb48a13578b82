"""Readings in words of their own, and back."""

from __future__ import annotations

import pytest

from gpu.nano.edits import EDITS
from gpu.nano.text import TextTower
from gpu.nano.text.spelled import read_spelled, spelled
from gpu.types import Part

_COLOURS = {"recolour": ("red", "blue"), "colour_pop": ("red",), "backdrop": ("white",)}


@pytest.mark.parametrize("name", [edit.name for edit in EDITS])
@pytest.mark.parametrize("region", ["everywhere", "background", "person"])
def test_every_edit_is_read_back_exactly(tower: TextTower, name: str, region: str) -> None:
    place = "background" if name == "backdrop" else region
    parts = (Part(name, 0.57, place, _COLOURS.get(name, ())), Part("fog", 0.2))  # type: ignore[arg-type]
    if name == "fog":
        parts = parts[:1]
    reading = tower.read(spelled(parts))
    assert (reading.parts, reading.confidence, reading.understood) == (parts, 1.0, True)
    assert not reading.hangs


def test_what_is_at_nothing_is_not_spelled() -> None:
    assert spelled((Part("fog", 0.0), Part("rain", 0.004))) == ""


@pytest.mark.parametrize("words", [
    "", "rain", "rain 60", "rain 0%", "rain 101%", "rain 60% +", "rain 60% (sideways)", "recolour 50%",
    "recolour 50% (white to red)", "plain backdrop 100%", "rain 60% (red)", "a hat 40%", "rain 60% + " * 80,
    "rain 60% (person, background)",
])  # fmt: skip
def test_other_words_are_not_spelled(words: str) -> None:
    assert read_spelled(words) is None
