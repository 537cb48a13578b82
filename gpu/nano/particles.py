"""Rain and snow as cover maps that move with stream time: pure functions of size, seed and pts."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gpu.types import CLOCK_HZ

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

# per layer, for a picture 480 high: speed (px/s), size (px), cover 0..1, how many
_RAIN = ((1500.0, 34, 0.75, 90), (1150.0, 24, 0.55, 150), (850.0, 15, 0.40, 240))
_RAIN_SLANT = 0.12  # px sideways per px down
_SNOW = ((130.0, 3.6, 1.0, 60), (85.0, 2.4, 0.9, 140), (55.0, 1.5, 0.75, 300))
_SWAY_PX, _SWAY_S = 14.0, 5.0
_SIZES_KEPT = 4  # sizes whose tiles outlive their streams: 22 MB each at 1280x720, 7 MB at 640x480


class Particles:
    """The weather of one stream. Tiles repeat after one picture either way; all streams of a size share them,
    and the seed says where in each the picture starts."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        """Makes the tiles of a size not seen lately: some 0.1 s at 640x480."""
        self.width, self.height = width, height
        self._scale = height / 480
        self._rain, self._snow = _tiles(width, height)
        self.place(seed)

    def place(self, seed: int) -> None:
        """Start elsewhere in the same tiles; cheap."""
        self.seed = seed
        self._starts = [(0, 0)] * (len(_RAIN) + len(_SNOW))
        if seed:  # every layer by itself, or another seed would only be another time
            rng = np.random.default_rng(seed)
            places = rng.integers((self.height, self.width), size=(len(self._starts), 2)).tolist()
            self._starts = [(int(top), int(left)) for top, left in places]

    def cover(self, pts: int, rain: bool, snow: bool) -> U8:
        """[H, W] uint8, how much of each pixel a drop or flake hides at that time."""
        seconds = pts / CLOCK_HZ
        out = np.zeros((self.height, self.width), np.uint8)
        if rain:
            starts = self._starts[: len(_RAIN)]
            for tile, start, (speed, *_) in zip(self._rain, starts, _RAIN, strict=True):
                down = speed * self._scale * seconds
                np.maximum(out, self._window(tile, start, down, -down * _RAIN_SLANT), out=out)
        if snow:
            starts = self._starts[len(_RAIN) :]
            for i, (tile, start, (speed, *_)) in enumerate(zip(self._snow, starts, _SNOW, strict=True)):
                sway = _SWAY_PX * self._scale * math.sin(2 * math.pi * seconds / (_SWAY_S + i) + i)
                np.maximum(out, self._window(tile, start, speed * self._scale * seconds, sway), out=out)
        return out

    def _window(self, tile: U8, start: tuple[int, int], down: float, right: float) -> U8:
        """The tile moved down and right: a view of the doubled tile, nothing is copied."""
        top, left = (start[0] + round(-down)) % self.height, (start[1] + round(-right)) % self.width
        return tile[top : top + self.height, left : left + self.width]


@lru_cache(maxsize=_SIZES_KEPT)
def _tiles(width: int, height: int) -> tuple[tuple[U8, ...], tuple[U8, ...]]:
    """Every layer of rain and of snow, doubled; read only, for the streams share them."""
    return (
        tuple(_rain_tile(width, height, layer) for layer in range(len(_RAIN))),
        tuple(_snow_tile(width, height, layer) for layer in range(len(_SNOW))),
    )


def _rain_tile(width: int, height: int, layer: int) -> U8:
    scale = height / 480
    _, length, cover, count = _RAIN[layer]
    rng = np.random.default_rng((0, 1, layer))
    steps = max(3, round(length * scale))
    along = np.arange(steps, dtype=np.float64)
    fade = np.sin(np.pi * (along + 0.5) / steps) ** 0.7 * cover
    thick = max(1, round(1.3 * scale))
    tile = np.zeros((height, width), np.float32)
    for y, x, weight in zip(*_scatter(rng, width, height, count), rng.uniform(0.5, 1.0, count), strict=True):
        rows = (y + along).astype(int) % height
        for side in range(thick):
            exact = x - along * _RAIN_SLANT + side
            left = np.floor(exact)
            part = exact - left
            np.maximum.at(tile, (rows, left.astype(int) % width), fade * (1 - part) * weight)
            np.maximum.at(tile, (rows, (left.astype(int) + 1) % width), fade * part * weight)
    return _double(tile)


def _snow_tile(width: int, height: int, layer: int) -> U8:
    scale = height / 480
    _, size, cover, count = _SNOW[layer]
    rng = np.random.default_rng((0, 2, layer))
    tile = np.zeros((height, width), np.float32)
    for y, x, weight in zip(*_scatter(rng, width, height, count), rng.uniform(0.7, 1.2, count), strict=True):
        radius = max(0.8, size * scale * weight)
        reach = math.ceil(radius + 1)
        span = np.arange(-reach, reach + 1)
        distance = np.hypot(*np.meshgrid(span - y % 1, span - x % 1, indexing="ij"))
        flake = np.clip(radius + 0.5 - distance, 0, 1) * cover
        index = np.ix_((int(y) + span) % height, (int(x) + span) % width)
        tile[index] = np.maximum(tile[index], flake)
    return _double(tile)


def _scatter(
    rng: np.random.Generator, width: int, height: int, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`count` places (rows, columns)."""
    return rng.uniform(0, height, count), rng.uniform(0, width, count)


def _double(tile: F32) -> U8:
    doubled = np.tile(np.round(tile.clip(0, 1) * 255).astype(np.uint8), (2, 2))
    doubled.flags.writeable = False
    return doubled
