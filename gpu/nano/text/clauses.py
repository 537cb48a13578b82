"""Clauses of training sentences: one edit each, with its intensity, its region and its colours."""

from __future__ import annotations

import random
import re

from gpu.nano.edits import COLOURS, EDIT_BY_NAME, EDIT_NAMES, HUES, REGIONS
from gpu.nano.text import truth
from gpu.nano.text.colours import SHADES
from gpu.nano.text.truth import (
    BACKGROUND,
    EVERYWHERE,
    PERCENT,
    PERSON,
    PLACES,
    PLAIN,
    SOME,
    TEMPLATES,
    Clause,
)

_KINDS = ("things", "styles", "hows", "orders")  # "add ...", "like ...", "a ... day", and what stands alone
_PERCENTS = (5, 10, 15, 20, 25, 30, 33, 40, 50, 60, 70, 75, 80, 90, 100)
_ME = ("me", "us", "myself", "my face")
# "paint me" asks for a painting, "darken me" for a darker me.
_BARE_ME_IS_A_REGION = ("blur", "darken", "brighten")
_PRONOUN = re.compile(r"\b(it|this|everything|the picture|the scene)\b")
_TINTS = ("light", "dark", "bright", "deep", "pale", "strong", "nice", "sky", "grass", "baby", "neon", "hot")
_DRAWN_BY_HAND = ("paint", "draw")

_SPECIALS: dict[str, list[tuple[int, list[str]]]] = {}
for _one in PLACES["special"]:
    _SPECIALS.setdefault(_one["edit"], []).append((REGIONS.index(_one["region"]), _one["ways"]))


def kept(ways: list[str], keep: str) -> list[str]:
    """All ways, the five sixths to "learn" from, or the sixth to "check" with."""
    if keep == "all" or len(ways) < 6:
        return ways
    return [way for at, way in enumerate(ways) if (at % 6 == 5) == (keep == "check")]


def bare(way: str) -> str:
    return re.sub(r"^(a|an|the) ", "", way)


def _levels(place: str) -> dict[int, list[str]]:
    return {truth.LEVELS.index(name): words for name, words in truth.LEVEL_WORDS[place].items()}


_OF, _HOW, _AFTER = _levels("before thing"), _levels("before how"), _levels("after clause")


