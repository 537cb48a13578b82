"""Contact sheets: teacher above network for every edit on one picture. Needs the `distill` extra."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.edits import EDIT_NAMES
from gpu.nano.geometry import coordinates, texture_weight, textures
from gpu.nano.network import Core
from gpu.nano.teachers import apply, place_of

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def edit_picture(core: Core, image: F32, amounts: F32) -> F32:
    """Run the editor on RGB [2h, 2w, 3] without a cache."""
    luma, chroma = rgb_to_planes(image)
    height, width = luma.shape
    hatch, paper = textures(width // 2, height // 2)
    texture = hatch + texture_weight(amounts) * (paper - hatch)
    with torch.no_grad():
        new, new_chroma, _, _ = core(
            torch.from_numpy(luma)[None, None],
            torch.from_numpy(chroma)[None],
            torch.from_numpy(amounts)[None],
            torch.from_numpy(texture)[None, None],
            torch.from_numpy(coordinates(width // 2, height // 2))[None],
        )
    return planes_to_rgb(new[0, 0].clamp(0, 1).numpy(), new_chroma[0].clamp(0, 1).numpy())


def contact_sheet(core: Core, pictures: Sequence[U8], width: int = 320, height: int = 240) -> U8:
    """[H, W, 3]: per edit the teacher, below it the network, pictures taken in turn."""
    tiles: list[U8] = []
    place = place_of(width, height)
    for index, name in enumerate(EDIT_NAMES):
        picture = pictures[index % len(pictures)]
        scale = max(width / picture.shape[1], height / picture.shape[0])
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.asarray(picture[:height, :width] / 255, np.float32)
        if image.shape[:2] != (height, width):
            image = np.asarray(cv2.resize(image, (width, height)), np.float32)
        amounts = np.zeros(len(EDIT_NAMES), np.float32)
        amounts[index] = 1
        pair = np.vstack([apply(image, amounts, place), edit_picture(core, image, amounts)])
        tile = np.ascontiguousarray((pair.clip(0, 1) * 255).astype(np.uint8))
        tiles.append(
            cv2.putText(tile, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 60, 60), 1).astype(
                np.uint8
            )
        )
    rows = [np.hstack(tiles[i : i + 5]) for i in range(0, len(tiles), 5)]
    return np.vstack(rows)
