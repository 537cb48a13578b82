"""Sizes and fixed fields of `nano`: working size for a source, hatching and paper textures, coordinates.

The networks work on a *canvas*: luma [2h, 2w] and chroma [h, w], i.e. 4:2:0 like the source. Knows numpy
only; training and the run time share every line of it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# of [h, w]: above, the canvas has half the source's side
MOST_PIXELS = 320 * 240 * 27 // 20  # a 640x480 camera is worked on at its own size, and so is 848x480
MOST_PIXELS_PLUS = 640 * 360  # ... and so is 1280x720
LEAST_ENLARGED = 240 * 180  # pixels of a source
MULTIPLE = 4  # of w and h: the deepest level is at a quarter of [h, w]; twice as much on a fine canvas
REPEATS = 512  # pixels, after which textures repeat
# [4, 4] -1..1: by how much a pixel of pixel art is lighter, in order
DITHER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 8 - 15 / 16


def is_halved(width: int, height: int, most: int = MOST_PIXELS) -> bool:
    """Whether the canvas of a source of that size has half its side; else it is as large as the source.

    `most`: pixels of [h, w] that the model works on at the source's own size."""
    return width * height > 4 * most


def is_fine(width: int, height: int, most: int = MOST_PIXELS) -> bool:
    """Whether the canvas has more pixels than the networks were made for; see gpu.nano.coarse."""
    return is_halved(width, height) and not is_halved(width, height, most)


def is_small(width: int, height: int) -> bool:
    """Whether a source is worked on at twice its side (gpu.nano.enlarged): one whose canvas then is still no
    larger than is worked on. Of a picture even smaller nobody looks at the strokes."""
    return LEAST_ENLARGED <= width * height <= MOST_PIXELS


def working_size(width: int, height: int, most: int = MOST_PIXELS) -> tuple[int, int]:
    """(w, h) of the chroma canvas for a source of that size in pixels."""
    multiple = MULTIPLE * (1 + is_fine(width, height, most))
    step = 2 * multiple * (1 + is_halved(width, height, most))
    return multiple * math.ceil(width / step), multiple * math.ceil(height / step)


def padded_size(width: int, height: int, most: int = MOST_PIXELS) -> tuple[int, int]:
    """The source's own size, grown to what the canvas covers: edge pixels are repeated right and below."""
    scale = 2 * (1 + is_halved(width, height, most))
    w, h = working_size(width, height, most)
    return scale * w, scale * h


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
    strokes = rng.normal(size=(REPEATS, REPEATS))
    strokes = _smooth(strokes, 90, 1)  # long along the rows ...
    strokes = strokes / strokes.std()
    phase = np.arange(REPEATS)[:, None] * (2 * math.pi * 96 / REPEATS)
    lines = np.cos(phase + 0.9 * strokes) + 0.5 * strokes
    # ... then every column rolled by its number: 45 degrees, still periodic
    index = (np.arange(REPEATS)[:, None] + np.arange(REPEATS)[None, :]) % REPEATS
    return _unit(lines[index, np.arange(REPEATS)[None, :]])


def _grain_tile(seed: int, layers: tuple[tuple[int, float], ...]) -> F32:
    """Noise of several grain sizes (passes of smoothing, weight); periodic."""
    rng = np.random.default_rng(seed)
    field = np.zeros((REPEATS, REPEATS))
    for passes, weight in layers:
        layer = _smooth(_smooth(rng.normal(size=(REPEATS, REPEATS)), passes, 0), passes, 1)
        field += weight * layer / layer.std()
    return _unit(field)


def _dots_tile() -> F32:
    """A printer's screen at 45 degrees, 7 pixels from dot to dot; 1 in the middle of a dot."""
    at = np.arange(REPEATS) * (2 * math.pi * 52 / REPEATS)
    rows, cols = at[:, None], at[None, :]
    return ((np.cos(rows + cols) + np.cos(rows - cols)) / 2).astype(np.float32)


