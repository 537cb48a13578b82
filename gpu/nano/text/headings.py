"""Clauses whose place is said apart from what is done there: "bg: snow, me: comic", "me in colour".

The network was taught neither and hears the wrong place in both. Knows words, no network.
"""

from __future__ import annotations

import re

from gpu.nano.edits import Region
from gpu.nano.text.places import MOST_CLAUSES, Clause

_PERSON = r"me|us|myself|i|(?:the )?(?:person|people|subject|speaker|presenter|foreground)|my face"
_BACKGROUND = (
    r"(?:the |my )?(?:back ?(?:ground|drop)|bg|room|surroundings|walls?|rest)|behind(?: me)?|everything else"
)
_PLACE = rf"(?:(?P<person>{_PERSON})|(?P<background>{_BACKGROUND}))"
_HEADING = re.compile(
    rf"(?:^|[,;.\n] ?|(?:[,;] ?| )(?:and|but|while) )(?:(?:make|on|for) )?"
    rf"(?:{_PLACE}|(?P<everywhere>everything|all|everywhere)) ?[:=]+ ?"
)
_UNDONE = re.compile(
    r"(?:(?:keep|leave|stays?|as) )?(?:it |me |them )?(?:as (?:i am|it is|is)|is|normal|unchanged|untouched"
    r"|original|nothing|none|no change|off|real|(?:in )?(?:full )?colou?r)[ .!]*"
)

_STAYS = r"(?:'m|am|is|are|be|being|stays?|staying|remains?|kept|left)"
_COLOURED = (
    rf"(?:(?:keep|keeping|leave|leaving|have|with|just|only) )*{_PLACE}(?: {_STAYS})?(?: still)?"
    r" (?:in (?:full |normal |natural )?colou?r|coloured|colored)"
)
_JOINT = r"(?: ?[,;.] ?(?:(?:and|but|while|with) )?| (?:and|but|while|whereas|with) )"
_COLOURED_FIRST = re.compile(rf"{_COLOURED}{_JOINT}(?P<rest>[^,;.]+)[ .!]*")
_COLOURED_LAST = re.compile(rf"(?P<rest>[^,;.]+?){_JOINT}{_COLOURED}[ .!]*")
_GREY = re.compile(r"\b(?:black (?:and|&|n|'n'?) white|b ?[&/] ?w|bw|monochrome|gr[ae]y(?:scale)?|sepia)\b")
_ONE_MORE = re.compile(r" (?:and|but|while|with|not|no) ")


def headed(text: str) -> tuple[Clause, ...]:
    """The clauses of a lower-case prompt that begins with a place and a colon; () where it does not.

    A place that is to stay as it is has no clause, and neither has one with nothing said of it yet."""
    headings = list(_HEADING.finditer(text))
    if not headings or headings[0].start() or len(headings) > MOST_CLAUSES:
        return ()
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    clauses = []
    for heading, end in zip(headings, ends, strict=True):
        said = text[heading.end() : end].strip(" ,;.")
        if said and not _UNDONE.fullmatch(said):
            clauses.append(Clause(said, _region(heading)))
    return tuple(clauses)


def beside_colour(text: str) -> Clause | None:
    """What is grey where one place is to stay in colour: "the room in black and white, me in colour".

    That place then is the other one, whatever else was heard."""
    for pattern in (_COLOURED_LAST, _COLOURED_FIRST):
        found = pattern.fullmatch(text)
        if found and (grey := _GREY.search(found["rest"])):
            rest = found["rest"]
            if _ONE_MORE.search(f" {rest[: grey.start()]} ") or _ONE_MORE.search(f" {rest[grey.end() :]} "):
                return None  # more than one thing is asked for
            return Clause(rest, "background" if found["person"] else "person")
    return None


def _region(found: re.Match[str]) -> Region:
    return "person" if found["person"] else "background" if found["background"] else "everywhere"
