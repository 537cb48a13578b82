"""Flicker: how much an edited clip changes where the clean clip, followed by optical flow, does not.

Knows planes and motion; knows nothing of models or teachers. Planes are luma uint8 [H, W].
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
BOOL = NDArray[np.bool_]

_ROUND_TRIP_PX = 0.7  # forth and back may miss by so much before a pixel counts as occluded ...
_ROUND_TRIP_SHARE = 0.05  # ... and by this share of its motion
_SAME_LEVELS = 10.0  # of 255: where the warped clean picture is off by more, the flow is wrong
_BORDER_PX = 8
_LEAST_ENERGY = 0.5  # of 255: below it there is no texture that could flicker


@dataclass(frozen=True, slots=True)
class Motion:
    """From one frame to the one before: where each pixel came from, and where that can be trusted."""

    x: F32  # [H, W] column in the frame before
    y: F32
    seen: BOOL  # [H, W]


def motion(before: U8, now: U8) -> Motion:
    """Dense inverse search flow between two clean luma planes, checked forth and back."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back = np.asarray(search.calc(now, before, None), np.float32)
    forth = np.asarray(search.calc(before, now, None), np.float32)
    height, width = now.shape
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = cols + back[..., 0], rows + back[..., 1]
    returned = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    missed, moved = np.hypot(*np.moveaxis(back + returned, -1, 0)), np.hypot(*np.moveaxis(back, -1, 0))
    seen = missed < _ROUND_TRIP_PX + _ROUND_TRIP_SHARE * moved
    seen &= np.abs(_warp(before, x, y) - now) < _SAME_LEVELS
    seen &= (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    seen[:_BORDER_PX], seen[-_BORDER_PX:], seen[:, :_BORDER_PX], seen[:, -_BORDER_PX:] = (False,) * 4
    return Motion(x, y, np.asarray(seen, np.bool_))


def motions(clean: Sequence[U8]) -> list[Motion]:
    """Of every frame but the first."""
    return [motion(a, b) for a, b in itertools.pairwise(clean)]


def _warp(plane: U8, x: F32, y: F32) -> F32:
    return np.asarray(cv2.remap(plane.astype(np.float32), x, y, cv2.INTER_CUBIC), np.float32)


def fine_energy(plane: U8) -> float:
    """Root mean square of what a 5x5 mean takes away, in levels of 255."""
    exact = plane.astype(np.float32)
    return float(np.sqrt(((exact - cv2.blur(exact, (5, 5))) ** 2).mean()))


def warping_error(clip: Sequence[U8], moved: Sequence[Motion]) -> float:
    """Mean |frame - frame before moved along| of what both show, in levels of 255; nan when there is none."""
    total, count = 0.0, 0
    for before, now, m in zip(clip[:-1], clip[1:], moved, strict=True):
        total += float(np.abs(now - _warp(before, m.x, m.y))[m.seen].sum())
        count += int(m.seen.sum())
    return total / count if count else float("nan")


def flicker(clip: Sequence[U8], moved: Sequence[Motion]) -> float:
    """Warping error per unit of fine energy: blur does not pass for calm."""
    energy = float(np.mean([fine_energy(plane) for plane in clip]))
    return warping_error(clip, moved) / max(_LEAST_ENERGY, energy)
