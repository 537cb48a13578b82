"""What is typed while an edit runs: what goes, what stays, what is added, and what is said of it."""

from __future__ import annotations

import pytest

from gpu.changes import changed
from gpu.nano.text import TextTower
from gpu.types import Edit, Reading

TOWER = TextTower.load()
PAINTED = "like Starry Night"


def after(running: str, said: str, strength: float = 1.0) -> tuple[str, float, Reading]:
    """Words and strength that are in force then, and what it was taken for."""
    edit, reading = changed(Edit(1, running, strength), Edit(2, said), TOWER.read(said), TOWER.read)
    return (edit.prompt, edit.strength, reading) if reading.understood else (running, strength, reading)


@pytest.mark.parametrize("said", [
    "rain off", "make the rain stop", "no more rain", "stop the rain", "rain to 0%", "0% rain", "rain at 0%",
    "turn the rain off", "I don't want rain anymore", "it should stop raining", "without rain",
])  # fmt: skip
@pytest.mark.parametrize("running", ["rainy night", "make it a rainy night", "night 85% + rain 55%"])
def test_what_is_switched_off_goes_and_the_rest_stays(running: str, said: str) -> None:
    prompt, _, reading = after(running, said)
    assert (prompt, reading.label, reading.note) == ("night 85%", "night", "rain is gone, night stays")


@pytest.mark.parametrize("said", ["rain off", "no rain", "make the rain stop", "0% rain"])
def test_with_the_only_one_gone_the_source_is_back(said: str) -> None:
    prompt, _, reading = after("make it rain", said)
    assert (prompt, reading.label) == ("", "original")
    assert reading.note == "rain is gone, and nothing else was in force: the source is back"


@pytest.mark.parametrize(("running", "what"), [
    ("rainy night", "rain + night is in force"), (PAINTED, "starry night is in force"),
    ("", "nothing is in force"),
])  # fmt: skip
@pytest.mark.parametrize("said", ["stop the snow", "snow off", "no snow", "0% snow", "make the snow stop"])
def test_what_does_not_run_cannot_be_stopped(running: str, what: str, said: str) -> None:
    _, _, reading = after(running, said)
    assert not reading.understood
    assert reading.note == f"there is no snow to stop: {what}"


@pytest.mark.parametrize(("said", "prompt"), [
    ("a little more rain", "starry night 100% + rain 40%"), ("add some snow", "starry night 100% + snow 85%"),
    ("a bit darker", "starry night 100% + darker 40%"),
    ("make it brighter", "starry night 100% + brighter 85%"),
    ("make the picture a bit warmer", "starry night 100% + warmer 40%"),
    ("same but darker", "starry night 100% + darker 85%"),
    ("keep it and add fog", "starry night 100% + fog 85%"),
    ("too bright", "starry night 100% + darker 85%"), ("too warm", "starry night 100% + cooler 40%"),
    ("more colour", "starry night 100% + vivid 85%"), ("not so dark", "starry night 100% + brighter 40%"),
])  # fmt: skip
def test_comparatives_and_what_is_added_leave_the_painting(said: str, prompt: str) -> None:
    made, strength, reading = after(PAINTED, said)
    assert (made, strength) == (prompt, 1.0)
    assert reading.note.endswith("%")


def test_added_to_what_is_weak_it_says_how_much_is_seen() -> None:
    assert after(PAINTED, "add rain", 0.4)[2].note == "rain at 34%"


@pytest.mark.parametrize("said", ["less rain", "turn the rain down", "half the rain"])
def test_there_is_no_less_of_what_does_not_run(said: str) -> None:
    _, _, reading = after(PAINTED, said)
    assert not reading.understood
    assert reading.note == "there is no rain that could be less: starry night is in force"


@pytest.mark.parametrize(("running", "said", "prompt", "note"), [
    ("sepia 100% + darker 40%", "a bit brighter", "sepia 100%", "darker is gone, sepia stays"),
    ("sepia 100% + darker 62%", "a bit brighter", "sepia 100% + darker 22%", "darker at 22%"),
    ("sepia 100% + warmer 40%", "cooler", "sepia 100% + cooler 45%", "cooler at 45%"),
    ("darker 40%", "a bit brighter", "", "darker is gone, and nothing else was in force: the source is back"),
])  # fmt: skip
def test_what_is_the_opposite_of_what_runs_takes_from_it(
    running: str, said: str, prompt: str, note: str
) -> None:
    made, _, reading = after(running, said)
    assert (made, reading.note) == (prompt, note)


