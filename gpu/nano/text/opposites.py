"""Rules for what is wanted in place of something else: "not so dark", "not a cartoon but a painting".

Of light and warmth there is always some, so that less of the one is more of the other, whatever is in force.
Knows words, no network.
"""

from __future__ import annotations

import re

from gpu.nano.text.colours import colour_of

_LESS = r"(?:not (?:so|too|that|as|quite so|quite as|all that)|less)"
_SOFTENED = re.compile(
    rf"\b(?:(?P<much>much|far|way|a lot) |a (?:little|bit|tad) |slightly |somewhat )?{_LESS} "
    r"(?P<what>dark|gloomy|murky|dim|bright|glaring|dazzling|warm|cold|cool|chilly)\b(?! (?:red|blue|green))"
)
_OPPOSITE = dict.fromkeys(("dark", "gloomy", "murky", "dim"), "brighter")
_OPPOSITE |= dict.fromkeys(("bright", "glaring", "dazzling"), "darker")
_OPPOSITE |= dict.fromkeys(("cold", "cool", "chilly"), "warmer") | {"warm": "cooler"}
# ... unless the darkness or the cold is asked for in the same breath: "night, but not so dark"
_ASKED_FOR = re.compile(
    r"\b(?:night|midnight|night ?time|evening|dusk|twilight|moonlit|noir|dark(?:er|en)|winter|sunset|golden"
    r"|high[ -]key|still|snowy?|cooler|warmer|brighter)\b"
)

_RATHER = re.compile(
    r"(?:please,? )?(?:not|no|don't make (?:it|me|us)|do not make (?:it|me|us)) (?P<no>[a-z' -]{2,30}?),? "
    r"but (?:rather |make (?:it|me|us) |as )?(?P<yes>[^,;:.]{3,})"
)
# More than the name of an edit: a degree, a place, a colour. These the network tells apart.
_MORE = re.compile(
    r"\b(?:so|too|that|very|quite|only|just|as|much|all|me|us|background|room|person|behind|everything|touch)\b"
)


def without_opposites(text: str) -> str:
    """A lower-case prompt with what is wanted in the place of what is not."""
    if not _ASKED_FOR.search(text):
        text = _SOFTENED.sub(_opposite, text)
    rather = _RATHER.fullmatch(text)
    if rather and not _MORE.search(rather["no"]) and not any(map(colour_of, rather["no"].split())):
        return rather["yes"]
    return text


def _opposite(found: re.Match[str]) -> str:
    return ("much " if found["much"] else "slightly ") + _OPPOSITE[found["what"]]
