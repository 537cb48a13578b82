"""The text tower's network: what it makes of a prompt. Runs on numpy alone; knows no pictures or training.

Words become sums of hashed embeddings, three dilated convolutions look around each word (negation,
intensity, place), and each edit takes its strongest words. `gpu.nano.text.train` makes the weights.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gpu.errors import ModelError
from gpu.nano.edits import Region
from gpu.nano.text.features import Words, split, word_rows
from gpu.nano.text.headings import beside_colour, headed
from gpu.nano.text.joining import joined
from gpu.nano.text.listing import UNSURE_OF_WHOLE, items_of, with_items
from gpu.nano.text.places import clauses_of, set_beside
from gpu.nano.text.reading import BEFORE, NOTHING, ORIGINAL, Scores, denial_of, reading_of
from gpu.nano.text.wording import reworded, steps_back
from gpu.types import Reading

WEIGHTS = Path(__file__).parents[1] / "weights" / "text.npz"
DILATIONS = (1, 2, 4)
WIDTH = 5  # words a convolution sees
GREYS = ({"black_and_white"}, {"sepia"})

F32 = NDArray[np.float32]


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
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as exc:
            remedy = "run `python -m gpu.nano.text.train` to make it anew"
            raise ModelError(f"text tower {path} is unusable: {exc}; {remedy}") from exc

    def _read(self, prompt: str) -> Reading:
        if not prompt.strip():
            return ORIGINAL
        if steps_back(prompt):
            return BEFORE
        wording = reworded(prompt)
        if wording.region is None and (grey := beside_colour(wording.text)):
            reading = self._read_words(grey.text, grey.region)
            if {part.name for part in reading.parts} in GREYS:
                return reading
        if wording.region is None and (clauses := headed(wording.text) or clauses_of(wording.text)):
            apart = joined(clauses, [self._read_words(clause.text, None) for clause in clauses])
            if apart is not None:
                return apart
        elif wording.region is None and (clauses := set_beside(wording.text)):
            readings = [self._read_words(clause.text, None) for clause in clauses]
            apart = joined(clauses, readings)
            if apart is not None and all(reading.parts for reading in readings):
                return apart
        reading = self._read_words(wording.text, wording.region)
        if wording.denied is None:
            return reading
        return denial_of(reading, self._read_words(wording.denied, None))

    def _read_words(self, text: str, region: Region | None) -> Reading:
        words = split(text)
        if not words.words:
            return NOTHING
        whole = reading_of(self._score(words), words, region)
        if not whole.parts or whole.confidence >= UNSURE_OF_WHOLE or not (items := items_of(text)):
            return whole
        return with_items(whole, items, [self._read_words(item, None) for item in items])

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
        regions = heard @ w["region.weight"].T + w["region.bias"]
        slots = x @ w["slot.weight"].T + w["slot.bias"]  # [words, slots]
        presence = 1 / (1 + np.exp(-np.clip(logits / self._temperature, -30, 30)))
        return Scores(presence, levels.argmax(1), regions.argmax(1), s.argmax(0), slots)

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
