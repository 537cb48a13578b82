"""Where the pixels of pixel art lie: on a grid that goes along with the camera, in shift and zoom.

It stays upright, and in one piece: what moves by itself passes below it. Seen from a stand it lies still. A
line falls anywhere, and a canvas pixel that it crosses is shared by both sides. Knows motion and planes, no
colours. Where a line is, is counted in canvas pixels from the edge of the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpu.nano.coarse import halved
from gpu.nano.sheet import BLOCK, MOST_ZOOM, camera, texture_of

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SIDE = 8  # canvas pixels, of an art pixel where the grid lies straight
_CRISP = 2  # see `Lines.crisp`
_LEAST = 2  # canvas pixels of an art pixel at the border: what is less belongs to the one beside it
# Of a zoom so much goes in a frame in which the picture moves by a pixel or more, where nobody sees it go.
_EASES = 0.003


@dataclass(frozen=True, slots=True)
class Lines:
    """The art pixels along one side of a plane."""

    first: int  # number of the first of them in the endless grid
    between: F64  # [n-1] lines between n art pixels, rising, no two in one pixel
    size: int  # pixels, of that side

    @property
    def numbers(self) -> NDArray[np.intp]:
        """[n] of the art pixels in the endless grid."""
        return self.first + np.arange(len(self.between) + 1)

    @property
    def halved(self) -> Lines:
        """On a plane of half the size."""
        return Lines(self.first, self.between / 2, self.size // 2)

    @property
    def crisp(self) -> Lines:
        """As they are shown, nearer to the edges of pixels: soft squares are steadier, hard ones hop."""
        pixels = np.floor(self.between)
        return replace(self, between=pixels + np.clip(0.5 + _CRISP * (self.between - pixels - 0.5), 0, 1))

    def means(self, plane: F32, axis: int) -> F32:
        """[.., size, ..] -> [.., n, ..] of the art pixels along that axis."""
        plane = np.moveaxis(plane, axis, 0)
        crossed, share = self._crossed(plane.ndim)
        sums = np.add.reduceat(plane, np.concatenate([[0], crossed]), 0)
        passed = plane[crossed] * share
        sums[:-1] += passed
        sums[1:] -= passed
        long = np.diff(self.between, prepend=0, append=self.size).astype(np.float32)
        means = np.asarray(sums / long.reshape(-1, *(1,) * (plane.ndim - 1)), np.float32)
        return np.moveaxis(means, 0, axis)

    def spread(self, cells: F32, axis: int) -> F32:
        """[.., n, ..] -> [.., size, ..]: the inverse, in even colours."""
        cells = np.moveaxis(cells, axis, 0)
        crossed, share = self._crossed(cells.ndim)
        plane = np.repeat(cells, np.diff(crossed, prepend=0, append=self.size), 0)
        plane[crossed] += share * (cells[:-1] - cells[1:])
        return np.moveaxis(plane, 0, axis)

    def _crossed(self, axes: int) -> tuple[NDArray[np.intp], F32]:
        """[n-1] the pixels in which lines are, and [n-1, 1, ..] how much of them is before the line."""
        crossed = self.between.astype(np.intp)
        share = (self.between - crossed).astype(np.float32)
        return crossed, share.reshape(-1, *(1,) * (axes - 1))


@dataclass(frozen=True, slots=True)
class Lattice:
    """The art pixels of a plane."""

    rows: Lines
    columns: Lines

    @property
    def halved(self) -> Lattice:
        """On a plane of half the size."""
        return Lattice(self.rows.halved, self.columns.halved)

    @property
    def crisp(self) -> Lattice:
        """As it is shown."""
        return Lattice(self.rows.crisp, self.columns.crisp)

    def means(self, plane: F32) -> F32:
        """[H,W] -> [rows,columns]."""
        return self.columns.means(self.rows.means(plane, 0), 1)

    def spread(self, cells: F32) -> F32:
        """[rows,columns] -> [H,W]."""
        return self.rows.spread(self.columns.spread(cells, 1), 0)


@dataclass(slots=True)
class Grid:
    """The grid of one stream; a fresh one lies straight."""

    zoom: float = 1.0  # about the middle of the canvas: what of the grid lies there is ...
    shift: complex = 0j  # ... pixels right + 1j * down of its place

    def follow(self, flow: F32, share: F32, luma: F32) -> None:
        """One frame on: flow [2,h/4,w/4] in blocks and share [h/2,w/2] of the steadying, luma [2h,2w]."""
        share = halved(share)
        if not share.any():  # another scene: nothing to go along with, and nobody who saw how it lay
            self.zoom, self.shift = 1.0, 0j
            return
        step = (flow[0] + 1j * flow[1]).astype(np.complex64) * np.float32(BLOCK)
        zoom, shift = camera(step, share * texture_of(luma))
        self.shift += self.zoom * shift
        self.zoom *= zoom.real
        self.zoom **= 1 - _EASES * min(1.0, abs(shift))
        self.zoom = min(max(self.zoom, 1 / MOST_ZOOM), MOST_ZOOM)

    def lattice(self, high: int, wide: int) -> Lattice:
        """As it lies on a canvas of high x wide pixels."""
        return Lattice(self._lines(self.shift.imag, high), self._lines(self.shift.real, wide))

    def _lines(self, shift: float, size: int) -> Lines:
        reach = size / 2 * self.zoom
        first, last = (np.floor((shift + size / 2 + way * reach) / SIDE) for way in (-1, 1))
        numbers = np.arange(first, last + 2)
        lines = (numbers * SIDE - shift - size / 2) / self.zoom + size / 2
        inside = (lines >= _LEAST) & (lines <= size - _LEAST)
        return Lines(int(numbers[inside][0]) - 1, lines[inside], size)
