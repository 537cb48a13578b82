"""The held-out evaluation: paraphrases written by hand, never trained on.

What was misread among the odd lines was looked at while the training sentences were written, among the even
lines never: the share of the even lines is the honest one.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from gpu.nano.edits import EDIT_NAMES
from gpu.nano.text import TextTower

FILE = Path(__file__).parent / "paraphrases.txt"


@cache
def _lines() -> tuple[tuple[str, str], ...]:
    lines = FILE.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    return tuple((prompt, edits) for prompt, edits in (line.split("\t") for line in lines))


def read_as(tower: TextTower, prompt: str) -> str:
    """A reading in the file's words: edits in EDITS order, "source", or "none"."""
    reading = tower.read(prompt)
    names = {name for name, _ in reading.parts}
    return ",".join(n for n in EDIT_NAMES if n in names) or ("source" if reading.understood else "none")


def _sorted(edits: str) -> str:
    names = edits.split(",")
    return edits if names[0] in ("source", "none") else ",".join(n for n in EDIT_NAMES if n in names)


def _wrong(tower: TextTower, lines: tuple[tuple[str, str], ...]) -> list[str]:
    told = [(prompt, _sorted(edits), read_as(tower, prompt)) for prompt, edits in lines]
    return [f"{prompt!r}: {wanted} read as {got}" for prompt, wanted, got in told if wanted != got]


def test_the_file_is_large_and_names_only_edits_there_are() -> None:
    assert len(_lines()) >= 200
    for prompt, edits in _lines():
        names = edits.split(",")
        assert names in (["source"], ["none"]) or set(names) <= set(EDIT_NAMES), prompt


@pytest.mark.parametrize(("part", "least"), [("looked at", 0.95), ("never looked at", 0.95)])
def test_paraphrases_hit_the_right_edits(part: str, least: float) -> None:
    lines = _lines()[0 if part == "looked at" else 1 :: 2]
    wrong = _wrong(TextTower.load(), lines)
    share = 1 - len(wrong) / len(lines)
    print(f"{part}: {share:.1%} of {len(lines)} exactly right")
    shown = "\n".join(wrong) if part == "looked at" else "(not shown, so that it stays unseen)"
    assert share >= least, f"{share:.1%} of {len(lines)}\n{shown}"
