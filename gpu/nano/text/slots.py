"""Which words of a prompt fill which slots: what is found, what it becomes, what stays. Knows no network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gpu.nano.text.colours import colour_of, hue_of
from gpu.nano.text.features import Words

FOUND, BECOMES, BACKDROP, KEPT = range(1, 5)  # the slots, after "none"
_LIKELY = 0.2  # least probability of a slot for a colour word to fill it
_SURE = 0.5  # the same where several words fill it
_JOINTS = frozenset({",", ";", ".", "!", "?", "+", "&", "and", "then", "but", "while", "also", "plus"})
_BETWEEN = frozenset({",", "&", "+", "and", "plus", "also", "the", "both", "only"})
_TURNED = frozenset({"instead", "rather"})  # "blue instead of red": what it becomes comes first
Meaning = Callable[[str], str | None]


class Slots:
    """The colour words of one prompt, with the network's logits [words, 5] of each slot."""

    def __init__(self, logits: NDArray[np.float32], words: Words) -> None:
        grown = np.exp(logits - logits.max(1, keepdims=True))
        self._shares = grown / grown.sum(1, keepdims=True)
        self._words = words.words

    def one(self, slot: int, meaning: Meaning) -> str | None:
        """The colour in a slot: that of the likeliest word that means one, or of the first of sure ones."""
        colours = self._filling(slot, meaning)
        sure = [each for each in colours if each[0] > _SURE]
        best = sure[0] if sure else max(colours, default=(0.0, None))
        return best[1] if best[0] > _LIKELY else None

    def kept(self) -> list[str]:
        """The hues that are to stay: the one that can, then the others in order."""
        first = self.one(KEPT, hue_of)
        heard = [*self._several(KEPT, hue_of, _LIKELY), *self._listed_with(first)]
        others = [hue for hue in dict.fromkeys(heard) if hue != first]
        return [first, *others] if first else []

    def _listed_with(self, first: str | None) -> list[str]:
        """The hues that follow one with nothing but joints between them: "red and the blue"."""
        hues: list[str] = []
        is_open = False
        for word in self._words:
            hue = hue_of(word)
            if hue and (is_open or hue == first):
                hues.append(hue)
                is_open = True
            elif word not in _BETWEEN:
                is_open = False
        return hues

    def recoloured(self) -> list[tuple[str, str]]:
        """What is found and what it becomes: "red to blue and green to pink" are two, "red and green to blue"
        are too. Empty where either is not said."""
        first_of: dict[str, str] = {}
        for hue, colour in self._pairs():
            if hue != colour:
                first_of.setdefault(hue, colour)
        return list(first_of.items())

    def not_recoloured(self) -> list[tuple[str, ...]]:
        """What is said of colours and cannot be done: pairs, as white is no hue to find and a hue becomes one
        colour; of a crowd, the colours that are in no pair."""
        done = self.recoloured()
        pairs = dict.fromkeys(self._said_in_pairs())
        undone: list[tuple[str, ...]] = [
            pair for pair in pairs if pair[0] != pair[1] and (hue_of(pair[0]), pair[1]) not in done
        ]
        if not self.is_crowded:
            return undone
        found, becomes = self._several(FOUND, hue_of, _LIKELY), self._several(BECOMES, colour_of, _LIKELY)
        paired = {colour for pair in done for colour in pair}
        return [(colour,) for colour in dict.fromkeys([*found, *becomes]) if colour not in paired]

    def _pairs(self) -> list[tuple[str, str]]:
        said = self._said_in_pairs()
        if said:
            return [(hue, becomes) for found, becomes in said if (hue := hue_of(found))]
        found, becomes = self._several(FOUND, hue_of, _SURE), self._several(BECOMES, colour_of, _SURE)
        if len(found) > 1 and len(becomes) in (1, len(found)):
            return list(zip(found, becomes if len(becomes) > 1 else becomes * len(found), strict=True))
        first, second = self.one(FOUND, hue_of), self.one(BECOMES, colour_of)
        return [(first, second)] if first and second else []

    def _said_in_pairs(self) -> list[tuple[str, str]]:
        """What is found and what it becomes where each of several pieces between joints names two colours:
        the network loses count there. Empty where any piece names another number of them."""
        pairs: list[tuple[str, str]] = []
        colours: list[str] = []
        turned = False
        for word in (*self._words, "."):
            if word in _JOINTS:
                if colours:
                    if len(colours) != 2:
                        return []
                    pairs.append((colours[1], colours[0]) if turned else (colours[0], colours[1]))
                colours, turned = [], False
            elif (colour := colour_of(word)) and colours[-1:] != [colour]:
                colours.append(colour)
            turned = turned or word in _TURNED
        return pairs if len(pairs) > 1 else []

    @property
    def is_crowded(self) -> bool:
        """Whether more colours are named than can be put in pairs."""
        if self._said_in_pairs():
            return False
        found, becomes = self._several(FOUND, hue_of, _LIKELY), self._several(BECOMES, colour_of, _LIKELY)
        return len(becomes) not in (0, 1, len(found))

    def _several(self, slot: int, meaning: Meaning, least: float) -> list[str]:
        """Colours in a slot in order; one said twice in a row ("navy blue") is one."""
        filling = [colour for share, colour in self._filling(slot, meaning) if share > least]
        return [colour for at, colour in enumerate(filling) if at == 0 or colour != filling[at - 1]]

    def _filling(self, slot: int, meaning: Meaning) -> list[tuple[float, str]]:
        """For each word that means a colour, in order: its probability of filling the slot; the colour."""
        shares = self._shares[:, slot]
        return [(float(shares[i]), colour) for i, word in enumerate(self._words) if (colour := meaning(word))]
