"""Reads and judges paraphrases: what a prompt asks for, in the words of paraphrases*.txt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gpu.nano.edits import COLOURS, EDIT_NAMES, REGIONS
from gpu.nano.text import TextTower
from gpu.nano.text.reading import DEGREES, PLAIN_OF_DEGREE
from gpu.types import Part

_ASKED = re.compile(r"(?P<name>\w+)(@(?P<region>\w+))?(\[(?P<colours>[\w>]+)\])?(:(?P<amount>less|more))?")


@dataclass(frozen=True, slots=True)
class Asked:
    """One edit that a prompt asks for. `amount` "" is not checked."""

    name: str
    region: str = "everywhere"
    colours: tuple[str, ...] = ()
    amount: str = ""

    def is_met_by(self, part: Part) -> bool:
        plain = PLAIN_OF_DEGREE if self.name in DEGREES else 1.0
        amounts = {"": True, "less": part.amount < plain, "more": part.amount == 1.0}
        same = (part.name, part.region) == (self.name, self.region)
        return same and part.colours == self.colours and amounts[self.amount]


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """A prompt and the sets of edits that are right for it: ("source",) and ("none",) too."""

    prompt: str
    right: tuple[tuple[Asked, ...], ...]
    line: str

    def is_read_by(self, tower: TextTower) -> bool:
        return any(self._is(asked, tower) for asked in self.right)

    def _is(self, asked: tuple[Asked, ...], tower: TextTower) -> bool:
        reading = tower.read(self.prompt)
        if asked[0].name in ("source", "none"):
            return not reading.parts and reading.understood == (asked[0].name == "source")
        left = list(asked)
        for part in reading.parts:
            met = next((one for one in left if one.is_met_by(part)), None)
            if met is None:
                return False
            left.remove(met)
        return not left


def read_file(path: Path) -> list[Paraphrase]:
    """The paraphrases of a file. Raises ValueError for a line that is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [paraphrase(line) for line in lines if line and not line.startswith("#")]


def paraphrase(line: str) -> Paraphrase:
    """One line: the prompt, a tab, what it asks for."""
    prompt, told = line.split("\t")
    right = tuple(tuple(_asked(one) for one in way.split(",")) for way in told.split("|"))
    return Paraphrase(prompt, right, line)


def _asked(text: str) -> Asked:
    found = _ASKED.fullmatch(text)
    if not found or found["name"] not in (*EDIT_NAMES, "source", "none"):
        raise ValueError(f"{text!r} names no edit")
    asked = Asked(
        found["name"],
        found["region"] or "everywhere",
        tuple(found["colours"].split(">")) if found["colours"] else (),
        found["amount"] or "",
    )
    if asked.region not in REGIONS or not set(asked.colours) <= set(COLOURS):
        raise ValueError(f"{text!r} names no region or colour there is")
    return asked
