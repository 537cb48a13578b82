"""What is wrong with a message that msgspec refused: which field, and what it takes. Knows no messages."""

from __future__ import annotations

import re

# What the patterns of our structs let through; a test holds this to each that the OpenAPI document has.
ALLOWED = {
    r"^[a-z0-9][a-z0-9_-]{0,62}$": "1 to 63 of a to z, 0 to 9, - and _, no - or _ first",
    r"^([A-Za-z0-9._~-]{8,128})?$": "8 to 128 letters (a to z, A to Z), digits and . _ ~ -, or empty",
    r"^[A-Za-z0-9._~-]{0,128}$": "at most 128 letters (a to z, A to Z), digits and . _ ~ -",
    r"^[A-Za-z0-9 ._~-]+$": "made of letters (a to z, A to Z), digits, spaces and . _ ~ -",
    r"^(https?://[^\s?#]+)?$": "an http:// or https:// address without spaces, ? and #, or empty",
}
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}
_AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?", re.DOTALL)
# As msgspec says it, and as we do; {0} and {1} are what the groups hold.
_SENTENCES = tuple(
    (re.compile(theirs, re.DOTALL), ours)
    for theirs, ours in (
        (r"Expected `str` matching regex (.*)", "{field} must be {0}"),
        (r"Expected `str` of length <= (\d+)", "{field} is too long: at most {0} characters are taken"),
        (r"Expected `str` of length >= (\d+)", "{field} is too short: it has at least {0} characters"),
        (r"Expected `array` of length <= (\d+)", "{field} has too many: at most {0} are taken"),
        (r"Expected `(?:int|float)` >= (\S+)", "{field} must be at least {0}"),
        (r"Expected `(?:int|float)` <= (\S+)", "{field} must be at most {0}"),
        (r"Expected `([a-z |]+)`, got `([a-z]+)`", "{field} must be {0}, not {1}"),
        (r"Object missing required field `(.*)`", "{inside}{0} is missing"),
        (r"Object contains unknown field `(.*)`", "there is no field {inside}{0}"),
    )
)


def in_words(error: Exception) -> str:
    """Without a full stop; what msgspec itself says where we know no better."""
    said = str(error)
    found = _AT.fullmatch(said)
    if found is None:
        return said
    field = found["field"] or ""
    for theirs, ours in _SENTENCES:
        if match := theirs.fullmatch(found["what"]):
            groups = [_spoken(group) for group in match.groups()]
            return ours.format(*groups, field=field or "it", inside=f"{field}." if field else "")
    return said


def _spoken(group: str) -> str:
    """A pattern, quoted as msgspec does, or the names of types; anything else as it is."""
    for pattern, words in ALLOWED.items():
        if group == repr(pattern):
            return words
    return " or ".join(_KINDS.get(kind, kind) for kind in group.split(" | "))