class Clauses:
    """Writes clauses from the ways that `keep` leaves."""

    def __init__(self, rng: random.Random, keep: str) -> None:
        self._rng = rng
        self._ways = [
            {kind: kept(truth.EDIT_WAYS[name][kind], keep) for kind in _KINDS} for name in EDIT_NAMES
        ]
        self._places = {name: kept(ways, keep) for name, ways in PLACES["regions"].items()}
        self._coloured = {name: kept(ways, keep) for name, ways in PLACES["coloured"].items()}
        self._specials = {
            name: [(region, kept(ways, keep)) for region, ways in both] for name, both in _SPECIALS.items()
        }

    def write(self, edit: int, free: bool) -> Clause:
        """A clause that asks for `edit`. `free`: it may end in "of the picture" and the like."""
        rng, name = self._rng, EDIT_NAMES[edit]
        if name in self._coloured and rng.random() < 0.85:
            region = BACKGROUND if name == "backdrop" else EVERYWHERE
            return Clause(self._in_colours(name), edit, PLAIN, region)
        if name in self._specials and rng.random() < 0.35:
            region, ways = rng.choice(self._specials[name])
            return Clause(rng.choice(ways), edit, PLAIN, region)
        if name != "backdrop" and rng.random() < (0.55 if name == "blur" else 0.3):
            return self._somewhere(edit, BACKGROUND if rng.random() < 0.55 else PERSON, free)
        return self._anywhere(edit, free)

    def named(self, edit: int) -> str:
        """A noun or adjective for the edit."""
        if self._rng.random() < 0.25:
            return self._phrase(edit)
        way = self._rng.choice(self._ways[edit][self._rng.choice(("things", "hows", "styles"))])
        return way if self._rng.random() < 0.3 else bare(way)

    def _phrase(self, edit: int) -> str:
        """A longer noun for the edit: "a picture in pale colours", "something brighter"."""
        rng, ways = self._rng, self._ways[edit]
        shape = rng.choice(TEMPLATES["phrases"])
        return shape.format(
            thing=rng.choice(ways["things"]),
            how=rng.choice(ways["hows"]),
            style=rng.choice(ways["styles"]),
            scene=self._scene(edit),
        )

    def paired(self, first: int, second: int) -> str:
        """Two edits in one noun phrase."""
        ways = self._ways[second]
        last = bare(self._rng.choice(ways["hows"] + ways["styles"]))
        if self._rng.random() < 0.3:  # by its shortest name: it is heard most often
            last = EDIT_NAMES[second].replace("_", " ")
        return f"{self._rng.choice(['', 'a '])}{self._rng.choice(self._ways[first]['hows'])} {last}"

    def kept_out(self, region: int) -> str:
        """What says that the rest stays as it is."""
        return self._rng.choice(self._places[f"{REGIONS[region]} but"])

    def _anywhere(self, edit: int, free: bool) -> Clause:
        rng, info = self._rng, EDIT_BY_NAME[EDIT_NAMES[edit]]
        it = rng.choice(TEMPLATES["it"])
        text, level, of_it = self._said(edit, it)
        region = EVERYWHERE
        if of_it and it in _ME:
            close = it == "my face" and info.kind not in _DRAWN_BY_HAND
            region = PERSON if close or info.name in _BARE_ME_IS_A_REGION else EVERYWHERE
        elif free and it not in _ME and rng.random() < 0.12:
            text += " " + rng.choice(["over " + it, "on " + it, "for " + it, "of " + it, "in " + it])
        return Clause(text, edit, level, region)

    def _somewhere(self, edit: int, region: int, alone: bool) -> Clause:
        rng, name = self._rng, REGIONS[region]
        draw = rng.random()
        if draw < 0.38:
            text, level = self._of_place(edit, rng.choice(self._places[name]))
        elif draw < 0.54:
            x = bare(rng.choice(self._ways[edit][rng.choice(("hows", "hows", "styles"))]))
            shape = rng.choice(PLACES["shapes"]["alone" if region == BACKGROUND else "alone person"])
            level = PLAIN
            if rng.random() < 0.2:
                level = rng.choice(list(_HOW))
                x = f"{rng.choice(_HOW[level])} {x}"
            text = shape.format(x=x)
        else:
            text, level, _ = self._said(edit, rng.choice([it for it in TEMPLATES["it"] if it not in _ME]))
            if draw < 0.72 or not alone:  # among others "but not me" would speak of all
                text += " " + rng.choice(self._places[f"{name} after"])
            elif draw < 0.95:
                out = self.kept_out(region)
                text += (" " if out.startswith(("but", "and", "without", "except")) else ", ") + out
            else:
                out = self.kept_out(region).removeprefix("but ")
                text = f"{out} {rng.choice(['and', 'but', ','])} {text}"
        return Clause(text, edit, level, region)

    def _of_place(self, edit: int, place: str) -> tuple[str, int]:
        rng, ways = self._rng, self._ways[edit]
        kind = rng.choices(_KINDS, (0.2, 0.33, 0.27, 0.2))[0]
        way = self._phrase(edit) if kind == "styles" and rng.random() < 0.2 else rng.choice(ways[kind])
        level = rng.choice(list(_HOW)) if rng.random() < 0.2 else PLAIN
        if kind == "orders":
            if _PRONOUN.search(way):
                text = _PRONOUN.sub(place, way, count=1)
            else:
                text = rng.choice(["{p}: {x}", "{x} for {p}", "{x} on {p}", "{x} {p}"]).format(p=place, x=way)
            return (f"{text} {rng.choice(_AFTER[level])}" if level in _AFTER else text), level
        if level != PLAIN:
            words = _OF if kind == "things" else _HOW
            way = f"{rng.choice(words[level])} {bare(way)}"
        shape = rng.choice(PLACES["shapes"][kind])
        if shape == "{like}":
            shape = rng.choice(TEMPLATES["like"]).replace("{it}", "{p}") + " {x}"
            shape = shape if "{p}" in shape else "turn {p} into {x}"
        return shape.format(p=place, x=way), level

    def _said(self, edit: int, it: str) -> tuple[str, int, bool]:
        """Text, level, and whether the text speaks of `it`."""
        ways, rng = self._ways[edit], self._rng
        kind = rng.choices(_KINDS, (0.25, 0.3, 0.25, 0.2))[0]
        way = self._phrase(edit) if kind == "styles" and rng.random() < 0.2 else rng.choice(ways[kind])
        level = rng.choices(range(7), (0.06, 0.13, 0.05, 0.07, 0.5, 0.12, 0.07))[0]
        before, after, shape = "", "", "{x}"
        if level == PERCENT:
            number = f"{rng.choice((*_PERCENTS, rng.randint(1, 100)))}"
            number += rng.choice(["%", " %", " percent", " per cent"])
            after = rng.choice(["", " at ", " ", " with "])
            before, after = ("", after + number) if after else (number + " ", "")
        if level == PLAIN and rng.random() < 0.12:
            return way, level, False
        if kind == "things":
            if level in _AFTER and rng.random() < 0.35:
                after = " " + rng.choice(_AFTER[level])
            elif level in _OF:
                before, way = rng.choice(_OF[level]) + " ", bare(way)
            shape = f"{rng.choice(TEMPLATES['add'])} {{x}}" if rng.random() < 0.6 else "{x}"
            shape = shape.format(x=before + way)
        elif kind == "styles":
            if level in _OF:
                if rng.random() < 0.5:
                    after = " " + rng.choice(_AFTER[level])
                else:
                    before = rng.choice(_HOW[level]) + " "
            like = rng.choice(TEMPLATES["like"]) + " " if rng.random() < 0.75 else ""
            shape = f"{before}{like}{way}"
        elif kind == "hows":
            if level in _AFTER and rng.random() < 0.3:
                after = " " + rng.choice(_AFTER[level])
            elif level in _HOW:
                before = rng.choice(_HOW[level]) + " "
            shape = rng.choice(TEMPLATES["make"])
            shape = shape.replace("{how}", before + way).replace("{scene}", self._scene(edit))
        else:
            if level in _AFTER:
                after = " " + rng.choice(_AFTER[level])
            shape = before + way
        text = shape.replace("{it}", it)
        if level == SOME and rng.random() < 0.3:  # "not so dark, but still night"
            text += rng.choice([" but still ", ", but still ", ", still ", " yet "]) + self.named(edit)
        comma = "," if after.startswith(" but ") and rng.random() < 0.4 else ""
        return text + comma + after, level, "{it}" in shape

    def _scene(self, edit: int) -> str:
        """A noun for an adjective to stand before: "canvas" alone asks for no oils."""
        group = EDIT_BY_NAME[EDIT_NAMES[edit]].group
        return self._rng.choice(TEMPLATES["scenes"] + truth.WORKS[group])

    def _in_colours(self, name: str) -> str:
        rng = self._rng
        noun = rng.choice(PLACES["nouns"])
        found, becomes = rng.choice(HUES), rng.choice(COLOURS)
        while becomes == found:
            becomes = rng.choice(COLOURS)
        mark = truth.BACKDROP if name == "backdrop" else truth.KEPT
        return rng.choice(self._coloured[name]).format(
            f=self._shade(found, truth.FOUND),
            t=self._shade(becomes, truth.BECOMES),
            c=self._shade(becomes if name == "backdrop" else found, mark),
            n=noun,
        )

    def _shade(self, colour: str, mark: str) -> str:
        rng = self._rng
        word = colour if rng.random() < 0.55 else rng.choice(SHADES[colour])
        return f"{rng.choice(_TINTS)} {mark}{word}" if rng.random() < 0.1 else mark + word
