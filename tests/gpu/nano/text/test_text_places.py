"""Where an edit goes: what is named, what is left alone, and prompts that name two places."""

from __future__ import annotations

import pytest

from gpu.nano.text import TextTower
from gpu.nano.text.places import MOST_CLAUSES, clauses_of, set_beside
from gpu.nano.text.wording import Wording, reworded
from tests.gpu.nano.text.conftest import part


@pytest.mark.parametrize("prompt", [
    "make the red things blue", "keep only the red in colour", "rain and night", "pencil sketch",
    "light rain",
])  # fmt: skip
@pytest.mark.parametrize(("ending", "region"), [
    (", only on me", "person"), (" only on me.", "person"), (", on me only", "person"),
    (" but only on her", "person"), (", only in the background", "background"),
    (" only in the background!", "background"), (", but only the background", "background"),
])  # fmt: skip
def test_an_ending_puts_all_parts_in_its_region(
    tower: TextTower, prompt: str, ending: str, region: str
) -> None:
    parts = tower.read(prompt + ending).parts
    alone = {(part.name, part.amount, part.colours) for part in tower.read(prompt).parts}
    assert {(part.name, part.amount, part.colours) for part in parts} == alone
    assert {part.region for part in parts} == {region}


def test_an_ending_alone_or_denied_is_left_to_the_network() -> None:
    assert reworded("only on me") == Wording("only on me")
    assert reworded("sepia, not only in the background").region is None


def test_a_backdrop_stays_behind(tower: TextTower) -> None:
    assert part(tower, "green screen, only on me", "backdrop").region == "background"


@pytest.mark.parametrize("who", [
    "the person", "the speaker", "the subject", "the people", "him", "her", "me",
])  # fmt: skip
@pytest.mark.parametrize("shape", [
    "night but not {}", "night except {}", "night without {}", "night, but leave {} alone",
    "night on everything but {}", "night, not on {}",
])  # fmt: skip
def test_whoever_is_left_out_is_not_edited(tower: TextTower, shape: str, who: str) -> None:
    reading = tower.read(shape.format(who))
    assert [(part.name, part.region) for part in reading.parts] == [("night", "background")]


@pytest.mark.parametrize("who", ["the person", "the speaker", "the subject", "the people", "him", "her"])
def test_whoever_is_named_is_edited(tower: TextTower, who: str) -> None:
    assert part(tower, f"blur {who}", "blur").region == "person"


@pytest.mark.parametrize("prompt", ["snow but not her hair", "blur her hair", "the person's hat", "a hero"])
def test_what_belongs_to_someone_is_not_someone(prompt: str) -> None:
    assert reworded(prompt).text == prompt


@pytest.mark.parametrize(("prompt", "name", "region"), [
    ("blur it", "blur", "everywhere"),
    ("blur the room behind me", "blur", "background"),
    ("blur only me", "blur", "person"),
    ("darken everything but me", "darken", "background"),
    ("make me a pencil sketch but leave the room", "pencil", "person"),
    ("make me a pencil sketch", "pencil", "everywhere"),
    ("only the background in sepia", "sepia", "background"),
])  # fmt: skip
def test_an_edit_is_put_where_it_is_asked_for(tower: TextTower, prompt: str, name: str, region: str) -> None:
    assert part(tower, prompt, name).region == region


@pytest.mark.parametrize(("prompt", "parts"), [
    ("make me a cartoon and the room a mosaic", {("cartoon", "person"), ("mosaic", "background")}),
    ("blur the background and paint me like van Gogh", {("blur", "background"), ("starry_night", "person")}),
    ("me in black and white, the background at night", {
        ("black_and_white", "person"), ("night", "background"),
    }),
    ("I am a watercolour; everything behind me is a blueprint", {
        ("watercolour", "person"), ("blueprint", "background"),
    }),
    ("blur everything but me and make me a pencil sketch", {("blur", "background"), ("pencil", "person")}),
    ("please, make me pop art with a stained glass room behind me", {
        ("pop_art", "person"), ("stained_glass", "background"),
    }),
    ("make me a cartoon, the room a mosaic and everything foggy", {
        ("cartoon", "person"), ("mosaic", "background"), ("fog", "everywhere"),
    }),
    ("sepia for me and sepia with snow for the room", {
        ("sepia", "person"), ("sepia", "background"), ("snow", "background"),
    }),
    ("charcoal me, stained glass behind", {("charcoal", "person"), ("stained_glass", "background")}),
    ("a mosaic behind and me as a comic", {("mosaic", "background"), ("comic", "person")}),
    ("put a green wall behind me and make me a comic", {("backdrop", "background"), ("comic", "person")}),
])  # fmt: skip
def test_each_place_gets_its_own(tower: TextTower, prompt: str, parts: set[tuple[str, str]]) -> None:
    reading = tower.read(prompt)
    assert {(part.name, part.region) for part in reading.parts} == parts
    assert reading.left_out == ()


@pytest.mark.parametrize(("prompt", "parts"), [
    ("sunset with the room blurred", {("sunset", "everywhere"), ("blur", "background")}),
    ("vintage film with the background foggy", {("vintage_film", "everywhere"), ("fog", "background")}),
    ("mosaic with snow in the background", {("mosaic", "everywhere"), ("snow", "background")}),
])  # fmt: skip
def test_what_is_set_beside_a_whole_leaves_the_whole_everywhere(
    tower: TextTower, prompt: str, parts: set[tuple[str, str]]
) -> None:
    assert {(part.name, part.region) for part in tower.read(prompt).parts} == parts


@pytest.mark.parametrize("prompt", [
    "the room with snow behind me", "replace with ", "night with fog", "with the room dark",
    "keep it with the room dark", "sepia with the room dark and foggy",
])  # fmt: skip
def test_what_is_not_set_beside_a_whole_is_read_whole(prompt: str) -> None:
    assert set_beside(prompt) == ()


def test_what_is_not_understood_of_a_place_is_left_out(tower: TextTower) -> None:
    reading = tower.read("Make me younger and blur the room!")
    assert [(part.name, part.region) for part in reading.parts] == [("blur", "background")]
    assert reading.left_out == ('"make me younger"',)
    assert reading.confidence < 0.75


def test_two_places_out_of_reach_are_out_of_reach(tower: TextTower) -> None:
    reading = tower.read("make me younger and the room bigger")
    assert not reading.understood
    assert reading.parts == reading.left_out == ()


@pytest.mark.parametrize("prompt", [
    "make me a cartoon", "the room as a mosaic", "night but not me", "give me a mosaic background",
    "keep me as I am and make the room a mosaic", "me in colour and the room in black and white",
    "cartoon me in a mosaic room", "#" * 50, "and the room " * 100,
])  # fmt: skip
def test_what_names_one_place_or_leaves_one_alone_is_read_whole(prompt: str) -> None:
    assert clauses_of(prompt.lower()) == ()


def test_clauses_are_few() -> None:
    told = " and ".join(["me a cartoon", "the room a mosaic"] * (MOST_CLAUSES // 2))
    assert [clause.region for clause in clauses_of(told)] == ["person", "background"] * (MOST_CLAUSES // 2)
    assert clauses_of(told + " and me a sketch") == ()
