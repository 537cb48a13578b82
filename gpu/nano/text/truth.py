"""What a training sentence means, and the files of phrases that sentences are made of."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from gpu.nano.edits import EDIT_NAMES, REGIONS, Group
from gpu.nano.text.features import MAX_WORDS, split

# Levels of intensity, in the order of the level head. PERCENT's amount is the number the prompt says.
HINT, SLIGHT, HALF, SOME, PLAIN, STRONG, PERCENT = range(7)
LEVELS = ("hint", "slight", "half", "some", "plain", "strong", "percent")
# Regions, in the order of the region head, which is that of REGIONS.
EVERYWHERE, BACKGROUND, PERSON = range(len(REGIONS))
# What a colour word is there for, in the order of the slot head.
SLOTS = ("none", "found", "becomes", "backdrop", "kept")
FOUND, BECOMES, BACKDROP, KEPT = (chr(0xE000 + slot) for slot in range(1, len(SLOTS)))  # mark the next word
_MARK = re.compile(f"([{FOUND}-{KEPT}])")

SOURCE_TARGET = len(EDIT_NAMES)  # the target after the edits: back to the source
TARGETS = SOURCE_TARGET + 1

_FOLDER = Path(__file__).parent / "phrases"


def _read(name: str) -> dict[str, Any]:
    return json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))


EDIT_WAYS: dict[str, dict[str, list[str]]] = {
    edit: ways for group in get_args(Group) for edit, ways in _read(group).items()
}
GRAMMAR, PLACES, BEYOND = _read("grammar"), _read("places"), _read("beyond")
LEVEL_WORDS: dict[str, dict[str, list[str]]] = GRAMMAR["levels"]
TEMPLATES: dict[str, list[str]] = GRAMMAR["templates"]
SOURCE: list[str] = BEYOND["source"]
WORKS: dict[str, list[str]] = GRAMMAR["works"]  # by group: nouns that an adjective for an edit stands before


@dataclass(frozen=True, slots=True)
class Clause:
    """Words that ask for one edit (or the source), its level and region. Colour words may carry marks."""

    text: str
    edit: int
    level: int
    region: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A prompt and its truth. No targets: out of reach. `slots[i]` is the slot of word i."""

    prompt: str
    targets: dict[int, int]  # target -> level
    regions: dict[int, int]  # target -> region
    words: tuple[str, ...]
    slots: tuple[int, ...]


def sentence(marked: str, clauses: list[Clause]) -> Sentence:
    """The sentence behind a text with marks before its colour words."""
    slots: list[int] = []
    words: list[str] = []
    slot = 0
    for piece in _MARK.split(marked):
        if _MARK.fullmatch(piece):
            slot = ord(piece) - 0xE000
            continue
        found = split(piece).words
        words += found
        slots += [slot if at == 0 else 0 for at in range(len(found))]
        slot = 0
    return Sentence(
        _MARK.sub("", marked),
        {clause.edit: clause.level for clause in clauses},
        {clause.edit: clause.region for clause in clauses},
        tuple(words[:MAX_WORDS]) or ("?",),
        tuple(slots[:MAX_WORDS]) or (0,),
    )
