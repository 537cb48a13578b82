"""Training sentences: ways of saying x templates x distractors, with the truth beside each. Seeded."""

from __future__ import annotations

import random

from gpu.nano.edits import EDIT_NAMES, REGIONS
from gpu.nano.text import truth
from gpu.nano.text.clauses import Clauses, bare, kept
from gpu.nano.text.truth import (
    BACKGROUND,
    BEYOND,
    EVERYWHERE,
    PERSON,
    PLAIN,
    SOURCE_TARGET,
    TEMPLATES,
    Clause,
)
from gpu.nano.text.typing_slips import slipped

_FORBIDS = ("no ", "not ", "without", "do not", "don't", "i do", "never", "stop", "drop", "forget", "get rid")
# These are said in more ways than the others: regions and colours go with them.
_OFTEN = {"blur": 4.0, "backdrop": 3.0, "recolour": 4.0, "colour_pop": 3.0}
_OFTEN |= {"black_and_white": 2.0, "darken": 2.0, "brighten": 2.0, "night": 1.5, "ink": 1.3}
_WEATHER = ("rain", "snow", "fog", "autumn", "winter")
_TIMES = ("night", "night", "night", "sunset", "blue_hour", "golden_hour")
# "remove the background" asks for a backdrop and ends none.
_ENDING = [at for at, name in enumerate(EDIT_NAMES) if name != "backdrop"]
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_WEIGHTS = [_OFTEN.get(name, 1.0) for name in EDIT_NAMES]


