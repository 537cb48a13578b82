"""What the looks learn from: random 2x2 cells of photographs and of made-up colours, and what the teachers
make of them. Knows the teachers, not the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.distill.pictures import U8
from gpu.nano.distill.teachers.local_colour import member
from gpu.nano.distill.teachers.looks import PLAIN, of_pixels
from gpu.nano.distill.teachers.pixels import Pixels, haze
from gpu.nano.edits import HUES

F32 = NDArray[np.float32]

INPUTS = 11  # four luma pixels, U, V, squared radius, height, luma, U and V around
KEPT = 16_384  # cells a data process holds
FRESH, EVERY = 512, 4  # of them made anew, every so many batches: teachers cost more than learning
BATCH = 2_048
INVENTED = 0.45  # share of cells whose colours are made up, so that nothing a camera sees is far off


@dataclass(frozen=True, slots=True)
class Sampled:
    """N cells: RGB [N, 4, 3] as a canvas can hold it, planes [N, 6], place [N, 2], colour around [N, 3]."""

    rgb: F32
    planes: F32
    place: F32
    haze: F32


def _photographed(pool: Sequence[U8], rng: np.random.Generator, count: int) -> tuple[F32, F32]:
    """Cells [N, 4, 3] of one photograph under a random light, and the colour around each [N, 3]."""
    image = pool[int(rng.integers(len(pool)))]
    rows, cols = min(image.shape[0], 480), min(image.shape[1], 640)
    top, left = rng.integers(image.shape[0] - rows + 1), rng.integers(image.shape[1] - cols + 1)
    crop = image[top : top + rows, left : left + cols]
    i, j = 2 * rng.integers(0, rows // 2, count), 2 * rng.integers(0, cols // 2, count)
    cells = np.stack([crop[i + down, j + right] for down in (0, 1) for right in (0, 1)], 1)
    gain, gamma = rng.uniform(0.55, 1.5) * rng.normal(1, 0.06, 3), rng.uniform(0.75, 1.4)

    def lit(x: NDArray[Any]) -> NDArray[np.float64]:
        return np.clip(x * (gain / 255), 0, 1) ** gamma

    noise = rng.uniform(0, 3 / 255) * rng.normal(size=cells.shape)
    # a blur of the lit picture would be the right one, but any surroundings may be learned from
    around = haze(crop)[i, j]
    return (lit(cells) + noise).astype(np.float32), lit(around).astype(np.float32)


def _invented(rng: np.random.Generator, count: int) -> tuple[F32, F32]:
    """Colours from all over the cube: even, edges, and greys; surroundings near or far."""
    base = rng.uniform(-0.05, 1.05, (count, 3))
    # evenly over hue, saturation and value: more dark and more pale colours than the cube has
    hue, saturation, value = rng.uniform(0, 1, (3, count, 1))
    pure = np.clip(np.abs((6 * hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    base = np.where(rng.random((count, 1)) < 0.4, value * (1 + saturation * (pure - 1)), base)
    grey = rng.random((count, 1)) < 0.2
    base = np.where(grey, base[:, :1] + rng.normal(0, 0.04, base.shape), base)
    spread = rng.choice([0.0, 0.01, 0.04, 0.15], (count, 1, 1))
    cells = base[:, None] + spread * rng.normal(size=(count, 4, 1)) * rng.normal(1, 0.25, (count, 1, 3))
    near = rng.random((count, 1)) < 0.6
    around = np.where(near, base + rng.normal(0, 0.08, base.shape), rng.uniform(0, 1, base.shape))
    return cells.astype(np.float32), np.clip(around, 0, 1).astype(np.float32)


def sample(pool: Sequence[U8], rng: np.random.Generator, count: int) -> Sampled:
    """`count` cells, as 4:2:0 holds them."""
    made_up = round(count * INVENTED)
    parts = [_invented(rng, made_up)]
    pictures = 4
    for i in range(pictures):
        share = (count - made_up) * (i + 1) // pictures - (count - made_up) * i // pictures
        parts.append(_photographed(pool, rng, share))
    cells, around = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    # as a strip of cells two pixels high, the canvas' own conversion does the subsampling
    strip = cells.clip(0, 1).reshape(count, 2, 2, 3).transpose(1, 0, 2, 3).reshape(2, 2 * count, 3)
    luma, chroma = rgb_to_planes(strip)
    luma, chroma = np.round(luma * 255) / np.float32(255), np.round(chroma * 255) / np.float32(255)
    seen = planes_to_rgb(luma, chroma)
    x, y = rng.uniform(0, 1, (2, count))
    place = np.stack([((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2, y], 1).astype(np.float32)
    planes = np.concatenate([unstrip(luma[..., None])[..., 0], chroma[:, 0].T], 1)
    return Sampled(unstrip(seen), planes, place, around)


def unstrip(strip: F32) -> F32:
    """[2, 2N, C] -> [N, 4, C]."""
    count, channels = strip.shape[1] // 2, strip.shape[2]
    return np.ascontiguousarray(strip.reshape(2, count, 2, channels).transpose(1, 0, 2, 3)).reshape(
        count, 4, channels
    )


def planes_of(cells: F32) -> F32:
    """RGB [N, 4, 3] -> [N, 6]: four luma pixels, U and V."""
    count = cells.shape[0]
    strip = cells.reshape(count, 2, 2, 3).transpose(1, 0, 2, 3).reshape(2, 2 * count, 3)
    luma, chroma = rgb_to_planes(strip)
    return np.concatenate([unstrip(luma[..., None])[..., 0], chroma[:, 0].T], 1)


def inputs_of(cells: Sampled) -> F32:
    """[N, INPUTS]."""
    around = planes_of(np.repeat(cells.haze[:, None], 4, 1))[:, [0, 4, 5]]
    return np.concatenate([cells.planes, cells.place, around], 1)


def plain_targets(cells: Sampled) -> F32:
    """[E, 6, N]: what every plain look, then colour_pop of every hue, adds to the planes."""
    count = cells.rgb.shape[0]
    place = np.repeat(cells.place[:, None, :, None], 4, 1)
    pixels = Pixels(cells.rgb, place[:, :, 0], place[:, :, 1], np.repeat(cells.haze[:, None], 4, 1))
    asked: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in PLAIN]
    asked += [("colour_pop", (hue,)) for hue in HUES]
    out = np.empty((len(asked), 6, count), np.float32)
    for i, (name, colours) in enumerate(asked):
        out[i] = (planes_of(of_pixels(name, pixels, colours)) - cells.planes).T
    return out


def recolour_targets(cells: Sampled) -> F32:
    """[E, 10, N] per hue: what is taken from the luma and what pigment there is of each pixel, what is taken
    from U and V; see gpu.nano.experts.mix_recolour."""
    count = cells.rgb.shape[0]
    shine = cells.rgb.min(-1)
    pigment = cells.rgb.max(-1) - shine
    out = np.empty((len(HUES), 10, count), np.float32)
    for i, hue in enumerate(HUES):
        of_it = member(cells.rgb, hue)[..., 0]
        taken = planes_of((1 - of_it)[..., None] * cells.rgb + (of_it * shine)[..., None]) - cells.planes
        out[i] = np.concatenate([taken[:, :4], of_it * pigment, taken[:, 4:]], 1).T
    return out


class Cells:
    """A reservoir of cells and what the teachers make of them, renewed a little with every batch."""

    def __init__(self) -> None:
        self._kept: tuple[NDArray[Any], ...] = ()  # each with cells along its last axis
        self._at = self._batches = 0

    def draw(self, pool: Sequence[U8], rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        """Inputs [INPUTS, B] float32, targets [E, 6, B] and [8, 10, B] float16."""
        if not self._kept:
            self._kept = self._make(pool, rng, KEPT)
        self._batches += 1
        if self._batches % EVERY == 0:
            where = slice(self._at, self._at + FRESH)
            self._at = (self._at + FRESH) % KEPT
            for kept, made in zip(self._kept, self._make(pool, rng, FRESH), strict=True):
                kept[..., where] = made
        picks = rng.integers(0, KEPT, BATCH)
        return tuple(kept[..., picks] for kept in self._kept)

    def _make(self, pool: Sequence[U8], rng: np.random.Generator, count: int) -> tuple[NDArray[Any], ...]:
        parts = [sample(pool, rng, FRESH) for _ in range(count // FRESH)]
        made = [
            (
                np.ascontiguousarray(inputs_of(cells).T),
                plain_targets(cells).astype(np.float16),
                recolour_targets(cells).astype(np.float16),
            )
            for cells in parts
        ]
        return tuple(np.concatenate(arrays, -1) for arrays in zip(*made, strict=True))
