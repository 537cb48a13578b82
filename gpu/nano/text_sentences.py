"""Training sentences: templates x ways of saying x distractors, with the truth beside each. Seeded."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu.nano.edits import EDIT_NAMES

# Levels of intensity, in the order of the level head. PERCENT's amount is the number the prompt says.
HINT, SLIGHT, HALF, SOME, PLAIN, STRONG, PERCENT = range(7)

SOURCE_TARGET = len(EDIT_NAMES)  # the target after the edits: back to the source
TARGETS = SOURCE_TARGET + 1

_DATA: dict[str, Any] = json.loads((Path(__file__).parent / "text_phrases.json").read_text("utf-8"))
_LEVELS = ("hint", "slight", "half", "some", "plain", "strong", "percent")
_KINDS = ("things", "styles", "hows", "orders")  # "add ...", "like ...", "a ... day", and what stands alone
_PERCENTS = (5, 10, 15, 20, 25, 30, 33, 40, 50, 60, 70, 75, 80, 90, 100)
_FORBIDS = ("no ", "not ", "without", "do not", "don't", "i do", "never", "stop", "drop", "forget", "get rid")


def _levels(place: str) -> dict[int, list[str]]:
    return {_LEVELS.index(name): words for name, words in _DATA["levels"][place].items()}


_OF, _HOW, _AFTER = _levels("before thing"), _levels("before how"), _levels("after clause")
_TEMPLATES: dict[str, list[str]] = _DATA["templates"]
_BEYOND: dict[str, list[str]] = _DATA["beyond"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A prompt and its truth: target index -> level. No targets: out of reach."""

    prompt: str
    targets: dict[int, int]


