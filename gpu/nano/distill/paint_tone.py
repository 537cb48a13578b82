"""What is done to a painting after the network: tone, and how much of the source shows through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu.nano.edits import names_of

MIDDLE = 128 / 255


@dataclass(frozen=True, slots=True)
class Tone:
    """Contrast and lift of luma, saturation, and the source's share of luma and of chroma, 0..1."""

    contrast: float = 1.0
    lift: float = 0.0
    saturation: float = 1.0
    luma: float = 0.0
    chroma: float = 0.0

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """`tone_gain`, `tone_offset` and `carry` [1, 6, 1, 1] of folded pictures."""

        def six(luma: float, chroma: float) -> NDArray[np.float32]:
            return np.array([luma] * 4 + [chroma] * 2, np.float32)[None, :, None, None]

        return {
            "tone_gain": six(self.contrast, self.saturation),
            "tone_offset": six(self.lift, MIDDLE * (1 - self.saturation)),
            "carry": six(self.luma, self.chroma),
        }


TONES: dict[str, Tone] = {name: Tone() for name in names_of("paint")}
# pale washes of the things' own colours, and thick strokes of them
TONES["watercolour"] = Tone(contrast=0.85, lift=0.13, chroma=0.7)
TONES["oil_painting"] = Tone(luma=0.2, chroma=0.8)
