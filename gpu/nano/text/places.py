"""Which clauses of a prompt speak of the person and which of what is behind. Knows words, no network.

The network hears one place for each edit, and hears it badly where two clauses name two places ("make me a
cartoon and the room a mosaic"). So such a prompt is cut, and each clause is read by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu.nano.edits import Region
from gpu.nano.text.colours import colour_of

MOST_CLAUSES = 4  # each is read by itself: bounds the time of a reading
_MARK = "#"  # stands for what is behind; no letter, so that it is no part of any word

_ME = r"(?:me|us|myself|ourselves|the person)"
_CLOSED = r" ?(?:$|[,.;!?+]| (?:and|but|while|whereas|with|plus|then) )"  # behind what, is not said
_BEHIND = re.compile(
    rf"\b(?:(?:everything|everyone|everybody|all|anything|anywhere|everywhere) "
    rf"(?:but|except(?: for)?|besides|apart from|other than|outside(?: of)?) {_ME}"
    rf"|(?:(?:everything|everyone|everybody|all|anything) )?(?:behind|around|beside|surrounding) {_ME}"
    rf"|(?<!from )(?<!left )(?:behind|in the back|at the back)(?={_CLOSED})"
    r"|back ?(?:ground|round|drop)s?|bg|rooms?|surroundings|environment|scenery|walls?|office|kitchen|flat"
    r"|bedroom|living room|(?:everything|everywhere|all) else|elsewhere|the rest)\b"
)
# "give me a mosaic" is about the mosaic, "I want the room dark" about the room.
_BEFORE = re.compile(
    rf"(?<!give )(?<!show )(?<!let )(?<!get )(?<!grant )(?<!for )\b{_ME}\b"
    r"|\b(?:only|just|on|of|for) (?:me|us)\b|\blet (?:me|us) (?:be|become|look)\b"
    r"|\bi(?:'m| am| should| become| want to (?:be|look)| look)\b"
    r"|\b(?:my (?:face|body)|the (?:man|woman|guy|girl|boy|foreground))\b"
)
# A place that is named to be left as it is, and edits whose own words name one: the network was taught them.
_LEFT_ALONE = re.compile(
    r"\b(?:not|no|never|don't|without|keep|keeps|leave|leaves|stay|stays|remain|normal|unchanged|untouched|alone"
    r"|real|as (?:i am|it is|they are|we are)|in (?:full )?colou?r|sharp|in focus|only the|undo|remove)\b"
)
_OF_ALL = re.compile(r"\b(?:everything(?! else\b)|the (?:whole )?(?:picture|image|scene|video)|all of it)\b")
_WORD = re.compile(r"[a-z]+")
_COLOURS = 2  # at least, where things get other colours
_FILL = "~"
_GREY = re.compile(r"\b(?:black|b) ?(?:and|&|n|'n'?) ?(?:white|w)\b")
_JOINT = re.compile(r" ?[,;.+] ?(?:and |but |while |then |also )?| (?:and|but|while|whereas|with|plus|then) ")


@dataclass(frozen=True, slots=True)
class Clause:
    """Words of a prompt and the place they name; None where they name none."""

    text: str
    region: Region | None


def clauses_of(text: str) -> tuple[Clause, ...]:
    """The clauses of a lower-case prompt that names two places, in order; () where it is to be read whole."""
    text = text.replace(_MARK, " ")
    marked = _BEHIND.sub(lambda found: _MARK * len(found.group()), text)  # its "but" joins nothing
    if _MARK not in marked or _LEFT_ALONE.search(marked):
        return ()
    clauses: list[Clause] = []
    joints = [(joint.start(), joint.end()) for joint in _JOINT.finditer(marked)]
    start = begun = 0  # of the piece, and of the clause that grows
    for end, after in [*joints, (len(text), len(text))]:
        at, start = start, after
        places = _places(marked[at:end])
        if "with" in marked[end:after] and not places:  # "sepia with snow for the room"
            start = at
            continue
        if not text[at:end].strip(" .,!?;"):
            continue
        if len(places) > 1:
            return ()
        region = places[0] if places else None
        if clauses and region in (None, clauses[-1].region):  # "me in black | and white"
            clauses[-1] = Clause(text[begun:end], clauses[-1].region)
        else:
            clauses.append(Clause(text[at:end], region))
            begun = at
        if len(clauses) > MOST_CLAUSES:
            return ()
    named = {clause.region for clause in clauses}
    return tuple(clauses) if {"person", "background"} <= named else ()


def set_beside(text: str) -> tuple[Clause, ...]:
    """Two clauses of a lower-case prompt, the first of no place and the second, after "with", of one:
    "sunset with the room blurred". () where it is no such prompt."""
    marked = _BEHIND.sub(lambda found: _MARK * len(found.group()), text.replace(_MARK, " "))
    first, joint, second = marked.partition(" with ")
    if not joint or _LEFT_ALONE.search(marked) or _JOINT.search(second) or _places(first):
        return ()
    places = _places(second)
    if len(places) != 1 or not (first.strip() and second.strip(f" {_MARK}")):
        return ()
    at = len(first) + len(joint)
    return Clause(text[: len(first)], None), Clause(text[at:], places[0])


def beside_things(text: str) -> tuple[Clause, ...]:
    """Two clauses of a lower-case prompt, one of a place and one of colours for things, in either order:
    "make the red things blue and the room black and white". () where it is no such prompt."""
    if len(set(map(colour_of, _WORD.findall(text))) - {None}) < _COLOURS:
        return ()
    marked = _BEHIND.sub(lambda found: _MARK * len(found.group()), text.replace(_MARK, " "))
    if _LEFT_ALONE.search(marked):
        return ()
    marked = _GREY.sub(lambda found: _FILL * len(found.group()), marked)  # its "and" joins no clauses
    clauses: list[Clause] = []
    begun = start = 0
    joints = [(joint.start(), joint.end()) for joint in _JOINT.finditer(marked)]
    for end, after in [*joints, (len(text), len(text))]:
        places = [place for place in _places(marked[start:end]) if place != "everywhere"]
        if len(places) > 1:
            return ()
        region = places[0] if places else None
        if clauses and clauses[-1].region == region:
            clauses[-1] = Clause(text[begun:end], region)
        else:
            begun = start
            clauses.append(Clause(text[start:end], region))
        start = after
    is_apart = len(clauses) == 2 and (clauses[0].region is None) != (clauses[1].region is None)
    return tuple(clauses) if is_apart else ()


def _places(marked: str) -> list[Region]:
    """The places that a piece without joints names; "everything" is one."""
    found: list[Region] = ["background"] if _MARK in marked else []
    if _BEFORE.search(marked):
        found.append("person")
    if _OF_ALL.search(marked):
        found.append("everywhere")
    return found
