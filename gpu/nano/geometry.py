"""Sizes and fixed fields of `nano`: working size for a source, hatching and paper textures, coordinates.

The network works on a *canvas*: luma [2h, 2w] and chroma [h, w], i.e. 4:2:0 like the source. Inside, luma is
folded to four channels at [h, w]. Knows numpy only; training and the run time share every line of it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gpu.nano.edits import EDIT_NAMES

F32 = NDArray[np.float32]

WORKING_PIXELS = 320 * 240  # about 15 ms a frame on two cores; a 640x480 camera is worked on at its own size
MULTIPLE = 4  # the deepest level is at a quarter of [h, w]
_TILE = 512  # pixels; textures repeat after this


def working_size(width: int, height: int) -> tuple[int, int]:
    """(w, h) of the chroma canvas for a source of that size in pixels: its shape, at most WORKING_PIXELS."""
    scale = min(0.5, math.sqrt(WORKING_PIXELS / (width * height)))
    w = max(MULTIPLE, round(width * scale / MULTIPLE) * MULTIPLE)
    h = max(MULTIPLE, round(height * scale / MULTIPLE) * MULTIPLE)
    return w, h


def fold(canvas: F32) -> F32:
    """[2h, 2w] -> [4, h, w], the four pixels of a 2x2 block as channels (the order of pixel_unshuffle)."""
    height, width = canvas.shape
    blocks = canvas.reshape(height // 2, 2, width // 2, 2)
    return np.ascontiguousarray(blocks.transpose(1, 3, 0, 2).reshape(4, height // 2, width // 2))


def coordinates(w: int, h: int) -> F32:
    """[2, h/2, w/2]: squared distance from the centre (0 centre, 1 corner) and height (0 top, 1 bottom)."""
    rows = (np.arange(h // 2, dtype=np.float32) + 0.5) / (h // 2)
    cols = (np.arange(w // 2, dtype=np.float32) + 0.5) / (w // 2)
    y, x = np.meshgrid(rows, cols, indexing="ij")
    radius = ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2.0
    return np.stack([radius, y]).astype(np.float32)


def _smooth(field: NDArray[np.float64], passes: int, axis: int) -> NDArray[np.float64]:
    for _ in range(passes):
        field = (np.roll(field, 1, axis) + 2 * field + np.roll(field, -1, axis)) / 4
    return field


def _unit(field: NDArray[np.float64]) -> F32:
    """Spread a field to about -1..1 with zero mean."""
    field = field - field.mean()
    return np.clip(field / (2.0 * field.std()), -1, 1).astype(np.float32)


def _hatch_tile() -> F32:
    """Diagonal strokes about 5 pixels apart, uneven like a hand's; periodic in both directions."""
    rng = np.random.default_rng(11)
    strokes = rng.normal(size=(_TILE, _TILE))
    strokes = _smooth(strokes, 90, 1)  # long along the rows ...
    strokes = strokes / strokes.std()
    phase = np.arange(_TILE)[:, None] * (2 * math.pi * 96 / _TILE)
    lines = np.cos(phase + 0.9 * strokes) + 0.5 * strokes
    # ... then every column rolled by its number: 45 degrees, still periodic
    index = (np.arange(_TILE)[:, None] + np.arange(_TILE)[None, :]) % _TILE
    return _unit(lines[index, np.arange(_TILE)[None, :]])


def _paper_tile() -> F32:
    """Tooth of paper: noise of three grain sizes; periodic."""
    rng = np.random.default_rng(12)
    field = np.zeros((_TILE, _TILE))
    for passes, weight in ((1, 0.6), (4, 1.0), (24, 0.8)):
        layer = _smooth(_smooth(rng.normal(size=(_TILE, _TILE)), passes, 0), passes, 1)
        field += weight * layer / layer.std()
    return _unit(field)


_tiles: list[F32] = []


def textures(w: int, h: int, x: int = 0, y: int = 0) -> F32:
    """[2, 2h, 2w] hatching and paper in -1..1 for a canvas, cut from the endless sheet at (x, y)."""
    if not _tiles:
        _tiles.extend((_hatch_tile(), _paper_tile()))
    rows = (np.arange(2 * h) + y) % _TILE
    cols = (np.arange(2 * w) + x) % _TILE
    return np.stack([tile[np.ix_(rows, cols)] for tile in _tiles])


_PENCIL = EDIT_NAMES.index("pencil")


def texture_weight(amounts: NDArray[np.floating]) -> np.float32:
    """0: the network is given the hatching, 1: the paper. Only pencil hatches."""
    return np.float32(1 - min(1.0, max(0.0, float(amounts[_PENCIL]))) ** 0.5)
