"""The text tower: free English to amounts of edits. Runs on numpy alone; knows no pictures or training.

Words become sums of hashed embeddings, three dilated convolutions look around each word (negation,
intensity), and each edit takes its strongest word. `gpu.nano.text_train` makes the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gpu.errors import ModelError
from gpu.nano.edits import EDITS
from gpu.nano.text_features import Words, split, word_rows
from gpu.types import Reading

WEIGHTS = Path(__file__).parent / "weights" / "text.npz"
DILATIONS = (1, 2, 4)
WIDTH = 5  # words a convolution sees

# Amounts of the levels hint, slight, half, some, plain, strong; the seventh is the number said.
_AMOUNTS = (0.2, 0.4, 0.5, 0.65, 1.0, 1.0)
_PLAIN, _PERCENT = 4, 6
# Edits that come in degrees leave room for "very"; half a sepia is only a mistake, so the others are full.
_DEGREES = frozenset(
    {"night", "golden_hour", "vintage_film", "teal_and_orange", "high_key", "rain", "snow", "fog"}
)
_PLAIN_OF_DEGREE = 0.85

_SURE = 0.75  # below it the reading names what else it could have been
_SOURCE = len(EDITS)
ORIGINAL = Reading(parts=(), confidence=1.0, understood=True, label="original")

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scores:
    """What the network says of one prompt, for each of [21] targets (20 edits, then the source):
    its probability, the index of its level, and the word it listens to most."""

    presence: F32
    levels: NDArray[np.intp]
    words: NDArray[np.intp]


class TextTower:
    """Reads prompts. Immutable after load; any thread."""

    def __init__(self, weights: dict[str, F32]) -> None:
        self._w = weights
        self._temperature = float(weights["temperature"])
        self.read = lru_cache(maxsize=256)(self._read)

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> TextTower:
        """Load the weights in the package, or others. Raises ModelError when they are not a text tower's."""
        try:
            with np.load(path, allow_pickle=False) as file:
                weights = {name: file[name].astype(np.float32) for name in file.files}
            return cls(weights)
        except (OSError, ValueError, KeyError, BadZipFile) as exc:
            remedy = "run `python -m gpu.nano.text_train` to make it anew"
            raise ModelError(f"text tower {path} is unusable: {exc}; {remedy}") from exc

    def _read(self, prompt: str) -> Reading:
        if not prompt.strip():
            return ORIGINAL
        words = split(prompt)
        if not words.words:
            return Reading(parts=(), confidence=0.0, understood=False)
        scores = self._score(words)
        presence = scores.presence
        chosen = [i for i in range(_SOURCE) if presence[i] > 0.5]
        # The reading is right when every yes and every no is right.
        confidence = float(np.prod(np.maximum(presence, 1 - presence)))
        order = [int(i) for i in np.argsort(-presence[:_SOURCE], kind="stable")]
        if chosen:
            amounts = _amounts(chosen, scores, words)
            chosen.sort(key=lambda i: (-amounts[i], -presence[i]))
            others = tuple(EDITS[i].label for i in order if i not in amounts)[:3]
            parts = tuple((EDITS[i].name, amounts[i]) for i in chosen)
            label = " + ".join(EDITS[i].label.lower() for i in chosen)
            return Reading(parts, confidence, others if confidence < _SURE else (), True, label)
        nearest = tuple(EDITS[i].label for i in order[:3])
        if presence[_SOURCE] > 0.5:
            return Reading((), confidence, () if confidence >= _SURE else nearest, True, "original")
        return Reading((), float(presence.max()), nearest, False)

    def _score(self, words: Words) -> Scores:
        w = self._w
        x = np.stack([self._embed(word) for word in words.words])
        x = np.maximum(x @ w["in.weight"].T + w["in.bias"], 0)  # [words, C]
        for layer, dilation in enumerate(DILATIONS):
            x = x + np.maximum(_convolve(x, w[f"conv{layer}.weight"], dilation) + w[f"conv{layer}.bias"], 0)
        x = x + np.maximum(x.max(0) @ w["all.weight"].T + w["all.bias"], 0)
        s = x @ w["score.weight"].T + w["score.bias"]  # [words, targets]
        top = s.max(0)
        grown = np.exp(s - top)
        logits = top + np.log(grown.sum(0))
        heard = (grown / grown.sum(0)).T @ x  # [targets, C]
        heard = np.maximum(heard @ w["heard.weight"].T + w["heard.bias"], 0)
        levels = heard @ w["level.weight"].T + w["level.bias"]
        presence = 1 / (1 + np.exp(-np.clip(logits / self._temperature, -30, 30)))
        return Scores(presence.astype(np.float32), levels.argmax(1), s.argmax(0))

    def _embed(self, word: str) -> F32:
        whole, pieces = word_rows(word)
        table = self._w["table"]
        vector: F32 = table[whole] + table[list(pieces)].mean(0)
        return vector


def _convolve(x: F32, weight: F32, dilation: int) -> F32:
    """x [words, C], weight [C_out, C, WIDTH]; zero padding keeps the length."""
    reach = WIDTH // 2 * dilation
    padded = np.pad(x, ((reach, reach), (0, 0)))
    taps = [padded[i * dilation : i * dilation + len(x)] @ weight[:, :, i].T for i in range(WIDTH)]
    total: F32 = np.add.reduce(taps)
    return total


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
            amounts[edit] = _PLAIN_OF_DEGREE if EDITS[edit].name in _DEGREES else 1.0
        else:
            amounts[edit] = _AMOUNTS[level]
    return amounts
