"""What is wanted in place of something else, and what is only denied."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.opposites import without_opposites
from tests.gpu.nano.text.conftest import amount


@pytest.mark.parametrize("prompt", [
    "not a cartoon", "don't make it snow", "don\u2019t make me a cartoon.", "not night", "anything but rain",
    "no rain", "do not blur the background", "please don't make it foggy",
])  # fmt: skip
def test_an_edit_only_denied_is_the_source(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert (reading.parts, reading.understood, reading.label) == ((), True, "original")


@pytest.mark.parametrize(("prompt", "name"), [
    ("not too much rain", "rain"), ("don't touch me, just make it night", "night"),
    ("no rain but snow", "snow"),
])  # fmt: skip
def test_more_than_a_denial_is_still_done(tower: TextTower, prompt: str, name: str) -> None:
    assert [part.name for part in tower.read(prompt).parts] == [name]


@pytest.mark.parametrize(("prompt", "name"), [
    ("not so dark", "brighten"), ("less dark", "brighten"), ("make it less dark please", "brighten"),
    ("a bit less bright", "darken"), ("not too bright!", "darken"), ("not so cold", "warm"),
    ("less warm", "cool"),
])  # fmt: skip
def test_less_of_light_or_warmth_is_a_little_of_the_opposite(
    tower: TextTower, prompt: str, name: str
) -> None:
    (part,) = tower.read(prompt).parts
    assert (part.name, part.region) == (name, "everywhere")
    assert part.amount == pytest.approx(0.4)


def test_less_dark_in_one_place_is_brighter_there(tower: TextTower) -> None:
    (part,) = tower.read("make the background less dark").parts
    assert (part.name, part.region) == ("brighten", "background")


def test_what_is_asked_for_may_be_less(tower: TextTower) -> None:
    assert amount(tower, "night, but not so dark", "night") < amount(tower, "make it night", "night")
    assert without_opposites("not so dark, but still night") == "not so dark, but still night"


@pytest.mark.parametrize(("prompt", "names"), [
    ("not a cartoon but a painting", {"oil_painting"}), ("not a sketch but a mosaic", {"mosaic"}),
    ("don't make it night but foggy", {"fog"}), ("no snow but rain", {"rain"}),
])  # fmt: skip
def test_of_not_this_but_that_only_that_is_done(tower: TextTower, prompt: str, names: set[str]) -> None:
    assert {part.name for part in tower.read(prompt).parts} == names


@pytest.mark.parametrize(
    "prompt", ["not red but blue", "not so much fog but rain", "not me but the room dark"]
)
def test_more_than_an_edit_is_left_to_the_network(prompt: str) -> None:
    assert without_opposites(prompt) == prompt