def test_of_two_arts_the_newer_takes_the_place() -> None:
    prompt, _, reading = after("starry night 100% + rain 40%", "also as a cartoon")
    assert prompt == "cartoon 100% + rain 40%"
    assert reading.note == "cartoon at 100%, in the place of starry night"


def test_an_art_goes_on_where_the_new_one_is_not() -> None:
    prompt, _, reading = after("starry night 100% + rain 40%", "add pixel art to the background")
    assert prompt == "starry night 100% (person) + pixel art 100% (background) + rain 40%"
    assert "in the place of" not in reading.note
    behind = "starry night 100% (background)"
    assert after(behind, "also make me a cartoon, but not the background")[0].startswith(behind)


@pytest.mark.parametrize(("running", "said", "prompt"), [
    (PAINTED, "make the background darker", "starry night 100% + darker 85% (background)"),
    ("rain 80% + darker 40% (background)", "make the room even darker", "rain 80% + darker 62% (background)"),
    ("make it night", "make the background a bit brighter", "night 85% + brighter 40% (background)"),
    ("sepia", "make me more colourful", "sepia 100% + vivid 85%"),
])  # fmt: skip
def test_darker_in_one_place_is_of_what_is_there(running: str, said: str, prompt: str) -> None:
    assert after(running, said)[0] == prompt


@pytest.mark.parametrize(("said", "prompt", "note"), [
    ("add snow and remove the rain", "night 85% + snow 85%", "snow at 85%; rain is gone, night + snow stay"),
    ("less rain, more night", "night 100% + rain 55%", "rain at 55%; night at 100%"),
    ("less rain and no fog", "night 85% + rain 55%",
     "rain at 55%; there is no fog to stop: night + rain is in force"),
])  # fmt: skip
def test_several_changes_are_made_in_turn(said: str, prompt: str, note: str) -> None:
    made, _, reading = after("rainy night", said)
    assert (made, reading.note) == (prompt, note)


def test_several_changes_of_nothing_are_what_they_say_by_themselves() -> None:
    assert after("", "a bit darker and warmer")[0] == "warmer 85% + darker 85%"
    assert not after("", "no rain and no fog")[2].understood


@pytest.mark.parametrize("said", ["make it day", "day", "daytime please"])
def test_by_day_the_night_is_gone(said: str) -> None:
    assert after("rainy night", said)[2].note == "night is gone, rain stays"


def test_darker_is_seen_whatever_the_strength() -> None:
    prompt, strength, reading = after("make it night", "even darker", 0.28)
    assert (prompt, strength, reading.note) == ("night 100%", 0.37, "night at 37%")
    prompt, strength, reading = after("rainy night", "more rain", 0.28)
    assert (prompt, strength, reading.note) == ("rain 100% + night 64%", 0.37, "rain at 37%")


def test_more_of_all_says_the_strength_and_what_is_seen() -> None:
    _, strength, reading = after("make it night", "more", 0.28)
    assert strength == 0.43
    assert reading.note == "at a strength of 43%: night at 37%"
    assert after("make it sepia", "more", 0.28)[2].note == "at a strength of 43%"


def test_two_hundred_per_cent_is_the_strongest_in_the_same_proportions() -> None:
    prompt, strength, reading = after("night 85% + rain 55%", "200%", 0.5)
    assert (prompt, strength) == ("night 100% + rain 65%", 1.0)
    assert reading.note == "night at 100%, rain at 65%"


def test_at_nothing_it_is_still_in_force() -> None:
    prompt, strength, reading = after("rainy night", "0%")
    assert (prompt, strength) == ("rainy night", 0.0)
    assert "to have it back" in reading.note
    assert after("rainy night", "0%", 0.0)[2].note.startswith("already at 0%")
    assert after("rainy night", "less", 0.0)[:2] == ("rainy night", 0.0)
    for said, back in (("more", 0.4), ("50%", 0.5), ("more rain", 0.4)):
        assert after("rainy night", said, 0.0)[:2] == ("rainy night", back)
    assert after("rainy night", "add snow", 0.0)[:2] == ("snow 85%", 1.0)
