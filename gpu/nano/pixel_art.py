"""Pixel art: a program, nothing learned. Few lights, dithered, and few hues, on the art pixels of a lattice.

The same as its teacher (gpu.nano.distill.teachers.drawings), in the canvas' planes. Knows numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpu.nano.geometry import DITHER
from gpu.nano.grid import Lattice

F32 = NDArray[np.float32]

NAME = "pixel_art"  # of the edit
_LIGHTS, _HUES = 7, 9  # levels of light, and of a colour difference between 0 and 1
_SOFT_LIGHT, _SOFT_HUE = 0.12, 0.15  # half of a step's width, of a level
_VIVID, _DITHER = 1.5, 0.035
_KR, _KG, _KB = 0.299, 0.587, 0.114  # BT.601, limited range
_BLACK, _GREY, _Y, _C = 16 / 255, 128 / 255, 219 / 255, 224 / 255
_TO_RED, _TO_BLUE = 2 * (1 - _KR) / _C, 2 * (1 - _KB) / _C


def made_of(luma: F32, chroma: F32, lattice: Lattice) -> tuple[F32, F32]:
    """Luma [H,W] and chroma [2,H/2,W/2], 0..1 of a byte, as pixel art."""
    halved = lattice.halved
    level = (lattice.means(luma) - np.float32(_BLACK)) / np.float32(_Y)
    blue, red = (
        _hues((halved.means(plane) - np.float32(_GREY)) * np.float32(_VIVID * to))
        for plane, to in zip(chroma, (_TO_BLUE, _TO_RED), strict=True)
    )
    bright = _smoothstep((level + np.float32(0.15)) / np.float32(1.2))
    light = _steps(bright + np.float32(_DITHER) * _order(lattice), _LIGHTS, _SOFT_LIGHT)
    rest = np.float32(_KR / _KG) * red + np.float32(_KB / _KG) * blue
    red, green, blue = _within(light + red), _within(light - rest), _within(light + blue)
    light = np.float32(_KR) * red + np.float32(_KG) * green + np.float32(_KB) * blue
    tints = [(blue - light) / np.float32(_TO_BLUE), (red - light) / np.float32(_TO_RED)]
    crisp = lattice.crisp
    return (
        crisp.spread(light * np.float32(_Y) + np.float32(_BLACK)),
        np.stack([crisp.halved.spread(tint + np.float32(_GREY)) for tint in tints]),
    )


def _order(lattice: Lattice) -> F32:
    """[rows,columns] -1..1 of each art pixel in its dither, which goes along with the grid."""
    high, wide = DITHER.shape
    return np.asarray(DITHER[np.ix_(lattice.rows.numbers % high, lattice.columns.numbers % wide)], np.float32)


def _hues(difference: F32) -> F32:
    """A colour difference, to the levels around none."""
    middle = np.float32(0.5 / _HUES)
    return _steps(difference + middle, _HUES, _SOFT_HUE) - middle


def _steps(plane: F32, levels: int, soft: float) -> F32:
    """To the middles of so many levels between 0 and 1, in soft steps."""
    scaled = plane * np.float32(levels) - np.float32(0.5)
    base = np.floor(scaled)
    step = _smoothstep((scaled - base - np.float32(0.5 - soft)) / np.float32(2 * soft))
    return np.asarray((base + step + np.float32(0.5)) / np.float32(levels), np.float32)


def _smoothstep(plane: F32) -> F32:
    """0 up to 0, 1 from 1 on."""
    plane = _within(plane)
    return np.asarray(plane * plane * (3 - 2 * plane), np.float32)


def _within(plane: F32) -> F32:
    return np.asarray(np.clip(plane, 0, 1), np.float32)
