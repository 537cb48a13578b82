"""Contact sheets: for each edit the teacher left and the student right, with its name. Small PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

TILE = (208, 156)  # pixels, one picture
COLUMNS = 3
LEVELS = 18  # of each channel: keeps the files small
_BAR = 16  # pixels, for the name


@dataclass(frozen=True, slots=True)
class Pair:
    """One edit on one picture, RGB 0..1 [H, W, 3]."""

    label: str
    teacher: F32
    student: F32


def _small(image: F32) -> U8:
    small = cv2.resize(image.clip(0, 1), TILE, interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(small * 255), np.uint8)


def sheet(pairs: Sequence[Pair]) -> U8:
    """RGB [H, W, 3]."""
    tiles = []
    for pair in pairs:
        tile = np.full((TILE[1] + _BAR, 2 * TILE[0] + 6, 3), 255, np.uint8)
        tile[_BAR:, : TILE[0]], tile[_BAR:, TILE[0] + 2 : 2 * TILE[0] + 2] = (
            _small(pair.teacher),
            _small(pair.student),
        )
        cv2.putText(tile, pair.label, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20), 1, cv2.LINE_AA)
        tiles.append(tile)
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    return np.vstack([np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)])


def write(path: Path, pairs: Sequence[Pair]) -> None:
    """A PNG of few levels; atomic. A palette would be smaller, and mix up the colours of different edits."""
    image = sheet(pairs)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp.png")
    step = 255 / (LEVELS - 1)
    few = np.round(np.round(image / step) * step).astype(np.uint8)
    cv2.imwrite(str(partial), few[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    partial.replace(path)
