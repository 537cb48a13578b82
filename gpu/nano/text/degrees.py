"""Words for more and less of what is in force: "a bit stronger", "half of that", "turn the fog down".

Says what is to be done to it, and to which thing; what is in force it does not know (gpu/history.py does).
Whole prompts only: a longer one says more than a degree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gpu.types import Change

LONGEST = 80  # characters
_LESS = {"little": 0.82, "": 0.65, "much": 0.4}  # what is left after "less"; "more" takes that back
_MOST, _LEAST, _GONE = Change(plus=1.0), Change(0.0, 0.1), Change(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Degree:
    """A change, and the words for the thing it is of; "" for all that is in force."""

    change: Change
    thing: str = ""
    is_of_place: bool = False  # "make the background darker"
    keeps: bool = False  # says that what runs is to stay: by its thing alone it is read better


_SAID = json.loads((Path(__file__).parent / "phrases" / "degrees.json").read_text("utf-8"))
# "Darker" is more of one edit by itself, and more of those that go its way where they run. However it is
# said, even as "make it darker", it is of the picture that there is.
_COMPARED: dict[str, str] = _SAID["compared"]
_CALLED: dict[str, str] = _SAID["called"]  # things that the network knows by another word
_CALLED_OFF: dict[str, str] = _SAID["called off"]  # what is there once a thing is gone: the day
_PARTS: dict[str, str] = {}
for _name, _part in _SAID["parts"].items():
    _PARTS[_name] = _part.format(**_PARTS)


def _compiled(shapes: Mapping[str, Iterable[str]]) -> list[tuple[str, re.Pattern[str]]]:
    return [(how, re.compile(shape.format(**_PARTS))) for how, many in shapes.items() for shape in many]


_PARTS["compared"] = "|".join(_COMPARED)
_OF_PLACE = [re.compile(shape.format(**_PARTS)) for shape in _SAID["of place"]]
_ALL_SHAPES, _ONE_SHAPES = _compiled(_SAID["all"]), _compiled(_SAID["one"])
_COURTESY = re.compile(
    r"(?:(?:please|pls|plz|ok(?:ay)?|now|hm+|yes|yeah|hey|and|but|maybe|just|then|let'?s"
    r"|(?:(?:it|this|that) )?(?:can|could|would) (?:you|we|it be|it|be)"
    r"|i(?: want| would like|'d like|'d rather| would rather)(?: have)?(?: you to| it| to have)?"
    r"|make (?:it|that)|let it|do it|give (?:me|it)|make|it (?:should|could|can|must)(?: be)?"
    r"|(?:it|that|there) is)[, ]+)+"
)
_THANKS = re.compile(r"(?:[, ]+(?:please|pls|plz|thanks|thank you|thx|now|again|then|for me|if possible))+$")
_LITTLE = re.compile(
    r"\b(?:just |only )?(?:a (?:little bit|tiny bit|wee bit|bit|little|touch|tad|smidge|hair|notch)|slightly"
    r"|somewhat|(?<!quite )(?<!a )bit)\b"
)
_MUCH = re.compile(
    r"(?<!too )(?<!so )(?<!as )(?<!that )(?<!the )(?<!more )(?<!less )\b(?:(?:very )?much|a (?:whole )?lot"
    r"|lots|way|far|loads|tons|considerably|significantly|really)\b"
)
_EVEN = re.compile(r"^(?:even|still|some|quite a bit|any) ")


_IS = re.compile(r"\b(it|that|this|there)'?s\b(?= )")
_IT = re.compile(_PARTS["it"])
_OF_PICTURE = re.compile(rf"^{_PARTS['picture']} (?:even |still )?(?={'|'.join(_COMPARED)})")
_MOST_WORDS = 4  # of a thing
_NO_THING = frozenset({
    "not", "no", "so", "too", "much", "as", "than", "and", "but", "with", "or", "a", "an", "bit", "little",
    "more", "less", "even", "make", "it", "me", "be", "is", "in", "on",
})  # fmt: skip
_JOINTS = ("and", "or", "nor")


_BESIDE = re.compile(
    r"(?:(?:please|ok(?:ay)?|now|hey|(?:can|could|would) you)[, ]+)*"
    r"(?:(?P<keeps>(?:the )?same(?: again| thing| one| picture| look)?,? (?:but|with|and)"
    r"(?: (?:with|add|also|make it))?"
    r"|keep (?:it|that|this|everything|the (?:painting|drawing|picture|look|style|effect|rest))(?: as it is)?"
    r"(?:,|,? (?:and|but))(?: also)?(?: add)?)"
    r"|(?:and )?also|plus|and(?! (?:now|then)\b)|on top(?: of (?:that|this|it))?"
    r"|in addition(?: to (?:that|this))?|besides(?: that)?)[, ]+(?P<after>.+)"
    r"|(?P<before>.+)[, ](?:too|as well|on top(?: of (?:that|this|it))?|in addition)"
    r"(?:[, ]+(?:please|pls|plz|thanks))?[ .!]*"
)
_PIECE_END = re.compile(r"[,;] (?:and |but |then )?|,? (?:and|but|then|while) (?:also |then )?")
_MOST_PIECES = 4
_ADDED = re.compile(
    r"(?:(?:please|ok(?:ay)?|now|hey|and|also|then|(?:can|could|would) (?:you|we)"
    r"|i(?: want| would like|'d like)(?: you)? to|let'?s)[, ]+)*"
    r"(?:(?:add|include|(?:throw|put|mix|blend|bring) in)(?: in)? (?P<what>.+)"
    r"|(?:give (?:it|this|that|me|us)|(?:it |this |that |the picture )?(?:needs|could use|wants))"
    r" (?P<some>(?:some|a (?:bit|little|touch) of|(?:a (?:bit|little) |much )?more) .+)"
    r"|put (?P<over>.+) (?:on|over|onto) (?:it|that|this|top|the picture))"
)


def said_beside(prompt: str) -> Degree | None:
    """What a prompt asks for beside what is in force, as its thing: "make it rain" of "also make it rain" or
    "make it rain, too"; None of most prompts. What is added is never less than it was."""
    text = " ".join(prompt.lower().split())
    if len(text) > LONGEST:
        return None
    if found := _ADDED.fullmatch(text):
        return Degree(Change(1 / _LESS[""], adds=True), found["what"] or found["some"] or found["over"])
    found = _BESIDE.fullmatch(text)
    if found is None:
        return None
    thing = (found["after"] or found["before"]).strip()
    return Degree(Change(adds=True), thing, keeps=bool(found["keeps"]))


def pieces_of(prompt: str) -> list[str]:
    """The pieces of a prompt that may each be a change of its own; none of most prompts."""
    text = " ".join(prompt.lower().split())
    pieces = [piece.strip(" .!") for piece in _PIECE_END.split(text)] if len(prompt) <= LONGEST else []
    return pieces if 1 < len(pieces) <= _MOST_PIECES and all(pieces) else []


def degree_of(prompt: str) -> Degree | None:
    """The change that a prompt asks for where it does no more than that; None of most prompts."""
    if len(prompt) > LONGEST:
        return None
    text = " ".join(prompt.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split()).strip(" .,!?")
    text = _IS.sub(r"\1 is", text)
    thanks = _THANKS.search(text)
    text = text[: thanks.start()] if thanks else text
    bare = text[found.end() :] if (found := _COURTESY.match(text)) else text
    for said in dict.fromkeys((bare, text)):
        for size, pattern in (("little", _LITTLE), ("much", _MUCH)):
            if pattern.search(said) and (degree := _matched(_without(pattern, said), size)):
                return degree
        if degree := _matched(said, ""):
            return degree
    return None


def _without(pattern: re.Pattern[str], text: str) -> str:
    return " ".join(pattern.sub(" ", text, count=1).split())


def _matched(said: str, size: str) -> Degree | None:
    """By the first shape that fits."""
    text = _OF_PICTURE.sub("", _EVEN.sub("", said))
    for how, shape in _ALL_SHAPES:
        if found := shape.fullmatch(text):
            return Degree(_change(how, size, found))
    if adjective := _COMPARED.get(text):
        return Degree(_change("up", size), adjective)
    if thing := _CALLED_OFF.get(text):
        return Degree(_GONE, thing)
    for shape in _OF_PLACE:
        if found := shape.fullmatch(text):
            compared = found["compared"]
            adjective = _COMPARED.get(compared, compared.removeprefix("more "))
            return Degree(_change("up", size), adjective, is_of_place=True)
    for how, shape in _ONE_SHAPES:
        if (found := shape.fullmatch(text)) and _is_thing(found["thing"], how == "gone"):
            thing = found["thing"].replace(" the ", " ")
            return Degree(_change(how, size, found), _CALLED.get(thing, thing))
    return None


def _is_thing(words: str, may_be_two: bool) -> bool:
    many = words.split()
    if may_be_two and many[0] not in _JOINTS and many[-1] not in _JOINTS:
        many = [word for word in many if word not in _JOINTS]
    return 0 < len(many) <= _MOST_WORDS and not _IT.fullmatch(words) and _NO_THING.isdisjoint(many)


def _change(how: str, size: str, found: re.Match[str] | None = None) -> Change:
    share = min(int(found["n"]), 100) / 100 if found and "n" in found.re.groupindex else 0.0
    changes = {
        "up": Change(1 / _LESS[size]), "down": Change(_LESS[size]), "most": _MOST, "least": _LEAST,
        "gone": _GONE, "half": Change(0.5), "third": Change(1 / 3), "quarter": Change(0.25),
        "twice": Change(2.0), "at": Change(0.0, share), "by more": Change(1.0, share),
        "by less": Change(1.0, -share),
    }  # fmt: skip
    return changes[how]
