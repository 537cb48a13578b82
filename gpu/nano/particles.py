"""Rain and snow as cover maps that move with stream time: pure functions of size, seed and pts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gpu.types import CLOCK_HZ

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Drops:
    """One depth of rain, for a picture 640x480: near drops are fast, long and few."""

    speed: float  # px/s
    length: float  # px, what a shutter of some 1/40 s sees of the way down
    width: float  # px, standard deviation across the streak
    cover: float  # 0..1
    count: int


@dataclass(frozen=True, slots=True)
class Flakes:
    """One depth of snow, for a picture 640x480: the nearest are large, out of focus and pale."""

    speed: float  # px/s
    radius: float  # px
    soft: float  # share of the radius over which the edge fades
    cover: float  # 0..1
    count: int
    sway: float  # px to either side
    period: float  # s


RAIN = (
    Drops(1750, 46, 0.95, 0.72, 36),
    Drops(1400, 34, 0.75, 0.66, 84),
    Drops(1100, 25, 0.62, 0.56, 160),
    Drops(850, 17, 0.55, 0.46, 300),
    Drops(650, 11, 0.50, 0.34, 480),
)
SNOW = (
    Flakes(185, 8.5, 1.3, 0.34, 8, 34, 5.6),
    Flakes(150, 5.0, 1.4, 0.62, 24, 26, 4.7),
    Flakes(118, 3.4, 1.4, 0.90, 50, 20, 4.1),
    Flakes(94, 2.5, 1.3, 0.95, 90, 15, 4.9),
    Flakes(72, 1.8, 1.2, 0.90, 170, 11, 5.3),
    Flakes(53, 1.3, 1.1, 0.75, 300, 8, 6.1),
    Flakes(39, 0.9, 1.0, 0.55, 480, 6, 7.3),
)
SLANT = 0.11  # px sideways per px down, of rain and of the wind that carries snow
_SIZES_KEPT = 4  # sizes whose tiles outlive their streams: 12 MB each at 1280x720, 4 MB at 640x480


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
        self._starts = [(0, 0)] * (len(RAIN) + len(SNOW))
        if seed:  # every layer by itself, or another seed would only be another time
            rng = np.random.default_rng(seed)
            places = rng.integers((self.height, self.width), size=(len(self._starts), 2)).tolist()
            self._starts = [(int(top), int(left)) for top, left in places]

    def cover(self, pts: int, rain: bool, snow: bool) -> U8:
        """[H, W] uint8, how much of each pixel a drop or flake hides at that time."""
        seconds = pts / CLOCK_HZ
        out = np.zeros((self.height, self.width), np.uint8)
        if rain:
            for i, (tile, drops) in enumerate(zip(self._rain, RAIN, strict=True)):
                down = drops.speed * self._scale * seconds
                self._lay(out, tile, self._starts[i], down, -down * SLANT)
        if snow:
            for i, (tile, flakes) in enumerate(zip(self._snow, SNOW, strict=True), len(RAIN)):
                down = flakes.speed * self._scale * seconds
                right = (
                    flakes.sway * self._scale * math.sin(2 * math.pi * (seconds / flakes.period + 0.37 * i))
                )
                self._lay(out, tile, self._starts[i], down, right - down * SLANT)
        return out

    def _lay(self, out: U8, tile: U8, start: tuple[int, int], down: float, right: float) -> None:
        """The larger of `out` and the tile moved down and right; the tile goes on beyond its edges."""
        top, left = (start[0] + round(-down)) % self.height, (start[1] + round(-right)) % self.width
        row, column = self.height - top, self.width - left
        for to_rows, rows in ((slice(0, row), slice(top, None)), (slice(row, None), slice(0, top))):
            for to_columns, columns in (
                (slice(0, column), slice(left, None)),
                (slice(column, None), slice(0, left)),
            ):
                part = out[to_rows, to_columns]
                np.maximum(part, tile[rows, columns], out=part)


@lru_cache(maxsize=_SIZES_KEPT)
def _tiles(width: int, height: int) -> tuple[tuple[U8, ...], tuple[U8, ...]]:
    """Every layer of rain and of snow; read only, for the streams share them."""
    return (
        tuple(_rain_tile(width, height, layer) for layer in range(len(RAIN))),
        tuple(_snow_tile(width, height, layer) for layer in range(len(SNOW))),
    )


def _rain_tile(width: int, height: int, layer: int) -> U8:
    drops, scale = RAIN[layer], height / 480

    def streak(dy: F32, dx: F32, rng: np.random.Generator) -> F32:
        length = drops.length * scale * rng.uniform(0.6, 1.15)
        across = max(0.45, drops.width * scale * rng.uniform(0.8, 1.2))
        along = np.clip(dy / length + 0.5, 0, 1)
        # a drop brightens along its way and ends at its head
        fade = np.sin(np.pi * along).clip(0, 1) ** 0.8 * (0.55 + 0.45 * along)
        off = (dx + dy * SLANT) / across
        return np.asarray(drops.cover * rng.uniform(0.45, 1.0) * fade * np.exp(-0.5 * off * off), np.float32)

    reach = math.ceil(0.6 * drops.length * scale), math.ceil(0.6 * drops.length * scale * SLANT + 4 * scale)
    return _scatter(width, height, (0, 1, layer), drops.count, reach, streak)


def _snow_tile(width: int, height: int, layer: int) -> U8:
    flakes, scale = SNOW[layer], height / 480

    def flake(dy: F32, dx: F32, rng: np.random.Generator) -> F32:
        radius = max(0.8, flakes.radius * scale * rng.uniform(0.7, 1.25))
        turn, squeeze = rng.uniform(0, math.pi), rng.uniform(0.86, 1.0)
        x, y = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
        away = np.hypot(x / squeeze, y * squeeze) / radius
        # at least a pixel of edge, or small flakes would twinkle as they move
        edge = max(flakes.soft, 1.0 / radius)
        t = np.clip((1 + 0.4 * edge - away) / edge, 0, 1)
        return np.asarray(flakes.cover * rng.uniform(0.6, 1.0) * t * t * (3 - 2 * t), np.float32)

    reach = math.ceil(2.2 * flakes.radius * scale + 2)
    return _scatter(width, height, (0, 2, layer), flakes.count, (reach, reach), flake)


def _scatter(
    width: int,
    height: int,
    seed: tuple[int, int, int],
    count: int,
    reach: tuple[int, int],
    draw: Callable[[F32, F32, np.random.Generator], F32],
) -> U8:
    """A tile with `count` shapes for a picture 4:3; `draw` gives the cover at distances (down, right) from a
    shape's centre, up to `reach` px. Wraps around."""
    rng = np.random.default_rng(seed)
    tile = np.zeros((height, width), np.float32)
    down, right = (
        np.arange(-r, r + 1) for r in (min(reach[0], (height - 1) // 2), min(reach[1], (width - 1) // 2))
    )
    for _ in range(max(1, round(count * width / height * 0.75))):
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        dy, dx = (down - y % 1)[:, None].astype(np.float32), (right - x % 1)[None, :].astype(np.float32)
        index = np.ix_((int(y) + down) % height, (int(x) + right) % width)
        tile[index] = np.maximum(tile[index], draw(dy, dx, rng))
    bytes_ = np.round(tile.clip(0, 1) * 255).astype(np.uint8)
    bytes_.flags.writeable = False
    return bytes_
