"""Places said apart from what is done there: headings, and what is to stay in colour."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.headings import beside_colour, headed
from gpu.nano.text.places import MOST_CLAUSES


@pytest.mark.parametrize(("prompt", "name", "region"), [
    ("the wall in black and white, me in color", "black_and_white", "background"),
    ("me in colour, the backdrop greyscale", "black_and_white", "background"),
    ("everything in black and white while I stay in full colour", "black_and_white", "background"),
    ("me in b&w and the room in colour", "black_and_white", "person"),
    ("the background coloured, the person in black and white", "black_and_white", "person"),
    ("sepia background with me in colour", "sepia", "background"),
])  # fmt: skip
def test_beside_what_stays_in_colour_the_other_place_is_grey(
    tower: TextTower, prompt: str, name: str, region: str
) -> None:
    reading = tower.read(prompt)
    assert [(part.name, part.region) for part in reading.parts] == [(name, region)]


@pytest.mark.parametrize("prompt", [
    "me in colour", "the room at night, me in colour", "snow and the room in black and white, me in colour",
    "not the room in black and white, me in colour", "black and white", "keep the red in colour",
])  # fmt: skip
def test_more_or_less_than_grey_beside_colour_is_read_whole(prompt: str) -> None:
    assert beside_colour(prompt) is None


@pytest.mark.parametrize(("prompt", "parts"), [
    ("me: charcoal", {("charcoal", "person")}),
    ("Background: fog", {("fog", "background")}),
    ("bg: mosaic, me: pencil sketch", {("mosaic", "background"), ("pencil", "person")}),
    ("me: watercolour; room: night and rain", {
        ("watercolour", "person"), ("night", "background"), ("rain", "background"),
    }),
    ("everything: snow, person: pop art", {("snow", "everywhere"), ("pop_art", "person")}),
    ("me: unchanged, background: stained glass", {("stained_glass", "background")}),
    ("room = sepia, me = comic book", {("sepia", "background"), ("comic", "person")}),
])  # fmt: skip
def test_what_follows_a_heading_goes_there(
    tower: TextTower, prompt: str, parts: set[tuple[str, str]]
) -> None:
    reading = tower.read(prompt)
    assert {(part.name, part.region) for part in reading.parts} == parts
    assert reading.left_out == ()


def test_what_is_not_understood_under_a_heading_is_left_out(tower: TextTower) -> None:
    reading = tower.read("bg: fog, me: taller")
    assert [(part.name, part.region) for part in reading.parts] == [("fog", "background")]
    assert reading.left_out == ('"taller"',)


@pytest.mark.parametrize("prompt", [
    "snow: a lot", "give me: fog", "me", "make it night: me too", "me: ", "me: x, bg: y, " * MOST_CLAUSES,
])  # fmt: skip
def test_what_has_no_heading_or_too_many_is_read_as_before(prompt: str) -> None:
    assert headed(prompt) == ()
