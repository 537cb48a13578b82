"""The held-out evaluation: paraphrases that no training sentence was made of, written by hand and by rules.

What was misread among the odd lines of the hand-written files, and of those by rules, was looked at while the
training sentences were written; what was misread among the even lines never: their share is the honest one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu.nano.edits import EDIT_NAMES
from gpu.nano.text import TextTower
from tests.gpu.nano.paraphrase_rules import CALLED, by_rules
from tests.gpu.nano.paraphrases import Paraphrase, read_file

FIRST, MORE = (Path(__file__).parent / name for name in ("paraphrases.txt", "paraphrases_more.txt"))
LEAST = 0.95


@pytest.fixture(scope="module")
def tower() -> TextTower:
    return TextTower.load()


def misread(tower: TextTower, told: list[Paraphrase]) -> str:
    """The share read exactly right, and what was misread, to look at."""
    wrong = [one for one in told if not one.is_read_by(tower)]
    return "\n".join(f"{one.line}\tread as {tower.read(one.prompt).label or 'none'}" for one in wrong)


def share(tower: TextTower, told: list[Paraphrase]) -> float:
    return sum(one.is_read_by(tower) for one in told) / len(told)


def test_there_are_many_and_of_every_edit() -> None:
    first, more, rules = read_file(FIRST), read_file(MORE), by_rules()
    assert len(first) >= 300
    assert len(more) >= 350
    assert len(rules) >= 400
    asked = {one.name for told in (first, more) for each in told for way in each.right for one in way}
    assert asked == {*EDIT_NAMES, "source", "none"}
    assert {*CALLED, "recolour", "colour_pop", "backdrop"} == set(EDIT_NAMES)


@pytest.mark.parametrize("part", ["looked at", "never looked at"])
def test_hand_written_paraphrases_are_read_exactly(tower: TextTower, part: str) -> None:
    files = [read_file(file)[0 if part == "looked at" else 1 :: 2] for file in (FIRST, MORE)]
    for file, told in zip((FIRST, MORE), files, strict=True):
        print(f"{file.name}, {part}: {share(tower, told):.1%} of {len(told)} exactly right")
    both = [one for told in files for one in told]
    shown = misread(tower, both) if part == "looked at" else "(not shown, so that it stays unseen)"
    assert share(tower, both) >= LEAST, shown


def test_paraphrases_by_rules_are_read_exactly(tower: TextTower) -> None:
    told = by_rules()
    print(f"by rules: {share(tower, told):.1%} of {len(told)} exactly right")
    assert share(tower, told) >= LEAST, misread(tower, told)
