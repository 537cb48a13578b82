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
        others = [hue for hue in dict.fromkeys(self._several(KEPT, hue_of, _LIKELY)) if hue != first]
        return [first, *others] if first else []

    def recoloured(self) -> list[tuple[str, str]]:
        """What is found and what it becomes: "red to blue and green to pink" are two, "red and green to blue"
        are too. Empty where either is not said."""
        found, becomes = self._several(FOUND, hue_of, _SURE), self._several(BECOMES, colour_of, _SURE)
        if len(found) > 1 and len(becomes) in (1, len(found)):
            pairs = list(zip(found, becomes if len(becomes) > 1 else becomes * len(found), strict=True))
        else:
            first, second = self.one(FOUND, hue_of), self.one(BECOMES, colour_of)
            pairs = [(first, second)] if first and second else []
        first_of: dict[str, str] = {}
        for hue, colour in pairs:
            if hue != colour:
                first_of.setdefault(hue, colour)
        return list(first_of.items())

    @property
    def is_crowded(self) -> bool:
        """Whether more colours are named than can be put in pairs."""
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
