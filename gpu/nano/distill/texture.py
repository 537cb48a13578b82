"""How far two pictures' textures are apart: Gram matrices of a fixed bank of filters.

Nothing is learned here and no network was trained on it: a second opinion beside the Gram distance in
the features of the styles' teacher. Pictures are RGB float32 [H, W, 3] in 0..1.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

_ORIENTATIONS = 4
_WAVELENGTH, _SIDE = 4.0, 9  # pixels of each level
_LEVELS = 3  # 4, 8 and 16 pixels: hatching, strokes, dabs
_OPPONENTS = np.array([[0.299, 0.587, 0.114], [0.5, -0.5, 0.0], [0.25, 0.25, -0.5]], np.float32)


@lru_cache(maxsize=1)
def _bank() -> tuple[F32, ...]:
    """Even and odd Gabor filters; the even ones without mean."""
    filters = []
    for turn in range(_ORIENTATIONS):
        for phase in (0.0, math.pi / 2):
            angle = math.pi * turn / _ORIENTATIONS
            kernel = cv2.getGaborKernel((_SIDE, _SIDE), 1.8, angle, _WAVELENGTH, 0.7, phase)
            kernel = kernel - kernel.mean()
            filters.append(np.asarray(kernel / np.abs(kernel).sum(), np.float32))
    return tuple(filters)


def gram(image: F32) -> F32:
    """[levels, F, F]: how often which filters answer together, and with which colours."""
    matrices = []
    for _ in range(_LEVELS):
        planes = np.ascontiguousarray((image @ _OPPONENTS.T).astype(np.float32))
        luma = planes[..., 0]
        features = [np.abs(cv2.filter2D(luma, -1, kernel)) * 8 for kernel in _bank()]
        features += [luma - 0.5, planes[..., 1] * 2, planes[..., 2] * 2, np.full_like(luma, 0.25)]
        rows = np.stack(features).reshape(len(features), -1)
        matrices.append(rows @ rows.T / rows.shape[1])
        image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
    return np.stack(matrices).astype(np.float32)


def distance(a: F32, b: F32) -> float:
    """Frobenius norm of the difference."""
    return float(np.linalg.norm(a - b))


def share(student: F32, teacher: F32, source: F32) -> float:
    """Distance to the teacher as a share of the source's: 0 is its texture, 1 as far as the source."""
    target = gram(teacher)
    return distance(gram(student), target) / max(1e-9, distance(gram(source), target))
