"""The text tower: every preset, the way back, its reach, its speed, and text nobody meant."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from gpu.errors import ModelError
from gpu.nano.edits import COLOURS, EDIT_BY_NAME, EDITS, OFFERS, REGIONS, EditInfo, Offer
from gpu.nano.text import WEIGHTS, TextTower
from gpu.nano.text.features import MAX_WORDS, split
from gpu.nano.text.wording import reworded


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_every_preset_is_read_as_itself(tower: TextTower, edit: EditInfo) -> None:
    # a recolouring without its two colours asks for nothing yet
    for prompt in (edit.prompt, edit.label) if edit.name != "recolour" else (edit.prompt,):
        reading = tower.read(prompt)
        assert [part.name for part in reading.parts] == [edit.name], prompt
        assert reading.understood


@pytest.mark.parametrize(("offer", "parts"), [
    ("room_dark", {("darken", "background")}),
    ("room_only_me", {("black_and_white", "background")}),
    ("room_night", {("night", "background")}),
    ("room_painted", {("starry_night", "background")}),
    ("me_sketched", {("pencil", "person")}),
    ("snowy_night_sketch", {("snow", "everywhere"), ("night", "everywhere"), ("pencil", "everywhere")}),
    ("rainy_night", {("rain", "everywhere"), ("night", "everywhere")}),
])  # fmt: skip
def test_every_offer_is_read_as_meant(tower: TextTower, offer: str, parts: set[tuple[str, str]]) -> None:
    prompt = {one.name: one for one in OFFERS}[offer].prompt
    assert {(part.name, part.region) for part in tower.read(prompt).parts} == parts


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: offer.name)
def test_offers_are_understood(tower: TextTower, offer: Offer) -> None:
    assert tower.read(offer.prompt).understood


@pytest.mark.parametrize("prompt", ["", "  \n", "undo", "back to normal", "remove the effect", "original"])
def test_the_way_back_is_the_source(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert (reading.parts, reading.understood, reading.label) == ((), True, "original")


@pytest.mark.parametrize(
    "prompt",
    ["add a dog", "make me a robot", "zoom in", "!!!", "qwrtp", "\u65e5\u672c\u8a9e", "make my car blue"],
)
def test_what_is_out_of_reach_is_said_to_be(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert not reading.understood
    assert reading.parts == ()
    assert reading.confidence < 0.5
    assert all(name in {edit.label for edit in EDITS} for name in reading.nearest)


@pytest.mark.parametrize("prompt", ["hello", "add a dog", "zoom in", "qwrtp", "make me a robot"])
def test_nothing_absurd_is_named_as_near(tower: TextTower, prompt: str) -> None:
    assert tower.read(prompt).nearest == ()


@pytest.mark.parametrize("prompt", ["m", "ma", "make", "make it", "make it n", "turn the", "in the style of"])
def test_what_is_still_being_typed_is_not_guessed_at(tower: TextTower, prompt: str) -> None:
    assert tower.read(prompt).parts == ()


def test_labels_are_in_words(tower: TextTower) -> None:
    assert tower.read("rainy night").label in ("rain + night", "night + rain")
    assert tower.read("blur the background").label == "blur (background)"
    assert tower.read("make the red things blue").label == "recolour (red to blue)"
    assert tower.read("keep only the red in colour").label == "colour pop (red)"
    assert tower.read("green screen").label == "plain backdrop (green)"


def test_parts_come_strongest_first(tower: TextTower) -> None:
    amounts = [part.amount for part in tower.read("a little fog, heavy rain, pencil sketch").parts]
    assert len(amounts) == 3
    assert amounts == sorted(amounts, reverse=True)


def test_two_paintings_at_once_are_both_named(tower: TextTower) -> None:
    assert {part.name for part in tower.read("half a mosaic and a bit of stained glass").parts} == {
        "mosaic", "stained_glass",
    }  # fmt: skip


GARBAGE = [
    "x" * 2000,
    "rain " * 400,
    "\0" * 50,
    "\ud800 lone surrogate",
    "\u202e\u0301" * 1000,
    "".join(chr(code) for code in range(0x1F300, 0x1F700)),
    "% 9999999999999999% \u0664\u0665%",
    "a" * 100_000,
    "\ue001red \ue002blue",
    "not " + ", " * 1000,
    "but not the " * 300,
    "rain" + " ,.!" * 500 + "x",
]


@pytest.mark.parametrize("prompt", GARBAGE, ids=range(len(GARBAGE)))
def test_any_text_is_read(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert 0 <= reading.confidence <= 1
    assert all(0 <= part.amount <= 1 and part.name in EDIT_BY_NAME for part in reading.parts)
    assert all(part.region in REGIONS and set(part.colours) <= set(COLOURS) for part in reading.parts)


def test_reading_does_a_bounded_amount_of_work(tower: TextTower) -> None:
    """The bound is on words, not on the clock; the clock is only asked for what no machine misses."""
    assert len(split("a,b;" * 5000).words) == MAX_WORDS
    assert len(reworded("snow " * 5000).text.split()) == MAX_WORDS
    assert len(reworded("not snow " * 5000).text.split()) == MAX_WORDS
    prompts = [f"make {n} {'abcdefgh' * 3} " * 60 for n in range(20)]
    took = []
    for prompt in prompts:
        begun = time.thread_time()
        tower.read(prompt)
        took.append(time.thread_time() - begun)
    assert min(took) < 0.05


def test_the_shipped_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 3_000_000


def test_weights_that_are_missing_or_foreign_name_the_remedy(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", table=np.zeros(3))
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04torn")
    (tmp_path / "empty.npz").touch()
    for name in ("missing.npz", "foreign.npz", "torn.npz", "empty.npz"):
        with pytest.raises(ModelError, match=r"text\.train"):
            TextTower.load(tmp_path / name)
