"""The teachers of edits that touch one colour, or paint one: `recolour`, `colour_pop`, `backdrop`.

What belongs to a hue is soft in hue and saturation. Skin is a pale orange red: red and orange begin where
colours are more saturated than it.
"""

from __future__ import annotations

import numpy as np

from gpu.nano.distill.teachers.tone import F32, chroma_range, colourful, contrast, hue_between, luma, mix, rgb
from gpu.nano.palette import RGB, shaded

# hue from, to (degrees of the HSV hexagon); saturation where membership begins and is full
_MEMBERS: dict[str, tuple[float, float, float, float]] = {
    "red": (-22, 9, 0.48, 0.66),
    "orange": (9, 42, 0.56, 0.74),
    "yellow": (42, 62, 0.30, 0.48),
    "green": (62, 162, 0.14, 0.30),
    "cyan": (162, 202, 0.16, 0.32),
    "blue": (202, 256, 0.18, 0.36),
    "purple": (256, 296, 0.14, 0.30),
    "pink": (296, 346, 0.16, 0.32),
}
_SOFT = 7.0  # degrees


def member(x: F32, hue: str) -> F32:
    """[..., 3] -> [..., 1] in 0..1: how much a pixel is of that hue."""
    low, high, pale, full = _MEMBERS[hue]
    return np.asarray(hue_between(x, low, high, _SOFT) * colourful(x, pale, full), np.float32)


def recolour(x: F32, found: str, colour: str) -> F32:
    """Pixels of the hue `found` take `colour`; their shading and their shine stay.

    A pixel is taken apart into shine (its smallest channel, which is white) and pigment (the range of its
    channels); only the pigment changes colour."""
    pigment = x.min(-1, keepdims=True) + chroma_range(x) * rgb(*shaded(colour))
    return mix(x, pigment, member(x, found))


def colour_pop(x: F32, hue: str) -> F32:
    """Everything but that hue in black and white."""
    grey = np.repeat(contrast(luma(x), 0.15), 3, -1)
    return mix(grey, x, member(x, hue))


def backdrop(radius: F32, height: F32, colour: str) -> F32:
    """A sheet of paper of that colour, lit from above: [..., 3] from squared radius and height [..., 1]."""
    light = 1.06 - 0.10 * height - 0.16 * radius
    return np.asarray(light * rgb(*RGB[colour]), np.float32)
