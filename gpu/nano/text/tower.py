"""The text tower's network: what it makes of a prompt. Runs on numpy alone; knows no pictures or training.

Words become sums of hashed embeddings, three dilated convolutions look around each word (negation,
intensity, place), and each edit takes its strongest words. `gpu.nano.text.train` makes the weights.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gpu.errors import ModelError
from gpu.nano.edits import Region
from gpu.nano.text.degrees import Degree, degree_of, pieces_of, said_beside
from gpu.nano.text.features import MAX_CHARS, Words, split, word_rows
from gpu.nano.text.headings import beside_colour, headed
from gpu.nano.text.joining import joined, with_left_out
from gpu.nano.text.listing import UNSURE_OF_WHOLE, items_of, with_items
from gpu.nano.text.places import beside_things, clauses_of, set_beside
from gpu.nano.text.questions import CONTRASTY, EXAMPLES, NO_CONTRAST, asks_for_help, is_contrast
from gpu.nano.text.reach import Beyond, beyond, strangers
from gpu.nano.text.reading import BEFORE, NOTHING, ORIGINAL, UNDONE, Scores, denial_of, reading_of
from gpu.nano.text.relative import beside, changing, more_or_less
from gpu.nano.text.spelled import read_spelled
from gpu.nano.text.wording import reworded, steps_back, steps_on
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
        if steps_on(prompt):
            return UNDONE
        if asks_for_help(prompt):
            return replace(NOTHING, note=EXAMPLES)
        if spelled := read_spelled(prompt):
            return spelled
        reading = self._read_alone(prompt)
        changes = [self._changing(piece, self._read_alone(piece)) for piece in pieces_of(prompt)]
        if changes and all(one.change for one in changes):  # "less rain and more fog"
            return replace(reading, then=tuple(changes))
        return self._changing(prompt, reading)

    def _changing(self, prompt: str, reading: Reading) -> Reading:
        """`reading`, with what the words do to what is in force."""
        more = said_beside(prompt)
        if more and more.keeps:  # "the same but darker": the network has never heard of the same
            reading = self._read_alone(more.thing)
        if degree := degree_of(more.thing if more else prompt):  # "also a bit darker", "add more rain"
            return self._of_what_runs(degree, reading)
        return beside(reading, more.change) if more else reading

    def _of_what_runs(self, degree: Degree, alone: Reading) -> Reading:
        """`alone`: what the words are read as by themselves."""
        if not degree.thing:
            is_source = alone.understood and not alone.parts  # "roll it back"; but never "not enough"
            return alone if is_source and degree.change.times <= 1 else more_or_less(degree.change)
        thing = self._read_words(degree.thing, None)
        return changing(degree.change, thing, alone, degree.is_of_place)

    def _read_alone(self, prompt: str) -> Reading:
        """As if nothing were in force. What is beyond nano is refused in words, or named as left out; but the
        network is believed where it is sure."""
        reading = self._read_known(prompt)
        text = " ".join(prompt[:MAX_CHARS].lower().split())
        refused = beyond(text, self._is_edit)
        if refused and not _is_believed(reading, refused):
            return Reading((), 0.0, refused.nearest, False, note=refused.why)
        if is_contrast(text) and not reading.parts:
            return replace(NOTHING, note=NO_CONTRAST, nearest=CONTRASTY)
        rest, left_out = strangers(text, self._is_edit)
        if not left_out or (reading.understood and not reading.parts):
            return reading
        without = self._read_known(rest) if rest else NOTHING
        if rest and not (reading.parts or without.parts):
            return reading
        if {part.name for part in without.parts} == {part.name for part in reading.parts}:
            return with_left_out(reading, left_out)
        if reading.confidence < UNSURE_OF_WHOLE and (without.parts or not reading.parts):
            return with_left_out(without, left_out)
        return reading

    def _is_edit(self, words: str) -> bool:
        return bool(self._read_words(words, None).parts)

    def _read_known(self, prompt: str) -> Reading:
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
        elif wording.region is None and (clauses := beside_things(wording.text)):
            readings = [self._read_words(clause.text, None) for clause in clauses]
            of_things = [_is_of_things(reading) for reading in readings]
            apart = joined(clauses, readings)
            if apart is not None and of_things == [clause.region is None for clause in clauses]:
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


def _is_believed(reading: Reading, refused: Beyond) -> bool:
    """Whether the network is surer of what it hears than the rules are that it is beyond nano."""
    if not reading.understood or (refused.is_of_thing and not reading.parts):
        return False
    return reading.confidence >= refused.surer_than


def _is_of_things(reading: Reading) -> bool:
    """Whether single things change their colours: what else is said of a place is not said of them."""
    return bool(reading.parts) and all(part.name == "recolour" for part in reading.parts)


def _convolve(x: F32, weight: F32, dilation: int) -> F32:
    """x [words, C], weight [C_out, C, WIDTH]; zero padding keeps the length."""
    reach = WIDTH // 2 * dilation
    padded = np.pad(x, ((reach, reach), (0, 0)))
    taps = [padded[i * dilation : i * dilation + len(x)] @ weight[:, :, i].T for i in range(WIDTH)]
    total: F32 = np.add.reduce(taps)
    return total
