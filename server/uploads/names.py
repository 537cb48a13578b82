"""The name of a film as its owner's machine said it: shown, never a path. Knows text only."""

from __future__ import annotations

import unicodedata

MOST = 200  # characters
_UNSEEN = (
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
)  # controls, marks that turn the direction, half characters


def clean_name(said: str) -> str:
    """The last part of a path, without what is not seen or turns what is; "film" where nothing is left."""
    last = said.replace("\\", "/").rstrip("/").rpartition("/")[2]
    seen = "".join(each for each in last if unicodedata.category(each) not in _UNSEEN)
    return " ".join(seen.split())[:MOST].strip(" .") or "film"
