"""From the network's scores to a reading: which edits, how much, where, which colours. Knows no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpu.nano.edits import EDITS, REGIONS, Region
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
_UNSURE = 0.7  # of a sentence only part of which can be done
_NEAR = 0.05  # least probability of an edit to be offered as near
_SOURCE = len(EDITS)
_RECOLOUR = next(i for i, edit in enumerate(EDITS) if edit.name == "recolour")
_LIKELY = 0.2  # least probability of a slot for a colour word to fill it
_FOUND, _BECOMES, _BACKDROP, _KEPT = range(1, 5)  # the slots, after "none"
Meaning = Callable[[str], str | None]
_SLOTS_OF: dict[str, tuple[tuple[int, Meaning], ...]] = {
    "recolour": ((_FOUND, hue_of), (_BECOMES, colour_of)),
    "colour_pop": ((_KEPT, hue_of),),
}
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


def reading_of(scores: Scores, words: Words, region: Region | None = None) -> Reading:
    """The reading of a prompt of at least one word. `region`: where all parts go, whatever was heard."""
    presence = scores.presence
    order = [int(i) for i in np.argsort(-presence[:_SOURCE], kind="stable")]
    chosen = [i for i in order if presence[i] > (0.5 if i == order[0] else _SECOND)]
    # The reading is right when every yes and every no is right.
    confidence = float(np.prod(np.maximum(presence, 1 - presence)))
    amounts = _amounts(chosen, scores, words)
    chosen.sort(key=lambda i: (-amounts[i], -presence[i]))
    parts = [part for i in chosen if (part := _part(i, amounts[i], scores, words))]
    near = [i for i in order if presence[i] > _NEAR]
    if parts:
        if region:
            parts = [part if part.name == "backdrop" else replace(part, region=region) for part in parts]
        named = {part.name for part in parts}
        if any(_names_too_many(name, scores, words) for name in named):
            confidence = min(confidence, _UNSURE)
        others = tuple(EDITS[i].label for i in near if EDITS[i].name not in named)[:3]
        label = " + ".join(_label(part) for part in parts)
        return Reading(tuple(parts), confidence, others if confidence < _SURE else (), True, label)
    if presence[_SOURCE] <= 0.5 and any(colour_of(word) for word in words.words):
        near = [_RECOLOUR, *(i for i in near if i != _RECOLOUR)]
    nearest = tuple(EDITS[i].label for i in near[:3])
    if presence[_SOURCE] > 0.5:
        return Reading((), confidence, () if confidence >= _SURE else nearest, True, "original")
    return Reading((), 0.0 if chosen else float(presence.max()), nearest, False)


def denial_of(whole: Reading, denied: Reading) -> Reading:
    """The reading of "not X", read as `whole`, where X alone reads as `denied`: that of "no X"."""
    heard = {part.name for part in whole.parts}
    if len(denied.parts) != 1 or heard - {denied.parts[0].name} or (whole.understood and not heard):
        return whole
    return replace(ORIGINAL, confidence=denied.confidence)


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


def _slot(slot: int, meaning: Meaning, scores: Scores, words: Words) -> str | None:
    """The colour in a slot: that of the likeliest word that means one; of several sure ones, the first."""
    colours = _filling(slot, meaning, scores, words)
    sure = [each for each in colours if each[0] > 0.5]
    best = sure[0] if sure else max(colours, default=(0.0, None))
    return best[1] if best[0] > _LIKELY else None


def _names_too_many(name: str, scores: Scores, words: Words) -> bool:
    """Whether more colours are named than the edit can take: two pairs to recolour, two hues to keep."""
    for slot, meaning in _SLOTS_OF.get(name, ()):
        likely = {colour for share, colour in _filling(slot, meaning, scores, words) if share > _LIKELY}
        if len(likely) > 1:
            return True
    return False


def _filling(slot: int, meaning: Meaning, scores: Scores, words: Words) -> list[tuple[float, str]]:
    """For each word that means a colour, in order: its probability of filling the slot, and the colour."""
    grown = np.exp(scores.slots - scores.slots.max(1, keepdims=True))
    likely = (grown / grown.sum(1, keepdims=True))[:, slot]
    return [(float(likely[at]), colour) for at, word in enumerate(words.words) if (colour := meaning(word))]


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
