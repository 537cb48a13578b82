"""A colourist's tools on arrays of RGB pixels [..., 3], float32 0..1: curves, saturation, ramps, hues.

Everything is pointwise and smooth enough for a small network; knows nothing of pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]


def rgb(red: float, green: float, blue: float) -> F32:
    return np.array([red, green, blue], np.float32)


def luma(x: Floats) -> F32:
    """[..., 3] -> [..., 1], BT.601 weights."""
    return np.asarray(x @ rgb(0.299, 0.587, 0.114), np.float32)[..., None]


def smoothstep(x: Floats, low: float, high: float) -> F32:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def saturate(x: Floats, amount: float) -> F32:
    grey = luma(x)
    return np.asarray(grey + amount * (x - grey), np.float32)


def contrast(x: Floats, amount: float) -> F32:
    """An S curve through black, mid grey and white, mixed in by `amount` (negative: flatter)."""
    x = np.clip(x, 0, 1)
    return np.asarray(x + amount * (x * x * (3 - 2 * x) - x), np.float32)


def power(x: Floats, gamma: float) -> F32:
    return np.asarray(np.clip(x, 0, 1) ** np.float32(gamma), np.float32)


def shoulder(x: Floats, knee: float = 0.75) -> F32:
    """Film's highlights: above the knee values bend towards 1 instead of clipping."""
    over = np.maximum(x - knee, 0) / (1 - knee)
    return np.asarray(np.where(x > knee, knee + (1 - knee) * (1 - np.exp(-over)), x), np.float32)


def screen(x: Floats, light: Floats) -> F32:
    """Lay light over the picture."""
    return np.asarray(1 - (1 - np.clip(x, 0, 1)) * (1 - np.clip(light, 0, 1)), np.float32)


def mix(x: Floats, y: Floats, share: Floats | float) -> F32:
    return np.asarray(x + share * (y - x), np.float32)


def three_tone(t: Floats, dark: Colour, middle: Colour, light: Colour) -> F32:
    """[..., 1] -> [..., 3]: a smooth curve (quadratic Bezier) through colour space, from dark to light."""
    t = np.clip(t, 0, 1)
    return np.asarray(
        (1 - t) ** 2 * rgb(*dark) + 2 * t * (1 - t) * rgb(*middle) + t * t * rgb(*light), np.float32
    )


def ramp(t: Floats, stops: list[Colour]) -> F32:
    """[..., 1] -> [..., 3]: colours evenly spaced over 0..1, linear between."""
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(t[..., 0], at, [s[c] for s in stops]) for c in range(3)], -1).astype(
        np.float32
    )


def chroma_range(x: Floats) -> F32:
    """[..., 3] -> [..., 1]: largest minus smallest channel, 0 for greys."""
    return np.asarray(x.max(-1, keepdims=True) - x.min(-1, keepdims=True), np.float32)


def hue_degrees(x: Floats) -> F32:
    """[..., 3] -> [..., 1]: hue of the HSV hexagon, 0..360; 0 for greys."""
    largest, spread = x.max(-1), x.max(-1) - x.min(-1)
    spread = np.maximum(spread, 1e-6)
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    sector = np.where(
        largest == red,
        (green - blue) / spread,
        np.where(largest == green, 2 + (blue - red) / spread, 4 + (red - green) / spread),
    )
    return np.asarray((60 * sector) % 360, np.float32)[..., None]


def hue_between(x: Floats, low: float, high: float, soft: float = 8.0) -> F32:
    """[..., 1] in 0..1: how far the hue lies between `low` and `high` degrees (across 0 if low < 0)."""
    centre, half = (low + high) / 2, (high - low) / 2
    away = np.abs((hue_degrees(x) - centre + 180) % 360 - 180)
    return 1 - smoothstep(away, half - soft, half + soft)


def colourful(x: Floats, low: float, high: float) -> F32:
    """[..., 1] in 0..1: rises with HSV saturation from `low` to `high`; dark noise has no colour."""
    spread = chroma_range(x)
    relative = spread / np.maximum(x.max(-1, keepdims=True), 0.15)
    return np.asarray(smoothstep(relative, low, high) * smoothstep(spread, 0.05, 0.14), np.float32)
