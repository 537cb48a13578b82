"""Where the sheet lies that a drawing is drawn on: it goes along with the picture, as paper filmed too would.

The sheet follows the camera as one: it is shifted, turned and a little zoomed by the motion that most of the
picture agrees on. What moves by itself, a head before a wall, takes its piece of the sheet along; such a
piece eases back into the whole where the picture moves and it is hard to see. Seen from a stand nothing moves
at all. Knows motion; knows neither drawings nor engines. Places are complex: pixels right + 1j * down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpu.nano.coarse import halved
from gpu.nano.geometry import REPEATS

F32 = NDArray[np.float32]
C64 = NDArray[np.complex64]
P = TypeVar("P", bound=NDArray[Any])

BLOCK = 8  # pixels, side of the cells of a flow
MOST_ZOOM = 1.25  # of the sheet, in and out: hatching of another size is another drawing
_FLAT, _TEXTURED = 4 / 255, 16 / 255  # contrast of a cell: below there is nothing to follow, above enough
_AROUND = (0.05, 0.3)  # of such cells around one: none of its motion is believed, all of it
_SURE, _LOST = 0.2, 0.1  # share of the steadying: from there on it is believed; below, a cell is uncovered
_STANDS = 0.25  # share of what can be followed: where so much stands still, the camera does
_MOST_TURN = 0.1  # and zoom between two frames: more was misread
_ROUNDS, _MISSES = 5, 0.15  # of fitting the camera's motion, and pixels by which a cell may miss it
_AGREES, _APART = 0.15, 0.30  # pixels apart from the camera: a cell goes along with it, it does not
# In a frame in which the picture moves by a pixel or more a piece gives up so much of its own way, more where
# that is long; it evens out so much of how it differs from those around: nothing is stretched far.
_EASES, _FAR, _MOST_EASE, _SMOOTHS = 0.02, 80.0, 0.3, 0.5


@dataclass(slots=True)
class Sheet:
    """The sheet of one stream; fresh ones lie straight."""

    zoom: complex = 1 + 0j  # of the whole: scale and turn about the middle of the canvas ...
    shift: complex = 0j  # ... and what of the sheet lies there, counted from the middle
    own: C64 | None = None  # [h/4,w/4] by how much cells are apart from the whole
    moves: int = 0  # counts up whenever it lies otherwise

    def follow(self, flow: F32, share: F32, luma: F32) -> None:
        """One frame on: flow [2,h/4,w/4] in blocks and share [h/2,w/2] of the steadying, luma [2h,2w]."""
        high, wide = flow.shape[1:]
        step = (flow[0] + 1j * flow[1]).astype(np.complex64) * np.float32(BLOCK)
        share = halved(share)
        own = np.zeros_like(step) if self.own is None else self.own
        if not share.any():  # another scene, or the first: nothing to go along with
            self.own = None
            self.moves += bool(own.any())
            return
        textured = texture_of(luma)
        sure = np.minimum(share / np.float32(_SURE), 1)
        zoom, shift = camera(step, share * textured)
        middle = _from_middle(high, wide)
        whole = ((zoom - 1) * middle + shift).astype(np.complex64)
        apart = step - whole
        apart *= sure * _ramp(_near(_near(textured)), *_AROUND) * _ramp(np.abs(apart), _AGREES, _APART)
        step = whole + apart
        if not (step.any() or own.any()):
            return
        own = _carried(own, step) + np.complex64(self.zoom) * apart
        eases = np.float32(_EASES) + np.square(np.abs(own) / np.float32(_FAR))
        eased = np.float32(_SMOOTHS) * (_near(own) - own) - np.minimum(eases, np.float32(_MOST_EASE)) * own
        own += np.minimum(np.maximum(np.abs(step), np.abs(apart)), 1) * eased
        own *= (1 + np.minimum(share / np.float32(_LOST), 1)) / 2  # uncovered: nothing to hold on to
        self.shift += self.zoom * shift
        self.shift = complex(self.shift.real % REPEATS, self.shift.imag % REPEATS)
        self.zoom *= zoom
        self.zoom *= min(max(abs(self.zoom), 1 / MOST_ZOOM), MOST_ZOOM) / abs(self.zoom)
        self.own = own
        self.moves += bool(step.any())

    def lies(self, high: int, wide: int, bends: bool = True) -> F32:
        """[1,2,high,wide] how far right and down of its place in pixels the sheet under each cell is; of one
        that does not bend, as the camera took it along."""
        middle = _from_middle(high, wide)
        away = (self.zoom - 1) * middle + self.shift
        if bends and self.own is not None:
            away = away + self.own
        return np.stack([away.real, away.imag])[None].astype(np.float32)


def camera(step: C64, weight: F32) -> tuple[complex, complex]:
    """(zoom, shift) of the motion that most of the weight agrees on, zoom * place + shift counted from the
    middle; (1, 0) where enough stands still. What moves otherwise hardly counts."""
    high, wide = step.shape
    if weight[step == 0].sum() >= _STANDS * weight.sum():
        return 1 + 0j, 0j
    place, every = _from_middle(high, wide), np.s_[:: 1 + (high >= 32), :: 1 + (wide >= 32)]
    if weight[every].any():  # else all that there is to follow lies between those: a light in the dark
        place, step, weight = place[every], step[every], weight[every]
    turn, shift = 0j, complex(_median(step.real, weight), _median(step.imag, weight))
    for _ in range(_ROUNDS):
        miss = np.abs(step - turn * place - shift)
        scale = max(_MISSES, _median(miss, weight))
        counts = weight / (1 + (miss / scale) ** 2) ** 2
        total = float(counts.sum())
        at, to = (counts * place).sum() / total, (counts * step).sum() / total
        spread = float((counts * np.abs(place - at) ** 2).sum()) + 1e-3 * total * BLOCK**2
        turn = complex((counts * np.conj(place - at) * (step - to)).sum() / spread)
        shift = complex(to - turn * at)
        if abs(turn) > _MOST_TURN:
            return 1 + 0j, complex(to)
    return 1 + turn, shift


def _from_middle(high: int, wide: int) -> C64:
    """[high,wide] the middle of each cell, counted from the canvas'."""
    rows = (np.arange(high, dtype=np.float32) + np.float32(0.5 - high / 2)) * BLOCK
    columns = (np.arange(wide, dtype=np.float32) + np.float32(0.5 - wide / 2)) * BLOCK
    return (columns[None] + 1j * rows[:, None]).astype(np.complex64)


