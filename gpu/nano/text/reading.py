"""From the network's scores to a reading: which edits, how much, where, which colours. Knows no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu.nano.edits import EDITS, REGIONS
from gpu.nano.text.colours import colour_of, hue_of
from gpu.nano.text.features import Words
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
_SOURCE = len(EDITS)
_LIKELY = 0.2  # least probability of a slot for a colour word to fill it
_FOUND, _BECOMES, _BACKDROP, _KEPT = range(1, 5)  # the slots, after "none"
_BACKDROP_UNSAID, _KEPT_UNSAID = "white", "red"
ORIGINAL = Reading(parts=(), confidence=1.0, understood=True, label="original")
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


def reading_of(scores: Scores, words: Words) -> Reading:
    """The reading of a prompt of at least one word."""
    presence = scores.presence
    order = [int(i) for i in np.argsort(-presence[:_SOURCE], kind="stable")]
    chosen = [i for i in order if presence[i] > (0.5 if i == order[0] else _SECOND)]
    # The reading is right when every yes and every no is right.
    confidence = float(np.prod(np.maximum(presence, 1 - presence)))
    amounts = _amounts(chosen, scores, words)
    chosen.sort(key=lambda i: (-amounts[i], -presence[i]))
    parts = [part for i in chosen if (part := _part(i, amounts[i], scores, words))]
    if parts:
        named = {part.name for part in parts}
        others = tuple(EDITS[i].label for i in order if EDITS[i].name not in named)[:3]
        label = " + ".join(_label(part) for part in parts)
        return Reading(tuple(parts), confidence, others if confidence < _SURE else (), True, label)
    nearest = tuple(EDITS[i].label for i in order[:3])
    if presence[_SOURCE] > 0.5:
        return Reading((), confidence, () if confidence >= _SURE else nearest, True, "original")
    return Reading((), 0.0 if chosen else float(presence.max()), nearest, False)


def _part(edit: int, amount: float, scores: Scores, words: Words) -> Part | None:
    """The part of an edit, or None where the colours that it cannot do without are missing."""
    name = EDITS[edit].name
    region = REGIONS[int(scores.regions[edit])]
    if name == "backdrop":
        colour = _slot(_BACKDROP, colour_of, scores, words)
        return Part(name, amount, "background", (colour or _BACKDROP_UNSAID,))
    if name == "colour_pop":
        return Part(name, amount, region, (_slot(_KEPT, hue_of, scores, words) or _KEPT_UNSAID,))
    if name == "recolour":
        found = _slot(_FOUND, hue_of, scores, words)
        becomes = _slot(_BECOMES, colour_of, scores, words)
        if not found or not becomes or found == becomes:
            return None
        return Part(name, amount, region, (found, becomes))
    return Part(name, amount, region)


def _slot(slot: int, meaning: Callable[[str], str | None], scores: Scores, words: Words) -> str | None:
    """The colour in a slot: that of the likeliest word that means one."""
    grown = np.exp(scores.slots - scores.slots.max(1, keepdims=True))
    likely = (grown / grown.sum(1, keepdims=True))[:, slot]
    colours = [
        (float(likely[at]), colour) for at, word in enumerate(words.words) if (colour := meaning(word))
    ]
    best = max(colours, default=(0.0, None))
    return best[1] if best[0] > _LIKELY else None


def _label(part: Part) -> str:
    label = next(edit.label for edit in EDITS if edit.name == part.name).lower()
    notes = [" to ".join(part.colours)] if part.colours else []
    if part.region != "everywhere" and part.name != "backdrop":
        notes.append(part.region)
    return f"{label} ({', '.join(notes)})" if notes else label


def _amounts(chosen: list[int], scores: Scores, words: Words) -> dict[int, float]:
    """Amount of each chosen edit. Percentages go to edits in the order said, or to the nearest edit."""
    numbers = [at for at, value in enumerate(words.percents) if value == value]
    counted = sorted((int(scores.words[i]), i) for i in chosen if scores.levels[i] == _PERCENT)
    amounts = {}
    for edit in chosen:
        level = int(scores.levels[edit])
        at = int(scores.words[edit])
        if level == _PERCENT and len(numbers) == len(counted):
            amounts[edit] = words.percents[numbers[counted.index((at, edit))]]
        elif level == _PERCENT and numbers:
            amounts[edit] = words.percents[min(numbers, key=lambda number: abs(number - at))]
        elif level in (_PLAIN, _PERCENT):
            amounts[edit] = PLAIN_OF_DEGREE if EDITS[edit].name in DEGREES else 1.0
        else:
            amounts[edit] = _AMOUNTS[level]
    return amounts
