"""Which colours fill which slots: one pair, several pairs, and colours without an edit."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.features import Words
from gpu.nano.text.slots import Slots
from tests.gpu.nano.text.conftest import part


@pytest.mark.parametrize("prompt", ["turn my shirt green", "make the grass blue", "make the sky orange"])
def test_a_colour_without_an_edit_is_near_to_recolouring(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert not reading.understood
    assert reading.nearest[0] == "Recolour"


@pytest.mark.parametrize(("prompt", "pairs"), [
    ("make the green things purple and the blue things red", {("green", "purple"), ("blue", "red")}),
    ("make the red things blue and the green things yellow", {("red", "blue"), ("green", "yellow")}),
    ("make the red things blue and the blue things red", {("red", "blue"), ("blue", "red")}),
    ("blue instead of red and green instead of yellow", {("red", "blue"), ("yellow", "green")}),
    ("make the red and blue things green", {("red", "green"), ("blue", "green")}),
    ("make the red things navy blue", {("red", "blue")}),
    ("make yellow things green, blue things red and pink things black", {
        ("yellow", "green"), ("blue", "red"), ("pink", "black"),
    }),
    ("turn red into yellow; blue into purple; green into white", {
        ("red", "yellow"), ("blue", "purple"), ("green", "white"),
    }),
    ("pink instead of purple, red instead of blue and grey instead of green", {
        ("purple", "pink"), ("blue", "red"), ("green", "grey"),
    }),
])  # fmt: skip
def test_each_pair_of_colours_is_a_part(tower: TextTower, prompt: str, pairs: set[tuple[str, str]]) -> None:
    reading = tower.read(prompt)
    assert {part.name for part in reading.parts} == {"recolour"}
    assert {part.colours for part in reading.parts} == pairs
    assert len(reading.parts) == len(pairs)
    assert reading.confidence > 0.75


@pytest.mark.parametrize(("prompt", "kept", "left_out"), [
    ("keep green and yellow", "green", ("colour pop (yellow)",)),
    ("keep the yellow, the green and blue", "yellow", ("colour pop (green)", "colour pop (blue)")),
    ("keep the red", "red", ()),
])  # fmt: skip
def test_hues_listed_with_the_one_kept_are_left_out(
    tower: TextTower, prompt: str, kept: str, left_out: tuple[str, ...]
) -> None:
    reading = tower.read(prompt)
    assert [(part.name, part.colours) for part in reading.parts] == [("colour_pop", (kept,))]
    assert reading.left_out == left_out


def test_of_two_hues_to_keep_the_second_is_left_out(tower: TextTower) -> None:
    reading = tower.read("keep only red and green in colour")
    assert [(part.name, part.colours) for part in reading.parts] == [("colour_pop", ("red",))]
    assert reading.left_out == ("colour pop (green)",)
    assert reading.confidence < 0.75


@pytest.mark.parametrize(("prompt", "pairs", "left_out"), [
    ("black things white, green things red and blue things yellow", {("green", "red"), ("blue", "yellow")},
     ("recolour (black to white)",)),
    ("green to blue, green to pink", {("green", "blue")}, ("recolour (green to pink)",)),
])  # fmt: skip
def test_a_pair_that_cannot_be_done_is_left_out(
    tower: TextTower, prompt: str, pairs: set[tuple[str, str]], left_out: tuple[str, ...]
) -> None:
    reading = tower.read(prompt)
    assert {part.colours for part in reading.parts} == pairs
    assert reading.left_out == left_out
    assert reading.confidence < 0.75


def slots(told: str) -> Slots:
    """Of words, each with the letter of its slot: "red.f blue.t"."""
    words, marks = zip(*(word.split(".") for word in told.split()), strict=True)
    logits = np.full((len(words), 5), -9.0, np.float32)
    for at, mark in enumerate(marks):
        logits[at, "_ftbk".index(mark)] = 9.0
    return Slots(logits, Words(words, (float("nan"),) * len(words)))


@pytest.mark.parametrize(("told", "pairs", "crowded"), [
    ("red.f things._ blue.t", [("red", "blue")], False),
    ("red.f navy.t blue.t", [("red", "blue")], False),
    ("red.f green.f blue.t", [("red", "blue"), ("green", "blue")], False),
    ("red.f blue.t green.f pink.t", [("red", "blue"), ("green", "pink")], False),
    ("red.f blue.t red.f pink.t", [("red", "blue")], True),
    ("red.f blue.f ,._ green.t pink.f", [("red", "blue"), ("green", "pink")], False),
    ("red.f blue.t blue.f blue.t", [("red", "blue")], False),
    ("red.f blue.t pink.t", [("red", "blue")], True),
    ("red.f green.f yellow.f blue.t pink.t", [("red", "blue")], True),
    ("red.f things._", [], False),
    ("red.f red.t", [], False),
])  # fmt: skip
def test_pairs_are_made_in_order(told: str, pairs: list[tuple[str, str]], crowded: bool) -> None:
    assert slots(told).recoloured() == pairs
    assert slots(told).is_crowded == crowded


def test_of_a_crowd_the_colours_in_no_pair_are_left() -> None:
    assert slots("red.f blue.t pink.t").not_recoloured() == [("pink",)]
    assert slots("red.f green.f blue.t").not_recoloured() == []


@pytest.mark.parametrize(("prompt", "name", "colours"), [
    ("make the red car blue", "recolour", ("red", "blue")),
    ("blue instead of red", "recolour", ("red", "blue")),
    ("turn everything green into pink", "recolour", ("green", "pink")),
    ("the brown sofa in turquoise", "recolour", ("orange", "cyan")),
    ("keep only the yellow in colour", "colour_pop", ("yellow",)),
    ("replace the background with a blue wall", "backdrop", ("blue",)),
    ("remove the background", "backdrop", ("white",)),
])  # fmt: skip
def test_colours_are_told_apart(tower: TextTower, prompt: str, name: str, colours: tuple[str, ...]) -> None:
    assert part(tower, prompt, name).colours == colours
