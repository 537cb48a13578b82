"""What is beyond nano whatever the network hears: things to add or take out, numbers, noise of the keys.

It is refused in words that say what nano does instead; among other wishes it is named as left out. Knows
words, no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpu.nano.text.colours import colour_of
from gpu.nano.text.features import split
from gpu.nano.text.vocabulary import THINGS, is_known

NO_WORDS = 'these are no words: say how the picture should look, such as "make it night"'
UNKNOWN = 'these words are not known here: relens nano reads English, such as "make it night"'
ADDS = "relens nano adds no things: it changes how the picture looks, and lets it rain, snow or be foggy"
TAKES_OUT = "relens nano takes nothing out: it can blur, darken or paint over what is behind you"
LONGEST = 200  # characters that are looked at for orders
_NEVER, _SURE, _RATHER_SURE = 2.0, 0.85, 0.75
_BEHIND_YOU = ("Blur", "Plain backdrop")
_BY_COLOUR = ("Recolour",)
_FIRST_WORDS = 12  # of which one at least is known in what is no noise: bounds the time
_MOST_PIECES = 8

ELSEWHERE = "relens nano takes nobody elsewhere: it can blur, darken or paint over what is behind you"
BECOMES = "relens nano makes nobody something else: it paints, draws and lights you as you are"
ONE_THING = 'relens nano finds colours, not things: say "make the red things blue"'

IsEdit = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Beyond:
    """Why it cannot be done, and the labels of what is near."""

    why: str
    surer_than: float  # confidence of what the network hears from which on that is believed
    nearest: tuple[str, ...] = ()
    is_of_thing: bool = False  # that is named: it is not all edits that are to be taken away


_PLEASE = (
    r"(?:(?:please|pls|plz|(?:can|could|would) you|i (?:want|would like)(?: you)? to|now|then|and|also|hey|ok"
    r"|just|let'?s)[, ]+)*"
)
_A = r"(?:(?:a|an|some|my|his|her|the|this|that|two|three|four|five|more|another|lots of|a few|a pair of) )*"
_END = (
    r"(?= (?:on|in|at|to|into|next|behind|near|around|over|under|beside|from|of|that|which|who|above|for"
    r"|please|pls|plz|thanks|sitting|standing)\b|[.!?]|$)"
)
_WHAT = rf"{_A}(?P<what>[a-z][a-z' -]{{0,39}}?){_END}"
_ADDED = re.compile(
    rf"{_PLEASE}(?:add|put|place|insert|attach|stick|paste|draw|give (?:me|him|her|us|it)|wear)(?: in)?"
    rf" {_WHAT}"
)
_TAKEN_OUT = re.compile(
    rf"{_PLEASE}(?:remove|delete|erase|get rid of|take (?:away|out|off)|cut out|hide|crop out) {_WHAT}"
)
_SOMEBODY = r"(?:me|us|him|her|them|everyone|the (?:person|people))"
_MOVED = re.compile(
    rf"{_PLEASE}(?:put|place|take|send|bring|set) {_SOMEBODY} (?:on|in|at|to|into|onto|inside|under) {_WHAT}"
)
_TURNED = re.compile(
    rf"{_PLEASE}(?:turn|make|change|transform) {_SOMEBODY} (?:(?:in)?to|look like|like|be)? ?{_WHAT}"
)
_DYED = re.compile(
    rf"{_PLEASE}(?:make|turn|paint|dye|colou?r|change) (?:my|his|her|the|this|that)"
    rf" (?P<what>[a-z][a-z ]{{0,29}}?) (?:to |in |into )?(?P<hue>[a-z]+){_END}"
)
_JOINT = re.compile(r" ?[,;+&] ?(?:and )?| (?:and|then|plus|with) ")  # something else is said, too
_ARTICLE = re.compile(r"^(?:(?:a|an|some|the|two|three|four|five|many|lots of|a few) )*")
_FOREIGN = frozenset({
    "mach", "mache", "es", "bitte", "der", "den", "das", "dem", "und", "mit", "ein", "eine", "einen",
    "mir", "mich", "auf", "als", "wie", "le", "la", "les", "un", "une", "et", "en", "du", "moi", "rends",
    "fais", "mets", "comme", "sur", "dans", "hazlo", "hazme", "ponlo", "pon", "por", "favor", "con", "el",
    "los", "las", "una", "quiero", "que", "il", "fai", "per", "come", "sono", "y", "plait", "ajoute",
    "agrega", "de", "au", "ma", "mon", "mi", "como", "rendi",
})  # fmt: skip
_FOREIGN_SHARE = 3  # more than a third of the words
_PEOPLE = frozenset({"people", "person", "man", "woman", "guy", "girl", "boy", "everyone", "crowd"})


def beyond(text: str, is_edit: IsEdit) -> Beyond | None:
    """Why a lower-case prompt is beyond nano; None where the network is to say. `is_edit`: of a few words."""
    words = [word for word in split(text).words if word.isalpha()]
    if not words:
        return Beyond(NO_WORDS, _NEVER)
    if not any(is_known(word) for word in words[:_FIRST_WORDS]):
        return Beyond(UNKNOWN, _SURE)
    if sum(word in _FOREIGN for word in words) > len(words) / _FOREIGN_SHARE:
        return Beyond(UNKNOWN, 0.0)
    if len(text) > LONGEST or _JOINT.search(text):
        return None
    return _order(text, is_edit) or _wish(text)


def strangers(text: str, is_edit: IsEdit) -> tuple[str, tuple[str, ...]]:
    """A lower-case prompt without those of its pieces that are beyond nano, and these in the user's words."""
    joints = list(_JOINT.finditer(text)) if len(text) <= LONGEST else []
    if not 0 < len(joints) < _MOST_PIECES:
        return text, ()
    starts, ends = [0, *(joint.end() for joint in joints)], [*(joint.start() for joint in joints), len(text)]
    kept, left_out = "", []
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        piece = text[start:end].strip(" .!?")
        if piece and (_is_strange(piece) or _is_order(piece)) and not is_edit(piece):
            left_out.append(piece)
        elif piece:
            joint = joints[number - 1].group() if kept else ""
            kept += joint + text[start:end]
    return (kept, tuple(left_out)) if left_out else (text, ())


