"""What the network loses of a list: "night; snow; fog; blur". Knows no network.

Where it is unsure of the whole, each item is read by itself, and what only the item names is added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from gpu.nano.edits import EDIT_BY_NAME
from gpu.nano.text.labels import labels_of
from gpu.types import Part, Reading

MOST_ITEMS = 6  # each is read by itself: bounds the time of a reading
UNSURE_OF_WHOLE = 0.75  # a surer reading of the whole is left as it is
_SURE_OF_ITEM = 0.85
_MOST_WORDS = 3  # a longer item may hang on the others
_ITEM_END = re.compile(r" ?[,;] ?(?:and )?")
_DENIES = re.compile(
    r"\b(?:not?|never|don't|without|keep|leave|stay|only|just|instead|rather|except|but|undo|remove|less)\b"
)


def items_of(text: str) -> tuple[str, ...]:
    """The items of a lower-case list; () where it is none, is too long, or denies anything."""
    items = [item for item in _ITEM_END.split(text) if item.strip(" .!")]
    if not 1 < len(items) <= MOST_ITEMS or _DENIES.search(text):
        return ()
    return tuple(items)


def with_items(whole: Reading, items: Sequence[str], readings: Sequence[Reading]) -> Reading:
    """The reading of the whole and what short items surely name that it lacks, in the place of the others.

    A second art in one breath may be a word for the first, so arts are not added."""
    parts = list(whole.parts)
    named = {part.name for part in parts}
    for item, reading in zip(items, readings, strict=True):
        if len(item.split()) > _MOST_WORDS or reading.confidence < _SURE_OF_ITEM or len(reading.parts) != 1:
            continue
        (part,) = reading.parts
        if part.name not in named and EDIT_BY_NAME[part.name].kind not in ("paint", "draw"):
            named.add(part.name)
            parts.append(_placed(part, parts))
    if len(parts) == len(whole.parts):
        return whole
    parts.sort(key=lambda part: -part.amount)
    return replace(whole, parts=tuple(parts), label=labels_of(parts), nearest=_others(whole, parts))


def _others(whole: Reading, parts: Sequence[Part]) -> tuple[str, ...]:
    labels = {EDIT_BY_NAME[part.name].label for part in parts}
    return tuple(label for label in whole.nearest if label not in labels)


def _placed(part: Part, others: Sequence[Part]) -> Part:
    regions = {other.region for other in others}
    return replace(part, region=regions.pop()) if part.region == "everywhere" and len(regions) == 1 else part
