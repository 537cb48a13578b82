"""The text tower: amounts, negation, the way back, its reach, its speed, and text nobody meant."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from gpu.errors import ModelError
from gpu.nano.edits import EDIT_BY_NAME, EDITS
from gpu.nano.text import TextTower
from gpu.nano.text_features import BUCKETS, MAX_WORDS, split, word_rows


@pytest.fixture(scope="module")
def tower() -> TextTower:
    return TextTower.load()


def amount(tower: TextTower, prompt: str, name: str) -> float:
    return dict(tower.read(prompt).parts)[name]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_every_preset_is_read_as_itself(tower: TextTower, edit: object) -> None:
    for prompt in (EDIT_BY_NAME[edit.name].prompt, EDIT_BY_NAME[edit.name].label):  # type: ignore[attr-defined]
        reading = tower.read(prompt)
        assert [name for name, _ in reading.parts] == [edit.name], prompt  # type: ignore[attr-defined]
        assert reading.understood


@pytest.mark.parametrize("prompt", ["", "  \n", "undo", "back to normal", "remove the effect", "original"])
def test_the_way_back_is_the_source(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert (reading.parts, reading.understood, reading.label) == ((), True, "original")


@pytest.mark.parametrize(
    "prompt",
    ["add a dog", "make me a robot", "blur the room behind me", "!!!", "...", "qwrtp", "\u65e5\u672c\u8a9e"],
)
def test_what_is_out_of_reach_is_said_to_be(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert not reading.understood
    assert reading.parts == ()
    assert reading.confidence < 0.5
    assert all(name in {edit.label for edit in EDITS} for name in reading.nearest)


def test_out_of_reach_names_the_nearest(tower: TextTower) -> None:
    assert len(tower.read("add a dog").nearest) == 3


def test_label_is_in_words(tower: TextTower) -> None:
    assert tower.read("rainy night").label in ("rain + night", "night + rain")


@pytest.mark.parametrize("name", ["fog", "rain", "snow"])
def test_intensity_grows_with_its_words(tower: TextTower, name: str) -> None:
    hint, slight = amount(tower, f"just a hint of {name}", name), amount(tower, f"a little {name}", name)
    plain, heavy = amount(tower, f"add {name}", name), amount(tower, f"very heavy {name}", name)
    assert hint <= slight < plain < heavy == 1.0


def test_not_so_dark_lowers(tower: TextTower) -> None:
    assert amount(tower, "not so dark", "night") < amount(tower, "make it dark", "night")


@pytest.mark.parametrize(("prompt", "name", "value"), [
    ("20% fog", "fog", 0.2),
    ("sepia at 40 percent", "sepia", 0.4),
    ("make it snow, 75 %", "snow", 0.75),
    ("250% rain", "rain", 1.0),
])  # fmt: skip
def test_a_percentage_is_taken_at_its_word(tower: TextTower, prompt: str, name: str, value: float) -> None:
    assert amount(tower, prompt, name) == pytest.approx(value)


def test_parts_come_strongest_first(tower: TextTower) -> None:
    amounts = [amount for _, amount in tower.read("a little fog, heavy rain, pencil sketch").parts]
    assert len(amounts) == 3
    assert amounts == sorted(amounts, reverse=True)


GARBAGE = [
    "x" * 2000,
    "rain " * 400,
    "\0" * 50,
    "\ud800 lone surrogate",
    "\u202e\u0301" * 1000,
    "".join(chr(code) for code in range(0x1F300, 0x1F700)),
    "% 9999999999999999% \u0664\u0665%",
    "a" * 100_000,
]


@pytest.mark.parametrize("prompt", GARBAGE, ids=range(len(GARBAGE)))
def test_any_text_is_read(tower: TextTower, prompt: str) -> None:
    reading = tower.read(prompt)
    assert 0 <= reading.confidence <= 1
    assert all(0 <= amount <= 1 and name in EDIT_BY_NAME for name, amount in reading.parts)


def test_reading_does_a_bounded_amount_of_work(tower: TextTower) -> None:
    """The bound is on words, not on the clock; the clock is only asked for what no machine misses."""
    assert len(split("a,b;" * 5000).words) == MAX_WORDS
    prompts = [f"make {n} {'abcdefgh' * 3} " * 60 for n in range(20)]
    took = []
    for prompt in prompts:
        begun = time.thread_time()
        tower.read(prompt)
        took.append(time.thread_time() - begun)
    assert min(took) < 0.05


def test_splitting_keeps_what_meaning_hangs_on() -> None:
    assert split("Don\u2019t add FOG, b&w at 20 %!").words == (
        "do", "not", "add", "fog", ",", "bw", "at", "<percent>", "!",
    )  # fmt: skip
    assert split("aquar\u00e9lle").words == ("aquarelle",)
    assert "snowflake" in split("\u2744").words


def test_every_row_is_in_the_table() -> None:
    for word in ("", "a", "rain", "\u96e8", "z" * 500):
        whole, pieces = word_rows(word)
        assert pieces
        assert all(0 < row < BUCKETS for row in (whole, *pieces))


def test_the_shipped_weights_are_small() -> None:
    import gpu.nano.text as text

    assert text.WEIGHTS.stat().st_size < 1_000_000


def test_weights_that_are_missing_or_foreign_name_the_remedy(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", table=np.zeros(3))
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04torn")
    for name in ("missing.npz", "foreign.npz", "torn.npz"):
        with pytest.raises(ModelError, match="text_train"):
            TextTower.load(tmp_path / name)
