"""From the network's scores to a reading: which edits, how much, where, which colours. Knows no network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpu.nano.edits import EDITS, REGIONS, Region
from gpu.nano.text.colours import colour_of
from gpu.nano.text.features import Words
from gpu.nano.text.joining import UNSURE
from gpu.nano.text.labels import label_of, labels_of
from gpu.nano.text.slots import BACKDROP, Slots
from gpu.types import Part, Reading

# Amounts of the levels hint, slight, half, some, plain, strong; the seventh is the number said.
_AMOUNTS = (0.2, 0.4, 0.5, 0.65, 1.0, 1.0)
_PLAIN, _PERCENT = 4, 6
# Edits that come in degrees leave room for "very"; half a sepia is only a mistake, so the others are full.
DEGREES = frozenset(
    {
        "night", "golden_hour", "sunset", "blue_hour", "vintage_film", "teal_and_orange", "cyberpunk",
        "vivid", "pastel", "dream", "high_key", "underwater", "warm", "cool", "brighten", "darken", "rain",
        "snow", "fog", "autumn", "winter", "blur",
    }
)  # fmt: skip
PLAIN_OF_DEGREE = 0.85

_SURE = 0.75  # below it the reading names what else it could have been
_SECOND = 0.75  # least probability of an edit beside the likeliest one: most prompts ask for one thing
# Words without which two arts in one breath are two words for one.
_JOINTS = frozenset(
    {"and", "plus", "then", "also", "mix", "mixed", "combine", "together", ",", "+", "&", ";", "."}
)
_ITEM_ENDS = frozenset({",", ";", ".", "+"})
_NEAR = 0.1  # least probability of an edit to be offered as near
_SOURCE = len(EDITS)
_RECOLOUR = next(i for i, edit in enumerate(EDITS) if edit.name == "recolour")
_BACKDROP_UNSAID, _KEPT_UNSAID = "white", "red"
ORIGINAL = Reading(parts=(), confidence=1.0, understood=True, label="original")
BEFORE = replace(ORIGINAL, label="the edit before", steps_back=True)
UNDONE = Reading((), 0.0, (), False, note='"redo" brings back what "undo that" took', redoes=True)
NOTHING = Reading(parts=(), confidence=0.0, understood=False)


@dataclass(frozen=True, slots=True)
class Scores:
    """What the network says of one prompt. For each of the targets (the edits in order, then the source):
    its probability, its level, its region, the word it listens to most. For each word: its slots."""

    presence: NDArray[np.float32]  # [targets]
    levels: NDArray[np.intp]
    regions: NDArray[np.intp]
    words: NDArray[np.intp]
    slots: NDArray[np.float32]  # [words, 5] logits


def reading_of(scores: Scores, words: Words, region: Region | None = None) -> Reading:
    """The reading of a prompt of at least one word. `region`: where all parts go, whatever was heard."""
    presence = scores.presence
    order = [int(i) for i in np.argsort(-presence[:_SOURCE], kind="stable")]
    chosen = [i for i in order if presence[i] > (0.5 if i == order[0] else _SECOND)]
    if not _JOINTS.intersection(words.words):
        chosen = _one_art(chosen)
    # The reading is right when every yes and every no is right.
    confidence = float(np.prod(np.maximum(presence, 1 - presence)))
    amounts = _amounts(chosen, scores, words)
    chosen.sort(key=lambda i: (-amounts[i], -presence[i]))
    slots = Slots(scores.slots, words)
    parts = [part for i in chosen for part in _parts(i, amounts[i], scores, slots)]
    near = [i for i in order if presence[i] > _NEAR]
    if parts:
        if region:
            parts = [part if part.name == "backdrop" else replace(part, region=region) for part in parts]
        named = {part.name for part in parts}
        left_out = [
            label_of(replace(part, colours=(hue,)))
            for part in parts
            if part.name == "colour_pop"
            for hue in slots.kept()[1:]
        ]
        if recolour := next((part for part in parts if part.name == "recolour"), None):
            left_out += [label_of(replace(recolour, colours=said)) for said in slots.not_recoloured()]
        if left_out or ("recolour" in named and slots.is_crowded):
            confidence = min(confidence, UNSURE)
        others = tuple(EDITS[i].label for i in near if EDITS[i].name not in named)[:3]
        nearest = others if confidence < _SURE else ()
        return Reading(tuple(parts), confidence, nearest, True, labels_of(parts), tuple(left_out))
    if presence[_SOURCE] <= 0.5 and any(colour_of(word) for word in words.words):
        near = [_RECOLOUR, *(i for i in near if i != _RECOLOUR)]
    nearest = tuple(EDITS[i].label for i in near[:3])
    if presence[_SOURCE] > 0.5:
        return Reading((), confidence, () if confidence >= _SURE else nearest, True, "original")
    return Reading((), 0.0 if chosen else float(presence.max()), nearest, False)


def _one_art(chosen: list[int]) -> list[int]:
    """Of edits, likeliest first, the first art and what is none: "sketchy charcoal" is one drawing."""
    arts = [edit for edit in chosen if EDITS[edit].kind in ("paint", "draw")]
    return [edit for edit in chosen if edit not in arts[1:]]


def denial_of(whole: Reading, denied: Reading) -> Reading:
    """The reading of "not X", read as `whole`, where X alone reads as `denied`: that of "no X"."""
    heard = {part.name for part in whole.parts}
    if len(denied.parts) != 1 or heard - {denied.parts[0].name} or (whole.understood and not heard):
        return whole
    return replace(ORIGINAL, confidence=denied.confidence)


def _parts(edit: int, amount: float, scores: Scores, slots: Slots) -> list[Part]:
    """The parts of an edit: none where the colours that it cannot do without are missing, several where more
    pairs of them are named."""
    name = EDITS[edit].name
    region = REGIONS[int(scores.regions[edit])]
    if name == "backdrop":
        return [Part(name, amount, "background", (slots.one(BACKDROP, colour_of) or _BACKDROP_UNSAID,))]
    if name == "colour_pop":
        return [Part(name, amount, region, ((*slots.kept(), _KEPT_UNSAID)[0],))]
    if name == "recolour":
        return [Part(name, amount, region, pair) for pair in slots.recoloured()]
    return [Part(name, amount, region)]


def _amounts(chosen: list[int], scores: Scores, words: Words) -> dict[int, float]:
    """Amount of each chosen edit. Percentages go to edits in the order said, or to the nearest edit."""
    numbers = [at for at, value in enumerate(words.percents) if value == value]
    counted = sorted((int(scores.words[i]), i) for i in chosen if scores.levels[i] == _PERCENT)
    amounts = {}
    for edit in chosen:
        level = int(scores.levels[edit])
        at = int(scores.words[edit])
        if level == _PERCENT and not _counts(at, numbers, words):
            level = _PLAIN
        if level == _PERCENT and len(numbers) == len(counted):
            amounts[edit] = words.percents[numbers[counted.index((at, edit))]]
        elif level == _PERCENT and numbers:
            amounts[edit] = words.percents[min(numbers, key=lambda number: abs(number - at))]
        elif level in (_PLAIN, _PERCENT):
            amounts[edit] = PLAIN_OF_DEGREE if EDITS[edit].name in DEGREES else 1.0
        else:
            amounts[edit] = _AMOUNTS[level]
    return amounts


def _counts(at: int, numbers: list[int], words: Words) -> bool:
    """Whether a number can be said of the edit at a word: not one that stands before a thing in another item
    of the list ("cartoon; 0% fog")."""
    item = _item(at, words)
    return any(number in item or _ends(number, words) for number in numbers)


def _item(at: int, words: Words) -> range:
    """The words of the list's item around one."""
    said = words.words
    first = next((i + 1 for i in range(at, -1, -1) if said[i] in _ITEM_ENDS), 0)
    last = next((i for i in range(at, len(said)) if said[i] in _ITEM_ENDS), len(said))
    return range(first, last)


def _ends(number: int, words: Words) -> bool:
    """Whether a number is the last of its item, and so may be said of all: "rain, snow at 40%"."""
    return number + 1 == _item(number, words).stop