def _grid_tile() -> F32:
    """Ruled paper: 1 on fine lines every 32 pixels, -1 elsewhere."""
    line = np.arange(REPEATS) % 32 == 0
    return np.where(line[:, None] | line[None, :], 1.0, -1.0).astype(np.float32)


def _bayer_tile() -> F32:
    """A 4x4 ordered dither whose pixels are blocks of 8x8."""
    pattern = np.kron(DITHER, np.ones((8, 8), np.float32))
    return np.tile(pattern, (REPEATS // 32, REPEATS // 32))


def _make_tile(name: str) -> F32:
    if name == "hatch":
        return _hatch_tile()
    if name == "cross":  # the other way across, and elsewhere on the sheet
        return np.ascontiguousarray(np.roll(_hatch_tile(), 77, 1)[:, ::-1])
    if name == "paper":
        return _grain_tile(12, ((1, 0.6), (4, 1.0), (24, 0.8)))
    if name == "tooth":  # rough paper under a soft stick
        return _grain_tile(13, ((1, 1.0), (2, 0.8), (40, 0.25)))
    return {"dots": _dots_tile, "grid": _grid_tile, "bayer": _bayer_tile}[name]()


_tiles: dict[str, F32] = {}
# the two textures a drawing is made on; what is not here needs none
_TEXTURES: dict[str, tuple[str, str]] = {
    "pencil": ("hatch", "cross"),
    "charcoal": ("hatch", "tooth"),
    "ink": ("hatch", "cross"),
    "line_and_wash": ("paper", "tooth"),
    "comic": ("dots", "paper"),
    "blueprint": ("grid", "paper"),
    "chalkboard": ("hatch", "tooth"),
    "pixel_art": ("bayer", "paper"),
}


def _cut(names: tuple[str, str], w: int, h: int, x: int, y: int) -> F32:
    for name in names:
        if name not in _tiles:
            _tiles[name] = _make_tile(name)
    rows = (np.arange(2 * h) + y) % REPEATS
    cols = (np.arange(2 * w) + x) % REPEATS
    return np.stack([_tiles[name][np.ix_(rows, cols)] for name in names])


def textures(w: int, h: int, x: int = 0, y: int = 0) -> F32:
    """[2, 2h, 2w] hatching and paper in -1..1 for a canvas, cut from the endless sheet at (x, y)."""
    return _cut(("hatch", "paper"), w, h, x, y)


def textures_for(name: str, w: int, h: int, x: int = 0, y: int = 0) -> F32:
    """[2, 2h, 2w] in -1..1: the two textures that drawing is made on; zeros where it needs none."""
    if name not in _TEXTURES:
        return np.zeros((2, 2 * h, 2 * w), np.float32)
    return _cut(_TEXTURES[name], w, h, x, y)


def sheet_of(name: str) -> F32:
    """[1, 2, REPEATS + 2, REPEATS + 2] all of the sheet it is drawn on, and a pixel more on every side."""
    return textures_for(name, REPEATS // 2 + 1, REPEATS // 2 + 1, -1, -1)[None]


def folded(textures: F32) -> F32:
    """[2, 2h, 2w] -> [2, h/2, w, 8] as the graph of the drawings takes them: even rows of cells, then odd
    ones, of every cell four pixels of the first texture and four of the second."""
    _, height, width = textures.shape
    pixels = textures.reshape(2, height // 4, 2, 2, width // 2, 2)  # texture, row, odd, i, cell, j
    return np.ascontiguousarray(pixels.transpose(2, 1, 4, 0, 3, 5)).reshape(2, height // 4, width // 2, 8)


def unfolded(texture: F32) -> F32:
    """The inverse of `folded`."""
    _, rows, cells, _ = texture.shape
    pixels = texture.reshape(2, rows, cells, 2, 2, 2)  # odd, row, cell, texture, i, j
    return np.ascontiguousarray(pixels.transpose(3, 1, 0, 4, 2, 5)).reshape(2, 4 * rows, 2 * cells)