class Writer:
    """Writes sentences. `keep` picks which ways to draw from: two parts of a split share none."""

    def __init__(self, seed: int, keep: str = "all") -> None:
        self._rng = random.Random(seed)
        self._clauses = Clauses(self._rng, keep)
        self._source = kept(truth.SOURCE, keep)
        self._chat = kept(BEYOND["chat"], keep)

    def write(self) -> truth.Sentence:
        """One sentence at random."""
        draw = self._rng.random()
        if draw < 0.72:
            text, clauses = self._wanted()
        elif draw < 0.79:
            text, clauses = self._back()
        elif draw < 0.82:
            text, clauses = self._unfinished(), []
        else:
            text, clauses = self._beyond(), []
        if any(EDIT_NAMES[clause.edit] == "backdrop" for clause in clauses if clause.edit != SOURCE_TARGET):
            text = text.replace("green screen", truth.BACKDROP + "green screen")
        return truth.sentence(slipped(self._wrap(text), self._rng), clauses)

    def _pick(self, options: list[str]) -> str:
        return self._rng.choice(options)

    def _wanted(self) -> tuple[str, list[Clause]]:
        rng = self._rng
        count = rng.choices((1, 2, 3), (0.76, 0.18, 0.06))[0]
        picked: list[int] = []
        while len(picked) <= count:
            one = rng.choices(range(SOURCE_TARGET), _WEIGHTS)[0]
            if one not in picked:
                picked.append(one)
        other = picked.pop()
        if count == 1 and rng.random() < 0.18:
            clause = Clause(self._clauses.named(picked[0]), picked[0], PLAIN, EVERYWHERE)
            if rng.random() < 0.3:
                clause = self._clauses.write(picked[0], free=False)
            return self._pick(TEMPLATES["swap"]).format(x=self._clauses.named(other), y=clause.text), [clause]
        if count > 1 and rng.random() < 0.2:  # what goes together often: "a snowy night"
            picked[:2] = [EDIT_NAMES.index(rng.choice(names)) for names in (_WEATHER, _TIMES)]
            if len(set(picked)) < count:
                picked = picked[:2]
        clauses = [self._clauses.write(edit, free=count == 1) for edit in picked]
        text = clauses[0].text
        for clause in clauses[1:]:
            text += self._pick(TEMPLATES["join"]) + clause.text
        if len(picked) > 1 and rng.random() < (
            0.6 if EDIT_NAMES[picked[1]] in _TIMES else 0.3
        ):  # "a rainy night", "foggy sepia street"
            text = self._clauses.paired(picked[0], picked[1])
            clauses[:2] = [Clause(text, edit, PLAIN, EVERYWHERE) for edit in picked[:2]]
            for clause in clauses[2:]:
                text += self._pick(TEMPLATES["join"]) + clause.text
        if count > 1 and rng.random() < 0.1 and not any(clause.region for clause in clauses):
            region = rng.choice((BACKGROUND, PERSON))
            text += self._pick([", ", " but ", ", "]) + self._clauses.kept_out(region).removeprefix("but ")
            clauses = [Clause(one.text, one.edit, one.level, region) for one in clauses]
        return self._distracted(text, other), clauses

    def _distracted(self, text: str, other: int) -> str:
        """With what is not wanted, out of reach, or a way back before it."""
        rng = self._rng
        draw = rng.random()
        if draw < 0.16:
            no = self._pick(TEMPLATES["negate"]).format(x=self._clauses.named(other))
            if no.startswith(_FORBIDS) and rng.random() < 0.4:
                then = self._pick([", ", ", just ", " but ", ", only ", " and ", ", make it ", ". "])
                return no + then + text
            return text + self._pick([" ", ", "]) + no
        if draw < 0.19:
            return text + self._pick([" and ", ", ", " but "]) + self._beyond()
        if draw < 0.22:
            return self._pick(self._source) + self._pick([", then ", " and then ", " and ", ", now "]) + text
        return text

    def _back(self) -> tuple[str, list[Clause]]:
        if self._rng.random() < 0.6:
            text = self._pick(self._source)
        else:
            named = self._clauses.named(self._rng.choice(_ENDING))
            text = self._pick(TEMPLATES["ending"]).format(x=named)
        return text, [Clause(text, SOURCE_TARGET, PLAIN, EVERYWHERE)]

    def _unfinished(self) -> str:
        """What stands in the box while somebody still types: nothing to go by yet."""
        rng = self._rng
        makes = [one for one in TEMPLATES["make"] if not one.startswith("{how}")]
        it = self._pick(TEMPLATES["it"])
        if rng.random() < 0.3:
            it = self._pick(truth.PLACES["regions"][REGIONS[rng.choice((BACKGROUND, PERSON))]])
        text = self._pick(TEMPLATES["like"] + makes).split("{how}")[0].format(it=it)
        if rng.random() < 0.4:
            way = bare(self._clauses.named(rng.randrange(SOURCE_TARGET)))
            text = f"{text} {way[: rng.randint(1, 2)]}"
        return text if text.strip() else "make it"

    def _beyond(self) -> str:
        draw = self._rng.random()
        if draw < 0.36:
            return self._pick(self._chat)
        if draw < 0.5:
            return " ".join(self._any_word() for _ in range(self._rng.randint(1, 9)))
        thing, being, other = (self._pick(BEYOND[kind]) for kind in ("things", "beings", "things"))
        whose = self._pick(["the", "my", "his", "her", "that"])
        where = self._pick(["on", "in", "at", "near", "behind"])
        return self._pick(BEYOND["orders"]).format(
            a=_article(thing) if self._rng.random() < 0.8 else thing,
            b=_article(being),
            c=self._pick(BEYOND["colours"]),
            t=f"{whose} {other}",
            x=self._pick(BEYOND["things"]),
            where=where + " the " + self._pick(BEYOND["places"]),
        )

    def _any_word(self) -> str:
        rng = self._rng
        if rng.random() < 0.6:
            return rng.choice(BEYOND["words"])
        if rng.random() < 0.2:  # fingers run along a row of the keyboard
            row, at = rng.choice(_KEYBOARD), rng.randrange(7)
            return row[at : at + rng.randint(2, 5)]
        if rng.random() < 0.5:
            pairs = range(rng.randint(1, 4))
            return "".join(rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in pairs)
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(1, 10)))

    def _wrap(self, text: str) -> str:
        rng = self._rng
        if rng.random() < 0.3:
            text = self._pick(TEMPLATES["pre"]) + self._pick([" ", ", "]) + text
        if rng.random() < 0.25:
            text += self._pick([" ", ", "]) + self._pick(TEMPLATES["post"])
        if rng.random() < 0.2:
            text += self._pick(["!", ".", "?", "!!", "..."])
        return text


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
