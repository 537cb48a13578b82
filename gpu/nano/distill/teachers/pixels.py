"""What a look sees of a picture: pixels, where they are, and the mean colour around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.nano.distill.teachers.place import Place

F32 = NDArray[np.float32]

HAZE_GRID = 8  # luma pixels to a cell of the wide blur
HAZE_SIGMA = 1.5  # of its Gaussian, in cells


@dataclass(frozen=True, slots=True)
class Pixels:
    """Any number of pixels: colour [..., 3], squared radius and height [..., 1], colour around [..., 3]."""

    rgb: F32
    radius: F32
    height: F32
    haze: F32


def haze(image: NDArray[Any]) -> F32:
    """[H, W, 3] -> [H, W, 3], of any range: the wide blur (about 12 px).

    Made on a coarse grid, as the network makes it."""
    height, width = image.shape[:2]
    grid = (-(-width // HAZE_GRID), -(-height // HAZE_GRID))
    coarse = cv2.resize(image, grid, interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (9, 9), HAZE_SIGMA, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def pixels_of(image: F32, place: Place) -> Pixels:
    """A picture RGB [H, W, 3] in 0..1 as pixels."""
    return Pixels(image, place.radius[..., None], place.height[..., None], haze(image))
