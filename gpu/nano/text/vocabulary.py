"""Which words the network was taught, and which of them are things that there is no edit for.

From the files that training sentences are made of. Knows no network.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gpu.nano.text.colours import colour_of, is_one_slip
from gpu.nano.text.truth import BEYOND, EDIT_WAYS, GRAMMAR, PLACES

_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST_SLIP, _STEM = 5, 5  # letters: shorter words one slip apart are mostly other words
_LEAST_TYPED = 3  # letters of a word that is being typed


def _words(phrases: Any) -> Iterator[str]:
    if isinstance(phrases, str):
        yield from _WORD.findall(phrases.lower())
    elif isinstance(phrases, dict):
        for one in phrases.values():
            yield from _words(one)
    else:
        for one in phrases:
            yield from _words(one)


_OF_EDITS = frozenset(_words(EDIT_WAYS))
KNOWN = _OF_EDITS | {*_words(PLACES), *_words(GRAMMAR), *_words(BEYOND)}
_ALSO_EDITS = {"poster", "picture", "screen", "camera", "ocean", "frame", "figure", "old", "new"}
THINGS = frozenset({*_words(BEYOND["things"]), *_words(BEYOND["beings"])}) - _ALSO_EDITS
_BY_START: dict[tuple[str, int], list[str]] = defaultdict(list)
for _one in sorted(KNOWN):
    _BY_START[_one[0], len(_one)].append(_one)
_STEMS = frozenset(word[:_STEM] for word in _OF_EDITS if len(word) >= _STEM)
_BEGUN = frozenset(word[:end] for word in KNOWN for end in range(_LEAST_TYPED, len(word)))


@lru_cache(maxsize=4096)
def is_known(word: str) -> bool:
    """Whether a lower-case word, or what it will be once it is typed, is among what was taught, one slip of
    the finger aside."""
    if word in KNOWN or word in _BEGUN or colour_of(word):
        return True
    if len(word) < _SHORTEST_SLIP:
        return False
    if word[:_STEM] in _STEMS:
        return True
    lengths = (len(word) - 1, len(word), len(word) + 1)
    return any(is_one_slip(word, other) for length in lengths for other in _BY_START[word[0], length])