class Writer:
    """Writes sentences. `keep` picks which ways to draw from: two parts of a split share none."""

    def __init__(self, seed: int, keep: str = "all") -> None:
        self._rng = random.Random(seed)
        self._ways = [
            {kind: _kept(_DATA["edits"][name][kind], keep) for kind in _KINDS} for name in EDIT_NAMES
        ]
        self._source = _kept(_DATA["source"], keep)
        self._chat = _kept(_BEYOND["chat"], keep)

    def write(self) -> Sentence:
        """One sentence at random."""
        draw = self._rng.random()
        if draw < 0.66:
            text, targets = self._wanted()
        elif draw < 0.74:
            text, targets = self._back()
        else:
            text, targets = self._beyond(), {}
        return Sentence(self._noise(self._wrap(text)), targets)

    def _pick(self, options: list[str]) -> str:
        return self._rng.choice(options)

    def _wanted(self) -> tuple[str, dict[int, int]]:
        rng = self._rng
        count = rng.choices((1, 2, 3), (0.6, 0.3, 0.1))[0]
        picked = rng.sample(range(SOURCE_TARGET), count + 1)
        other = picked.pop()
        targets: dict[int, int] = {}
        clauses = []
        for edit in picked:
            clause, targets[edit] = self._clause(edit, free=count == 1)
            clauses.append(clause)
        text = clauses[0]
        for clause in clauses[1:]:
            text += self._pick(_TEMPLATES["join"]) + clause
        if count == 2 and rng.random() < 0.25:  # "a rainy night", "foggy sepia street"
            first, second = self._ways[picked[0]], self._ways[picked[1]]
            last = _bare(self._pick(second["hows"] + second["styles"]))
            text = f"{self._pick(['', 'a '])}{self._pick(first['hows'])} {last}"
            targets = dict.fromkeys(picked, PLAIN)
        draw = rng.random()
        if draw < 0.17:
            no = self._pick(_TEMPLATES["negate"]).format(x=self._named(other))
            if no.startswith(_FORBIDS) and rng.random() < 0.4:
                then = self._pick([", ", ", just ", " but ", ", only ", " and ", ", make it ", ". "])
                text = f"{no}{then}{text}"
            else:
                text = f"{text}{self._pick([' ', ', '])}{no}"
        elif draw < 0.21:
            text = f"{text}{self._pick([' and ', ', ', ' but '])}{self._beyond()}"
        elif draw < 0.24:
            then = self._pick([", then ", " and then ", " and ", ", now "])
            text = f"{self._pick(self._source)}{then}{text}"
        return text, targets

    def _clause(self, edit: int, free: bool) -> tuple[str, int]:
        ways, rng = self._ways[edit], self._rng
        kind = rng.choices(_KINDS, (0.25, 0.3, 0.25, 0.2))[0]
        way = self._pick(ways[kind])
        level = rng.choices(range(7), (0.06, 0.1, 0.04, 0.06, 0.57, 0.11, 0.06))[0]
        it = self._pick(_TEMPLATES["it"])
        before, after = "", ""
        if level == PERCENT:
            number = f"{rng.choice((*_PERCENTS, rng.randint(1, 100)))}"
            number += self._pick(["%", " %", " percent", " per cent"])
            after = self._pick(["", " at ", " ", " with "])
            before, after = ("", after + number) if after else (number + " ", "")
        if level == PLAIN and rng.random() < 0.12:
            return way, level
        if kind == "things":
            if level in _OF:
                before = self._pick(_OF[level]) + " "
                way = _bare(way)
            add = self._pick(_TEMPLATES["add"]) + " " if rng.random() < 0.6 else ""
            text = f"{add}{before}{way}"
        elif kind == "styles":
            if level in _OF:
                if rng.random() < 0.5:
                    after = " " + self._pick(_AFTER[level])
                else:
                    before = self._pick(_HOW[level]) + " "
            like = self._pick(_TEMPLATES["like"]).format(it=it) + " " if rng.random() < 0.75 else ""
            text = f"{before}{like}{way}"
        elif kind == "hows":
            if level in _HOW:
                before = self._pick(_HOW[level]) + " "
            scene = self._pick(_TEMPLATES["scenes"])
            text = self._pick(_TEMPLATES["make"]).format(it=it, how=before + way, scene=scene)
        else:
            if level in _AFTER:
                after = " " + self._pick(_AFTER[level])
            text = before + way
        if level == SOME and rng.random() < 0.3:  # "not so dark, but still night"
            text += self._pick([" but still ", ", but still ", ", still ", " yet "]) + self._named(edit)
        if free and rng.random() < 0.15:
            text += " " + self._pick(["over " + it, "on " + it, "for " + it, "of " + it, "in " + it])
        return text + after, level

    def _named(self, edit: int) -> str:
        kinds = self._ways[edit]
        kind = self._pick(["things", "hows", "styles"])
        way = self._pick(kinds[kind])
        return way if self._rng.random() < 0.3 else _bare(way)

    def _back(self) -> tuple[str, dict[int, int]]:
        if self._rng.random() < 0.6:
            return self._pick(self._source), {SOURCE_TARGET: PLAIN}
        text = self._pick(_TEMPLATES["ending"]).format(x=self._named(self._rng.randrange(SOURCE_TARGET)))
        return text, {SOURCE_TARGET: PLAIN}

    def _beyond(self) -> str:
        draw = self._rng.random()
        if draw < 0.3:
            return self._pick(self._chat)
        if draw < 0.5:
            return " ".join(self._any_word() for _ in range(self._rng.randint(1, 9)))
        thing, being, other = (self._pick(_BEYOND[kind]) for kind in ("things", "beings", "things"))
        whose = self._pick(["the", "my", "his", "her", "that"])
        where = self._pick(["on", "in", "at", "near", "behind"])
        return self._pick(_BEYOND["orders"]).format(
            a=_article(thing) if self._rng.random() < 0.8 else thing,
            b=_article(being),
            c=self._pick(_BEYOND["colours"]),
            t=f"{whose} {other}",
            x=self._pick(_BEYOND["things"]),
            where=where + " the " + self._pick(_BEYOND["places"]),
        )

    def _any_word(self) -> str:
        rng = self._rng
        if rng.random() < 0.6:
            return rng.choice(_BEYOND["words"])
        if rng.random() < 0.5:
            pairs = range(rng.randint(1, 4))
            return "".join(rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in pairs)
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(1, 10)))

    def _wrap(self, text: str) -> str:
        rng = self._rng
        if rng.random() < 0.3:
            text = self._pick(_TEMPLATES["pre"]) + self._pick([" ", ", "]) + text
        if rng.random() < 0.25:
            text += self._pick([" ", ", "]) + self._pick(_TEMPLATES["post"])
        if rng.random() < 0.2:
            text += self._pick(["!", ".", "?", "!!", "..."])
        return text

    def _noise(self, text: str) -> str:
        """Slips of the finger in some sentences."""
        if self._rng.random() < 0.5:
            return text
        return re.sub(r"[a-z]{4,}", lambda found: self._slip(found.group()), text)

    def _slip(self, word: str) -> str:
        rng = self._rng
        if rng.random() > 0.25:
            return word
        at = rng.randrange(1, len(word))
        kind = rng.randrange(4)
        if kind == 0:
            return word[:at] + word[at + 1 :]
        if kind == 1:
            return word[:at] + word[at - 1] + word[at:]
        if kind == 2:
            return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
        return word[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :]


def _kept(ways: list[str], keep: str) -> list[str]:
    """All ways, the five sixths to "learn" from, or the sixth to "check" with."""
    if keep == "all":
        return ways
    return [way for at, way in enumerate(ways) if (at % 6 == 5) == (keep == "check")]


def _bare(way: str) -> str:
    return re.sub(r"^(a|an|the) ", "", way)


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
