"""Rules for wordings that the network was not taught: who "me" is, where all of it goes, what is only denied.

They rewrite the prompt before the network reads it. Whole words only; each pattern is linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpu.nano.edits import Region
from gpu.nano.text.colours import hue_of
from gpu.nano.text.features import MAX_CHARS, MAX_WORDS
from gpu.nano.text.opposites import without_opposites

_END = r"[ .!]{0,3}$"
_ENDINGS: tuple[tuple[Region, re.Pattern[str]], ...] = (
    ("person", re.compile(rf"(?<!not)(?:,? |,)(?:but )?(?:only on (?:me|the person)|on me only){_END}")),
    (
        "background",
        re.compile(
            r"(?<!not)(?:,? |,)(?:(?:but )?(?:only in the background|in the background only)"
            rf"|but only the background){_END}"
        ),
    ),
)

# "her" is a person only where no noun follows it: "her hair" is hair.
_SOMEONE = (
    r"(?:the (?:person|people|speaker|subject|presenter)(?!')"
    r"|him|her(?= ?(?:$|[,.;:!?])| (?:alone|out|as|and|but|be|untouched|unchanged)\b))\b"
)
_LEFT_OUT = re.compile(
    r"\b((?:(?<!nothing )but(?: not| without| leave)?|and not|, ?not|except(?: for)?|without|apart from|leave"
    r"|leaving|excluding|other than|(?:do not|don't) (?:touch|change))(?: on| to| for)?) " + _SOMEONE
)
_SPOKEN_OF = re.compile(r"\b" + _SOMEONE)

_LITTLE = re.compile(
    r"\b(?:a )?(?:light|less) (?=(?:rain|snow|fog|mist|haze|drizzle|rainfall|snowfall|blur)\b)"
)
_SLIGHTLY = re.compile(r"\b(?:lightly|less) (?=(?:rainy|snowy|foggy|misty|hazy|blurry|blurred)\b)")

_DENIED = re.compile(r"(?:please,? )?(?:not|do not|don't|never|anything but|anything except) (?P<what>.+)")
# Beyond a bare denial: a degree ("not so dark"), a place, or something else to do instead.
_MORE_THAN_DENIED = re.compile(
    r"[,;:.?+](?! ?$)"
    r"|\b(?:so|too|that|very|quite|only|just|as|much|but|and|instead|rather|except|all|everything|not|no)\b"
)


_LONGEST_STEP = 80  # characters
# "Undo" alone is back to the source; with what it undoes, one step back.
_LAST = r"(?:that|this|it|the last|my last|the latest|that last|the previous)"
_THING = r"(?: (?:one|edit|change|step|effect|style|filter|look|thing|instruction))"
_STEP_BACK = re.compile(
    rf"(?:(?:please|now|no|oops|hm+|ok|okay|sorry),? )?(?:can you |could you |i want to )?(?:"
    rf"(?:undo|revert|take back) (?:(?:that|this)|{_LAST}{_THING})"
    rf"|take (?:that|this|{_LAST}{_THING}) back"
    rf"|(?:go |step |jump )?back (?:one|a) step|one step back|(?:go |step )?back one"
    rf"|(?:go )?back to (?:the (?:one|edit|look|style|effect|picture) before|the (?:previous|last){_THING})"
    rf"|the (?:one|edit|look|style|effect) before|(?:the )?previous{_THING}"
    r")(?:,? please)?[ .!]{0,3}"
)

_STEP_ON = re.compile(
    rf"(?:(?:please|now|no|oops|hm+|ok|okay|sorry),? )?(?:can you |could you |i want to )?(?:"
    rf"(?:redo|re-do)(?: (?:it|that|this|{_LAST}{_THING}))?"
    r"|(?:undo|revert|take back) (?:the |that |my )?(?:last )?undo"
    r"|(?:go |step |jump )?(?:forwards?|ahead) (?:one|a) step|(?:one|a) step forwards?"
    r"|(?:go |step )?forwards? one"
    r")(?:,? please)?[ .!]{0,3}"
)


@dataclass(frozen=True, slots=True)
class Wording:
    """A prompt as the network is to read it."""

    text: str
    region: Region | None = None  # where all of it goes, whatever the network hears
    denied: str | None = None  # what the prompt says not to do, if it says no more than that


def steps_back(prompt: str) -> bool:
    """Whether a prompt asks for the edit before the one in force."""
    return len(prompt) < _LONGEST_STEP and bool(_STEP_BACK.fullmatch(prompt.strip().lower()))


def steps_on(prompt: str) -> bool:
    """Whether a prompt asks for the edit that the last step back took."""
    return len(prompt) < _LONGEST_STEP and bool(_STEP_ON.fullmatch(prompt.strip().lower()))


# Snow is a colour, too, and the network hears a white backdrop in it; snow that falls it knows.
_FALLS = re.compile(r"(?<!as )(?<!like )\bsnow (?=behind (?:me|us|the person)\b)")


_KEEP = re.compile(r"(?P<keep>(?:please,? )?(?:keep|leave) )(?P<what>[a-z,&+ ]{3,80}?)[ .!]*")
_AMONG_HUES = frozenset({"the", "and", "plus", "both", "all"})


def _only_hues(text: str) -> str:
    """To keep nothing but hues, "keep red and blue", is to keep only those; the network knows it so said."""
    found = _KEEP.fullmatch(text)
    words = re.findall("[a-z]+", found["what"]) if found else []
    told = [word for word in words if word not in _AMONG_HUES]
    return (
        f"{found['keep']}only {found['what']} in colour"
        if found and told and all(map(hue_of, told))
        else text
    )


def reworded(prompt: str) -> Wording:
    """The prompt by the rules. Any text will do; words beyond the network's are cut off."""
    text = prompt[:MAX_CHARS].lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = " ".join(text.split(maxsplit=MAX_WORDS)[:MAX_WORDS])  # the network reads no more
    # Left out, someone is "me" to the network; as what to change, "the person": "make me a sketch" is of all.
    text = _SPOKEN_OF.sub("the person", _LEFT_OUT.sub(r"\1 me", text))
    text = _only_hues(_FALLS.sub("snowing ", text))
    region: Region | None = None
    for place, ending in _ENDINGS:
        found = ending.search(text)
        if found and text[: found.start()].strip(" ,.!"):
            text, region = text[: found.start()], place
            break
    text = without_opposites(_SLIGHTLY.sub("slightly ", _LITTLE.sub("a little ", text)))
    denied = _DENIED.fullmatch(text)
    what = denied["what"] if denied and not _MORE_THAN_DENIED.search(denied["what"]) else None
    return Wording(text, region, what)
