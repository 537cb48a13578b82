"""Words for more and less of what is in force, and those that only look like it."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.degrees import LONGEST, degree_of
from gpu.types import Change


@pytest.mark.parametrize("prompt", [
    "more", "stronger", "More!", "more please", "make it stronger", "even more", "a bit stronger",
    "much stronger", "more of that", "turn it up", "turn it up a bit", "crank it up", "increase it",
    "increase the strength", "too weak", "it's too subtle", "not strong enough", "keep going",
    "a little more", "can you make it stronger please", "some more", "boost the effect",
    "make the effect stronger", "way more", "i want more", "a lot more of it",
])  # fmt: skip
def test_more_of_all(prompt: str) -> None:
    degree = degree_of(prompt)
    assert degree
    assert degree.thing == ""
    assert degree.change.times > 1


@pytest.mark.parametrize("prompt", [
    "less", "weaker", "a bit less", "much less", "turn it down", "turn it down a bit", "tone it down",
    "too much", "that's too much", "it's way too strong", "not so much", "not so strong please",
    "reduce the effect", "ease off", "lower the intensity", "more subtle", "less intense", "half",
    "half of that", "half as strong", "cut it in half", "dial it back a notch", "a third of that",
    "weaken it slightly", "make it a bit less strong",
])  # fmt: skip
def test_less_of_all(prompt: str) -> None:
    degree = degree_of(prompt)
    assert degree
    assert degree.thing == ""
    assert degree.change.times < 1


@pytest.mark.parametrize(("prompt", "change"), [
    ("50%", Change(0.0, 0.5)), ("set it to 30%", Change(0.0, 0.3)),
    ("make it 80 percent", Change(0.0, 0.8)), ("20% more", Change(1.0, 0.2)),
    ("10% less please", Change(1.0, -0.1)), ("to the max", Change(1.0, 1.0)),
    ("full strength", Change(1.0, 1.0)), ("double it", Change(2.0)), ("half strength", Change(0.5)),
    ("more", Change(1 / 0.65)), ("a touch more", Change(1 / 0.82)), ("a lot less", Change(0.4)),
])  # fmt: skip
def test_how_much(prompt: str, change: Change) -> None:
    degree = degree_of(prompt)
    assert degree
    assert (degree.change, degree.thing) == (change, "")


@pytest.mark.parametrize(("prompt", "thing", "grows"), [
    ("more rain", "rain", True), ("much more rain please", "rain", True), ("less blur", "blur", False),
    ("a bit less fog", "fog", False), ("turn the fog down", "fog", False),
    ("make the rain heavier", "rain", True), ("heavier rain", "rain", True),
    ("turn up the snow a bit", "snow", True), ("even darker", "dark", True),
    ("a little brighter", "bright", True), ("less dark", "dark", False), ("not so dark", "dark", False),
    ("too dark", "dark", False), ("make the rain a bit heavier", "rain", True),
    ("reduce the blur", "blur", False), ("too much fog", "fog", False), ("not enough snow", "snow", True),
    ("set the fog to 40%", "fog", False), ("the blur is too strong", "blur", False),
    ("half the rain", "rain", False), ("make it darker", "dark", True), ("make it warmer", "warm", True),
    ("rain to 40%", "rain", False), ("more colour", "colourful", True),
    ("less brightness", "brighter", False),
])  # fmt: skip
def test_more_or_less_of_one(prompt: str, thing: str, grows: bool) -> None:
    degree = degree_of(prompt)
    assert degree
    assert degree.thing == thing
    assert (degree.change.times > 1) == grows


@pytest.mark.parametrize("prompt", [
    "remove the rain", "no more rain", "turn off the rain", "turn the rain off", "stop the rain", "rain off",
    "make the rain stop", "let the rain stop", "the rain should stop", "make the rain go away", "rain to 0%",
    "0% rain", "rain: 0 %", "set rain to 0", "I don't want rain anymore", "make it not rain", "rain 0%",
    "the rain is gone", "turn the rain down to nothing",
])  # fmt: skip
def test_one_is_taken_away(prompt: str) -> None:
    degree = degree_of(prompt)
    assert degree
    assert (degree.thing, degree.change.takes_away) == ("rain", True)


@pytest.mark.parametrize("prompt", ["stop the rain and the fog", "no rain or fog", "rain and fog off"])
def test_two_are_taken_away(tower: TextTower, prompt: str) -> None:
    change = tower.read(prompt).change
    assert change
    assert (set(change.of), change.takes_away) == ({"rain", "fog"}, True)


@pytest.mark.parametrize("prompt", [
    "no colour", "remove the background", "get rid of the color", "lights off", "take the hat off", "not me",
])  # fmt: skip
def test_what_names_no_edit_or_asks_for_another_takes_none_away(tower: TextTower, prompt: str) -> None:
    assert tower.read(prompt).change is None


@pytest.mark.parametrize("prompt", [
    "make it dark", "warm colours", "rain", "a bit of rain", "half a mosaic", "very dark", "stop it",
    "stop that", "turn it off", "remove everything", "undo", "back to normal", "no effects", "take it off",
    "a lot of snow", "", "more snow and less rain", "more " * 40, "x" * (LONGEST + 1),
    "as dark as possible",
])  # fmt: skip
def test_other_words_are_no_degree(prompt: str) -> None:
    assert degree_of(prompt) is None


@pytest.mark.parametrize("prompt", [
    "also make it rain", "and some fog", "some fog too", "make it rain, too", "plus snow",
    "rain as well please", "on top of that, snow", "ok, and also a bit of rain", "in addition, fog",
])  # fmt: skip
def test_more_beside_what_is_in_force(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert len(reading.parts) == 1
    assert reading.change == Change(adds=True)


@pytest.mark.parametrize("prompt", [
    "too dark", "add a hat", "and now make it rain", "rain and snow", "make it rain", "also undo it",
    "also a dog", "me too",
])  # fmt: skip
def test_other_words_ask_for_nothing_beside(tower: TextTower, prompt: str) -> None:
    change = tower.read(prompt).change
    assert change is None or not change.adds


@pytest.mark.parametrize("prompt", [
    "add some snow", "add thick fog", "can you add rain", "throw in some rain", "please add a bit of fog",
])  # fmt: skip
def test_what_is_added_goes_beside_and_is_no_less_than_it_was(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert len(reading.parts) == 1
    assert reading.change
    assert reading.change.adds
    assert reading.change.times > 1


@pytest.mark.parametrize(("prompt", "of"), [
    ("add more rain", "rain"), ("also a bit darker", "darken"), ("less rain too", "rain"), ("add more", ""),
])  # fmt: skip
def test_more_that_is_added_is_more_of_what_runs(tower: TextTower, prompt: str, of: str) -> None:
    change = tower.read(prompt).change
    assert change
    assert (change.of[:1], change.adds) == ((of,) if of else (), False)


def test_more_of_a_thing_that_only_the_thing_is_known_of(tower: TextTower) -> None:
    assert [part.name for part in tower.read("more colour").parts] == ["vivid"]


def test_by_itself_a_degree_asks_for_nothing_and_says_so(tower: TextTower) -> None:
    reading = tower.read("more")
    assert (reading.parts, reading.understood) == ((), False)
    assert "nothing is in force" in reading.note
    assert reading.hangs


def test_more_of_something_is_that_where_it_does_not_run(tower: TextTower) -> None:
    reading = tower.read("a bit darker")
    assert [part.name for part in reading.parts] == ["darken"]
    assert reading.change
    assert reading.change.of[0] in ("darken", "night")
    assert {"darken", "night"} <= set(reading.change.of)


@pytest.mark.parametrize("prompt", ["more hats", "less talking", "turn up the music", "more of the dog"])
def test_more_of_what_is_no_edit_is_no_change(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert reading.change is None
    assert not reading.understood
