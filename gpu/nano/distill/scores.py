"""One edit on one clip, in numbers: the model against its teacher, with and without its cache, and the
teacher frame by frame. Knows planes and pictures; runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpu.nano.distill.flow import Motion, fine_energy, flicker
from gpu.types import Frame

NOTHING = float("nan")


@dataclass(frozen=True, slots=True)
class Score:
    """Means over the frames of a clip; the clip the model saw is noisy, the teacher's reference is not."""

    clip: str
    edit: str
    psnr_db: float  # to the teacher of the clean frame, all planes, with the cache
    psnr_alone_db: float  # without
    energy: float  # fine energy of luma, model / teacher
    gram: float  # distance to the teacher as a share of the source's, painter's features; nan: no painting
    gram_bank: float  # the same by a fixed bank of filters
    flicker: float  # warping error per unit of fine energy, with the cache
    flicker_alone: float  # without
    flicker_teacher: float  # the teacher run on each noisy frame


def psnr(a: Frame, b: Frame) -> float:
    """Over all three planes, dB; 99 for equal ones."""
    planes = ((a.y, b.y), (a.u, b.u), (a.v, b.v))
    error = sum(float(((p.astype(np.float64) - q) ** 2).sum()) for p, q in planes)
    count = sum(p.size for p, _ in planes)
    return min(99.0, float(10 * np.log10(255**2 / max(error / count, 1e-12))))


def mean_psnr(made: Sequence[Frame], taught: Sequence[tuple[int, Frame]]) -> float:
    """Of the frames that the teacher's pictures are of."""
    return float(np.mean([psnr(made[index], frame) for index, frame in taught]))


def energy_ratio(made: Sequence[Frame], taught: Sequence[tuple[int, Frame]]) -> float:
    """Of the sums over frames: a dark frame does not decide."""
    own = sum(fine_energy(made[index].y) for index, _ in taught)
    return own / max(1e-6, sum(fine_energy(frame.y) for _, frame in taught))


def flickers(clips: Sequence[Sequence[Frame]], moved: Sequence[Motion]) -> list[float]:
    """Of each clip."""
    return [flicker([frame.y for frame in clip], moved) for clip in clips]
