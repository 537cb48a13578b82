"""Do drops and flakes live on and move? Tracked in what a model gave for a still picture.

Knows frames only: what is new over the standing picture is followed from frame to frame.
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
Step = tuple[int, int]  # (down, right) in pixels from frame to frame

_CONTRAST = 10.0  # levels of 255 over the standing picture
_SMALLEST_PX = 4
_MOST = 200  # particles a frame, the largest
_LAYERS = 12  # speeds looked for: weather falls in up to seven depths, and steps are rounded to pixels
_APART_PX = 2  # two speeds differ at least so much
_REACH = (0.25, 0.06)  # of the height and width: fastest step that is looked for
_ALIKE = 0.7  # normalised correlation at which a particle counts as the same
_SLACK_PX = 1  # around a layer's step
_MARGIN_PX = 2  # around a particle


@dataclass(frozen=True, slots=True)
class Tracks:
    """Shares are of the particles whose next place lies inside the picture."""

    particles: float  # a frame
    persist: float  # share found again one step on, moved
    chance: float  # the same at steps taken backwards: what finds itself by accident
    step_px: float  # mean length of a step


def laid_over(frames: Sequence[U8]) -> list[F32]:
    """Luma [H, W] of frames of a still picture -> what is brighter than the standing picture, in levels."""
    stack = np.stack(frames).astype(np.float32)
    standing = np.median(stack, 0)
    return [np.maximum(frame - standing, 0).astype(np.float32) for frame in stack]


def track(covers: Sequence[F32]) -> Tracks:
    """Follow particles through frames [H, W]. Nothing to follow: no particles, persist 0."""
    found = back = total = 0
    lengths: list[float] = []
    count = 0
    for before, now in itertools.pairwise(covers):
        steps = _steps(before, now)
        mirrored = [(-down, right) for down, right in steps]
        blobs = _particles(before)
        count += len(blobs)
        for blob in blobs:
            hit, inside = _again(before, now, blob, steps)
            if not inside:
                continue
            total += 1
            back += _again(before, now, blob, mirrored)[0] is not None
            if hit is not None:
                found += 1
                lengths.append(float(np.hypot(*hit)))
    share = (found / total, back / total) if total else (0.0, 0.0)
    return Tracks(count / max(1, len(covers) - 1), *share, float(np.mean(lengths)) if lengths else 0.0)


def _steps(before: F32, now: F32) -> list[Step]:
    """The steps most of the picture agrees on, strongest first: peaks of the correlation, none at rest."""
    a, b = (np.fft.rfft2((c > _CONTRAST).astype(np.float32)) for c in (before, now))
    height, width = before.shape
    correlation = np.fft.irfft2(np.conj(a) * b, s=before.shape)
    down, side = round(height * _REACH[0]), round(width * _REACH[1])
    rows, cols = np.arange(-_SLACK_PX, down + 1), np.arange(-side, side + 1)
    peaks = correlation[np.ix_(rows, cols)] - cv2.blur(correlation, (9, 9))[np.ix_(rows, cols)]
    steps: list[Step] = []
    for place in np.argsort(peaks, axis=None)[::-1][:400]:
        row, col = np.unravel_index(place, peaks.shape)
        step = (int(rows[row]), int(cols[col]))
        if all(max(abs(step[0] - s[0]), abs(step[1] - s[1])) > _APART_PX for s in [(0, 0), *steps]):
            steps.append(step)
            if len(steps) == _LAYERS:
                break
    return steps


def _particles(cover: F32) -> list[tuple[int, int, int, int]]:
    """(top, left, bottom, right) of connected bright places, the largest first."""
    marked = (cover > _CONTRAST).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
    order = sorted(range(1, count), key=lambda i: -int(stats[i, cv2.CC_STAT_AREA]))
    boxes = []
    for i in order[:_MOST]:
        left, top, width, height, area = (int(n) for n in stats[i])
        if area >= _SMALLEST_PX:
            boxes.append((top, left, top + height, left + width))
    return boxes


def _again(
    before: F32, now: F32, box: tuple[int, int, int, int], steps: Sequence[Step]
) -> tuple[Step | None, bool]:
    """The step at which the particle is found again, and whether any step keeps it inside the picture."""
    height, width = before.shape
    top, left, bottom, right = (
        box[0] - _MARGIN_PX,
        box[1] - _MARGIN_PX,
        box[2] + _MARGIN_PX,
        box[3] + _MARGIN_PX,
    )
    if top < 0 or left < 0 or bottom > height or right > width:
        return None, False
    patch = before[top:bottom, left:right]
    least = max(_ALIKE, _alike(now[top:bottom, left:right], patch))  # what stays where it was does not move
    inside = False
    for down, side in steps:
        t, b = top + down - _SLACK_PX, bottom + down + _SLACK_PX
        near, far = left + side - _SLACK_PX, right + side + _SLACK_PX
        if t < 0 or near < 0 or b > height or far > width:
            continue
        inside = True
        if _alike(now[t:b, near:far], patch) >= least:
            return (down, side), True
    return None, inside


def _alike(there: F32, patch: F32) -> float:
    """Normalised correlation at the best place of `patch` in `there`."""
    return float(cv2.matchTemplate(there, patch, cv2.TM_CCOEFF_NORMED).max())