def why_none(pieces: Sequence[str]) -> str:
    """Why nothing can be done where a prompt says no more than these pieces."""
    return TAKES_OUT if any(map(_TAKEN_OUT.match, pieces)) else ADDS


def _order(text: str, is_edit: IsEdit) -> Beyond | None:
    if (found := _ADDED.match(text)) and _is_thing(found["what"]) and not is_edit(found["what"]):
        return Beyond(ADDS, _RATHER_SURE)
    if (found := _TAKEN_OUT.match(text)) and _is_thing(found["what"]) and not is_edit(found["what"]):
        people = not _PEOPLE.isdisjoint(found["what"].split())
        named = _is_named(found["what"].split()[-1])
        return Beyond(TAKES_OUT, _RATHER_SURE, _BEHIND_YOU if people else (), named)
    return None


def _wish(text: str) -> Beyond | None:
    """Of those that the network refuses by itself, which it was: believed where it hears anything in it."""
    for pattern, why, nearest in (
        (_MOVED, ELSEWHERE, _BEHIND_YOU),
        (_TURNED, BECOMES, ()),
    ):
        if (found := pattern.match(text)) and _is_named(found["what"].split()[-1]):
            return Beyond(why, 0.0, nearest)
    if (found := _DYED.match(text)) and colour_of(found["hue"]) and _is_named(found["what"].split()[-1]):
        return Beyond(ONE_THING, 0.0, _BY_COLOUR)
    return None


def _is_order(piece: str) -> bool:
    found = _ADDED.match(piece) or _TAKEN_OUT.match(piece)
    return found is not None and _is_named(found["what"].split()[-1])


def _is_strange(piece: str) -> bool:
    """Whether a piece among others is noise, or no more than a thing: "three elephants"."""
    words = [word for word in split(piece).words if word.isalpha()]
    if words and not any(is_known(word) for word in words):
        return True
    return len(_ARTICLE.sub("", piece).split()) == 1 and _is_named(words[-1] if words else "")


def _is_thing(what: str) -> bool:
    """Whether the last word is a thing, or one that the network was not taught."""
    head = what.split()[-1]
    return _is_named(head) or not is_known(head)


def _is_named(word: str) -> bool:
    return word in _PEOPLE or word in THINGS or word.removesuffix("s") in THINGS
