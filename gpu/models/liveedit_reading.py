"""What an open-ended model takes a prompt for: an instruction as it stands, the source, the edit before, or
more or less of the one in force.

It knows no list of edits, so every text is one, but for words that can only mean "none": those are told by a
closed vocabulary, for to lose an instruction is worse than to pass "undo" on to a network.
"""

from __future__ import annotations

import re

from gpu.nano.text.degrees import degree_of
from gpu.nano.text.reading import BEFORE, ORIGINAL, UNDONE
from gpu.nano.text.relative import more_or_less
from gpu.nano.text.wording import steps_back, steps_on
from gpu.types import Reading

_LONGEST_LABEL = 60  # characters
_MOST_WORDS = 10  # that say no more than "none"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ALONE = _words("clear stop nothing off none real undo normal no") | {"never mind"}
# Each says by itself that the source is meant, as long as nothing else is spoken of.
_SOURCE = _words(
    "undo reset original originals unedited unfiltered unmodified unchanged untouched source cancel revert "
    "disable restore normal"
)
_WITHOUT = _words("no without remove clear stop drop end delete off disable undo cancel nothing")
_EDITS = _words("edit edits editing effect effects filter filters style styles change changes")
_FILLERS = _words(
    "please ok okay now just again the a an all any every everything it this that these those to into as is "
    "was am are back go going get give be make set turn switch put take show see me my i we us our you can "
    "could want would like with and let out away in on of off video videos picture image camera feed stream "
    "view look looks way how keep leave do not don't instruction instructions applied one whole return"
)
_AS_IT_IS = re.compile(
    r"(?:show |keep |leave |make )?(?:it|me|everything|the (?:video|picture|camera))?(?: look)? ?"
    r"(?:as (?:it|i) (?:is|was|am)|(?:just )?(?:the way|how) (?:it|i) (?:is|was|am))"
)


def read(prompt: str) -> Reading:
    """Any text, any thread, microseconds. What is not the source has no parts and its own words as label.

    "More" by itself is not understood; "more rain" is an instruction like any other."""
    text = " ".join(prompt.split())
    if not text or _means_source(text):
        return ORIGINAL
    if steps_back(text):
        return BEFORE
    if steps_on(text):
        return UNDONE
    degree = degree_of(text)
    if degree and not degree.thing:
        return more_or_less(degree.change)
    return Reading((), 1.0, (), True, _shortened(text))


def is_source(reading: Reading) -> bool:
    """Whether a reading of `read` asks for the source: by itself stepping back is that, too."""
    return reading is ORIGINAL or reading is BEFORE


def _means_source(text: str) -> bool:
    plain = re.sub(r"[^a-z' ]+", " ", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    words = plain.split()
    if not words or len(words) > _MOST_WORDS:
        return False
    plain = " ".join(word for word in words if word not in ("please", "ok", "okay"))
    if plain in _ALONE or _AS_IT_IS.fullmatch(plain):
        return True
    said = set(words)
    if steps_back(text) or not said <= _FILLERS | _SOURCE | _WITHOUT | _EDITS:
        return False
    return bool(said & _SOURCE) or bool(said & _WITHOUT and said & _EDITS)


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_LABEL:
        return text
    cut = text[: _LONGEST_LABEL - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut) + "\N{HORIZONTAL ELLIPSIS}"
