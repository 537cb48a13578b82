"""Rain and snow as cover maps that move with stream time: pure functions of size, seed and pts."""

from __future__ import annotations

import math

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


class Particles:
    """The weather of one stream. Tiles are made at first use and repeat after one picture either way."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.width, self.height, self.seed = width, height, seed
        self._scale = height / 480
        self._rain: list[U8] = []
        self._snow: list[U8] = []

    def cover(self, pts: int, rain: bool, snow: bool) -> U8:
        """[H, W] uint8, how much of each pixel a drop or flake hides at that time."""
        seconds = pts / CLOCK_HZ
        out = np.zeros((self.height, self.width), np.uint8)
        if rain:
            self._rain = self._rain or [self._rain_tile(i) for i in range(len(_RAIN))]
            for tile, (speed, *_) in zip(self._rain, _RAIN, strict=True):
                down = speed * self._scale * seconds
                np.maximum(out, self._window(tile, down, -down * _RAIN_SLANT), out=out)
        if snow:
            self._snow = self._snow or [self._snow_tile(i) for i in range(len(_SNOW))]
            for i, (tile, (speed, *_)) in enumerate(zip(self._snow, _SNOW, strict=True)):
                sway = _SWAY_PX * self._scale * math.sin(2 * math.pi * seconds / (_SWAY_S + i) + i)
                np.maximum(out, self._window(tile, speed * self._scale * seconds, sway), out=out)
        return out

    def _window(self, tile: U8, down: float, right: float) -> U8:
        """The tile moved down and right: a view of the doubled tile, nothing is copied."""
        top, left = round(-down) % self.height, round(-right) % self.width
        return tile[top : top + self.height, left : left + self.width]

    def _rain_tile(self, layer: int) -> U8:
        _, length, cover, count = _RAIN[layer]
        rng = np.random.default_rng((self.seed, 1, layer))
        steps = max(3, round(length * self._scale))
        along = np.arange(steps, dtype=np.float64)
        fade = np.sin(np.pi * (along + 0.5) / steps) ** 0.7 * cover
        width = max(1, round(1.3 * self._scale))
        tile = np.zeros((self.height, self.width), np.float32)
        for y, x, weight in zip(*self._scatter(rng, count), rng.uniform(0.5, 1.0, count), strict=True):
            rows = (y + along).astype(int) % self.height
            for side in range(width):
                exact = x - along * _RAIN_SLANT + side
                left = np.floor(exact)
                part = exact - left
                np.maximum.at(tile, (rows, left.astype(int) % self.width), fade * (1 - part) * weight)
                np.maximum.at(tile, (rows, (left.astype(int) + 1) % self.width), fade * part * weight)
        return _double(tile)

    def _snow_tile(self, layer: int) -> U8:
        _, size, cover, count = _SNOW[layer]
        rng = np.random.default_rng((self.seed, 2, layer))
        tile = np.zeros((self.height, self.width), np.float32)
        for y, x, weight in zip(*self._scatter(rng, count), rng.uniform(0.7, 1.2, count), strict=True):
            radius = max(0.8, size * self._scale * weight)
            reach = math.ceil(radius + 1)
            span = np.arange(-reach, reach + 1)
            distance = np.hypot(*np.meshgrid(span - y % 1, span - x % 1, indexing="ij"))
            flake = np.clip(radius + 0.5 - distance, 0, 1) * cover
            index = np.ix_((int(y) + span) % self.height, (int(x) + span) % self.width)
            tile[index] = np.maximum(tile[index], flake)
        return _double(tile)

    def _scatter(
        self, rng: np.random.Generator, count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`count` places (rows, columns)."""
        return rng.uniform(0, self.height, count), rng.uniform(0, self.width, count)


def _double(tile: F32) -> U8:
    return np.tile(np.round(tile.clip(0, 1) * 255).astype(np.uint8), (2, 2))