def _median(values: F32, weight: F32) -> float:
    """Half of the weight is on either side."""
    order = np.argsort(values, axis=None)
    heaped = np.cumsum(weight.ravel()[order])
    return float(values.ravel()[order[np.searchsorted(heaped, heaped[-1] / 2)]])


def texture_of(luma: F32) -> F32:
    """[2h,2w] -> [h/4,w/4] 0..1: how much there is to follow. Every fourth pixel is looked at."""
    few = luma[2::4, 2::4]
    contrast = np.zeros_like(few)
    contrast[:, 1:] += np.abs(few[:, 1:] - few[:, :-1])
    contrast[1:] += np.abs(few[1:] - few[:-1])
    return _ramp(halved(contrast), _FLAT, _TEXTURED)


def _ramp(values: F32, low: float, high: float) -> F32:
    """0 up to `low`, 1 from `high` on."""
    return np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)


def _near(plane: P) -> P:
    """Mean of 3x3, edges repeated."""
    wide = np.pad(plane, 1, "edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    near: P = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return near


def _carried(plane: C64, step: C64) -> C64:
    """Each cell as it was where it came from, linear in between, edges repeated."""
    if not plane.any():
        return plane.copy()
    high, wide = plane.shape
    rows = np.clip(np.arange(high, dtype=np.float32)[:, None] + step.imag / BLOCK, 0, high - 1)
    columns = np.clip(np.arange(wide, dtype=np.float32)[None] + step.real / BLOCK, 0, wide - 1)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    below, right = np.minimum(top + 1, high - 1), np.minimum(left + 1, wide - 1)
    down, across = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    upper = plane[top, left] + across * (plane[top, right] - plane[top, left])
    lower = plane[below, left] + across * (plane[below, right] - plane[below, left])
    return np.asarray(upper + down * (lower - upper), np.complex64)
