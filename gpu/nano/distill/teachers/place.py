"""Where a pixel is: fixed fields over the picture that teachers and networks share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.nano.geometry import coordinates, textures

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Place:
    """Fields over the picture, [H, W] each: squared distance from the centre, height, textures in -1..1."""

    radius: F32
    height: F32
    hatch: F32
    paper: F32


def place_of(width: int, height: int) -> Place:
    """The fields for a whole picture, as the run time has them."""
    w, h = width // 2, height // 2
    fields = [cv2.resize(f, (width, height), interpolation=cv2.INTER_LINEAR) for f in coordinates(w, h)]
    hatch, paper = textures(w, h)
    return Place(np.asarray(fields[0], np.float32), np.asarray(fields[1], np.float32), hatch, paper)
