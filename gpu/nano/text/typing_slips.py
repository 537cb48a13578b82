"""Slips of the finger, for training sentences."""

from __future__ import annotations

import random
import re


def slipped(text: str, rng: random.Random) -> str:
    """The text with slips in some words, two times in five; now and then its last word is unfinished."""
    if rng.random() < 0.06:
        return re.sub(r"[a-z]{5,}$", lambda found: found.group()[: rng.randint(4, len(found.group()))], text)
    if rng.random() < 0.6:
        return text
    return re.sub(r"[a-z]{4,}", lambda found: _slip(found.group(), rng), text)


def _slip(word: str, rng: random.Random) -> str:
    if rng.random() > 0.2:
        return word
    at = rng.randrange(1, len(word))
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at - 1] + word[at:]
    if kind == 2:
        return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
    return word[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :]
