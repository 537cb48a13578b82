"""What is beyond nano: refused in words, or named as left out; and what only looks like it."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.reach import ADDS, BECOMES, ELSEWHERE, NO_WORDS, ONE_THING, TAKES_OUT, UNKNOWN
from gpu.nano.text.vocabulary import is_known


@pytest.mark.parametrize(("prompt", "why"), [
    ("1234", NO_WORDS), ("42", NO_WORDS), ("3.14", NO_WORDS), ("!!!", NO_WORDS), ("12 34", NO_WORDS),
    ("asdfgh jkl", UNKNOWN), ("zxcvb", UNKNOWN), ("aaaaaaa", UNKNOWN), ("mach es dunkler", UNKNOWN),
    ("il fait nuit", UNKNOWN), ("hazlo en blanco y negro", UNKNOWN), ("\u65e5\u672c\u8a9e", UNKNOWN),
    ("add a hat", ADDS), ("please add a hat on my head", ADDS), ("put a dragon behind me", ADDS),
    ("give me a moustache", ADDS), ("add a cat and a dog", ADDS), ("add three balloons", ADDS),
    ("remove the chair and the table", TAKES_OUT), ("remove the chair", TAKES_OUT),
    ("remove my glasses please", TAKES_OUT),
    ("get rid of the lamp in the corner", TAKES_OUT), ("remove the person behind me", TAKES_OUT),
    ("put me on the moon", ELSEWHERE), ("take us to the beach", ELSEWHERE), ("make me a robot", BECOMES),
    ("turn me into a werewolf", BECOMES), ("make my hair pink", ONE_THING), ("paint the car blue", ONE_THING),
])  # fmt: skip
def test_it_is_refused_and_says_why(tower: TextTower, prompt: str, why: str) -> None:
    reading = tower.read(prompt)
    assert (reading.parts, reading.understood, reading.note) == ((), False, why)
    assert reading.confidence < 0.5


@pytest.mark.parametrize(("prompt", "nearest"), [
    ("remove the people behind me", ("Blur", "Plain backdrop")),
    ("put me on mars", ("Blur", "Plain backdrop")), ("make my hair pink", ("Recolour",)),
    ("add a hat", ()), ("1234", ()),
])  # fmt: skip
def test_what_is_near_makes_sense(tower: TextTower, prompt: str, nearest: tuple[str, ...]) -> None:
    assert tower.read(prompt).nearest == nearest


@pytest.mark.parametrize(("prompt", "names", "left_out"), [
    ("make it sepia, add a hat and some fog", {"sepia", "fog"}, ('"add a hat"',)),
    ("fog, flibbertigibbet and night", {"fog", "night"}, ('"flibbertigibbet"',)),
    ("rain, three elephants, night", {"rain", "night"}, ('"three elephants"',)),
    ("make it snow and remove the lamp", {"snow"}, ('"remove the lamp"',)),
])  # fmt: skip
def test_among_other_wishes_it_is_named(
    tower: TextTower, prompt: str, names: set[str], left_out: tuple[str, ...]
) -> None:
    reading = tower.read(prompt)
    assert {part.name for part in reading.parts} == names
    assert reading.left_out == left_out
    assert reading.confidence < 0.75


@pytest.mark.parametrize(("prompt", "name"), [
    ("add some fog", "fog"), ("add autumn trees", "autumn"), ("put a white wall behind me", "backdrop"),
    ("hide my face", "blur"), ("turn me into a cartoon", "cartoon"), ("add a little rain", "rain"),
    ("give me a mosaic", "mosaic"), ("picaso", "cubist"), ("cartoonish", "cartoon"), ("pixe", "pixel_art"),
])  # fmt: skip
def test_what_the_network_knows_is_believed(tower: TextTower, prompt: str, name: str) -> None:
    reading = tower.read(prompt)
    assert [part.name for part in reading.parts] == [name]
    assert reading.left_out == ()


@pytest.mark.parametrize("prompt", [
    "remove the filter", "remove everything", "take it off", "give me back my face", "undo", "set it back",
])  # fmt: skip
def test_the_way_back_takes_nothing_out(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert (reading.parts, reading.understood) == ((), True)


@pytest.mark.parametrize("prompt", [
    "turn me into ?", "turn me to .", "make me like !", "make me be .", "put me in ?", "add - ?", "add ' .",
    "remove - ?", "paint my - red",
])  # fmt: skip
def test_an_order_that_names_nothing_is_only_not_understood(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert (reading.parts, reading.understood) == ((), False)


def test_words_are_known_as_they_are_typed() -> None:
    assert all(map(is_known, ("watercolour", "waterc", "watrecolour", "cartoonish", "reddish", "please")))
    assert not any(map(is_known, ("asdfg", "qwrtp", "xyzzy", "flibbertigibbet", "zz")))


@pytest.mark.parametrize(("prompt", "amounts"), [
    ("cartoon; 0% fog", {"cartoon": 1.0, "fog": 0.0}), ("0% fog; cartoon", {"cartoon": 1.0, "fog": 0.0}),
    ("night, 30% blur", {"night": 0.85, "blur": 0.3}), ("rain, snow at 40%", {"rain": 0.4, "snow": 0.4}),
    ("snow 60%; fog 20%", {"snow": 0.6, "fog": 0.2}),
])  # fmt: skip
def test_a_percentage_is_of_its_own_item(tower: TextTower, prompt: str, amounts: dict[str, float]) -> None:
    assert {part.name: part.amount for part in tower.read(prompt).parts} == amounts


@pytest.mark.parametrize(("prompt", "parts"), [
    ("make the red things blue and the room black and white", {
        ("recolour", "everywhere"), ("black_and_white", "background"),
    }),
    ("turn my green things purple and blur the background", {
        ("recolour", "everywhere"), ("blur", "background"),
    }),
    ("the room black and white, and the red things blue", {
        ("recolour", "everywhere"), ("black_and_white", "background"),
    }),
    ("show only orange, the rest grey", {("colour_pop", "everywhere")}),
])  # fmt: skip
def test_things_and_a_place_in_one_sentence(
    tower: TextTower, prompt: str, parts: set[tuple[str, str]]
) -> None:
    assert {(part.name, part.region) for part in tower.read(prompt).parts} == parts
