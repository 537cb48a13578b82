"""Words of a prompt and their hashed features, the same for training and for reading. Knows no network."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

BUCKETS = 16384  # rows of the embedding table; row 0 is padding
MAX_WORDS = 64  # later words are not read: bounds the time of one reading
MAX_CHARS = 2_000
MAX_WORD_CHARS = 24

PERCENT = "<percent>"
_WORD = re.compile(r"\d+|[^\W\d_]+|[%&,.;:!?+]")
# A dash is a sign only with nothing before it and no space after it: "10-20%" and "fog - 20%" have none.
_BELOW = r"(?P<below>(?<![^\s,;:(])[-\N{EN DASH}\N{MINUS SIGN}]|\bminus )?"
_PERCENT = re.compile(_BELOW + r"(?<!\d)(?P<number>\d+)\s*(?:%|percent\b|per\s+cent\b)")
_BW = (("b&w", "bw"), ("b & w", "bw"), ("b/w", "bw"))
_SHORT = (("n't", " not"), ("cannot", "can not"), ("w/o", "without"), *_BW)


@dataclass(frozen=True, slots=True)
class Words:
    """A prompt cut into words. `percents[i]` is the value 0..1 where word i is PERCENT, else nan; what is
    said to be below 0 or above 100 is 0 or 1."""

    words: tuple[str, ...]
    percents: tuple[float, ...]


def split(prompt: str) -> Words:
    """Cut any text into at most MAX_WORDS lower-case words without accents; emoji become their names."""
    text = unicodedata.normalize("NFKC", prompt[:MAX_CHARS]).lower()
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    for short, full in _SHORT:
        text = text.replace(short, full)
    text = "".join(_spell(char) for char in unicodedata.normalize("NFKD", text))
    words: list[str] = []
    percents: list[float] = []
    at = 0
    for found in _PERCENT.finditer(text):
        if len(words) >= MAX_WORDS:
            break
        _append(text[at : found.start()], words, percents)
        words.append(PERCENT)
        percents.append(0.0 if found["below"] else min(int(found["number"]), 100) / 100)
        at = found.end()
    _append(text[at:], words, percents)
    return Words(tuple(words[:MAX_WORDS]), tuple(percents[:MAX_WORDS]))


@lru_cache(maxsize=16_384)
def word_rows(word: str) -> tuple[int, tuple[int, ...]]:
    """Rows of the table for one word: that of the whole word and those of its pieces of 3 to 5 letters."""
    word = word[:MAX_WORD_CHARS]
    edged = f"<{word}>"
    pieces = {edged[i : i + n] for n in (3, 4, 5) for i in range(max(1, len(edged) - n + 1))}
    return _row("=" + word), tuple(sorted(_row(piece) for piece in pieces))


def _row(text: str) -> int:
    return 1 + crc32(text.encode("utf-8", "replace")) % (BUCKETS - 1)


def _append(text: str, words: list[str], percents: list[float]) -> None:
    for found in _WORD.finditer(text):
        if len(words) >= MAX_WORDS:
            return
        words.append(found.group())
        percents.append(float("nan"))


def _spell(char: str) -> str:
    if char.isascii():
        return char
    kind = unicodedata.category(char)
    if kind == "Mn":  # an accent split off its letter
        return ""
    if kind == "So":
        return f" {unicodedata.name(char, '').lower()} "
    return char
