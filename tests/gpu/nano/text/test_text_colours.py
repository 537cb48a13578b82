"""Words for colours."""

from __future__ import annotations

import pytest

from gpu.nano.edits import COLOURS, HUES
from gpu.nano.text.colours import SHADES, colour_of, hue_of


def test_every_shade_is_its_colour() -> None:
    assert tuple(SHADES) == COLOURS
    assert all(colour_of(word) == colour for colour, words in SHADES.items() for word in words)
    assert len({word for words in SHADES.values() for word in words}) == sum(map(len, SHADES.values()))


@pytest.mark.parametrize(("word", "colour"), [
    ("reds", "red"), ("reddish", "red"), ("bluish", "blue"), ("greenish", "green"), ("gren", "green"),
    ("yelow", "yellow"), ("pruple", "purple"), ("gray", "grey"), ("turqoise", "cyan"), ("bleu", "blue"),
    ("screen", None), ("dog", None), ("", None), ("range", None), ("time", None),
])  # fmt: skip
def test_colours_are_found_in_slips_but_not_in_other_words(word: str, colour: str | None) -> None:
    assert colour_of(word) == colour


def test_only_hues_can_be_found_in_a_picture() -> None:
    assert {hue_of(colour) for colour in COLOURS} == {*HUES, None}
    assert hue_of("brown") == "orange"
    assert hue_of("white") is None
