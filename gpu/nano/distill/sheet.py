"""Laying the sheet of a drawing as it lies (gpu.nano.sheet): its textures, looked up pixel by pixel.

Linear between the sheet's pixels, and between the cells that say how it lies. Comes out folded as the graph
of the drawings takes it (gpu.nano.geometry.folded): the convolution that enlarges the cells gives its pixels
in that order, which costs nothing. Nothing is learned.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.graphs import GraphShapes, export_graph
from gpu.nano.distill.motion import BLOCK, places, taps
from gpu.nano.geometry import REPEATS

OUTPUTS = ("texture",)


class Lay(nn.Module):
    """The exported graph."""

    def __init__(self) -> None:
        super().__init__()
        taken = taps(BLOCK).reshape(2, 2, 2, 4, 2, 3, 3)  # row pair, odd, i, cell, j of a block's pixels
        taken = taken.permute(1, 0, 3, 2, 4, 5, 6).reshape(-1, 3, 3)  # odd, row pair, cell, i, j
        kernel = torch.zeros(2 * len(taken), 2, 3, 3)
        kernel[0::2, 0], kernel[1::2, 1] = taken, taken
        self.register_buffer("kernel", kernel)

    def forward(
        self,
        tile: Tensor,  # [1,2,REPEATS + 2,REPEATS + 2] the sheet's two textures, a pixel more on every side
        lies: Tensor,  # [1,2,h/4,w/4] how far right and down of its place the sheet under a cell is, pixels
    ) -> Tensor:
        """[2,h/2,w,8]."""
        high, wide = lies.shape[2:]
        where = places(lies, 1) + F.pad(lies, (1, 1, 1, 1), "replicate") / BLOCK
        fine = F.conv2d(where, cast(Tensor, self.kernel)).reshape(2, 2, 8 * BLOCK // 2, high, wide)
        fine = fine.permute(0, 3, 1, 4, 2).reshape(1, 4 * high, 2 * BLOCK * wide, 2)  # 4 high = 2 * h/2
        at = (fine + 0.5) * BLOCK - 0.5  # pixels of the endless sheet
        at = at - torch.floor(at / REPEATS) * REPEATS
        lookup = (2 * at + 3) / (REPEATS + 2) - 1
        texture = F.grid_sample(tile, lookup, mode="bilinear", padding_mode="border", align_corners=False)
        cells = texture.reshape(2, -1, 4).permute(1, 0, 2)
        return cells.reshape(2, 2 * high, 4 * wide, 8)


def export(weights: Path) -> None:
    """Write `sheet.onnx` into the weights folder."""
    examples = {"tile": torch.rand(1, 2, REPEATS + 2, REPEATS + 2), "lies": torch.zeros(1, 2, 6, 8)}
    sizes: GraphShapes = {"lies": {2: "gh", 3: "gw"}, "texture": {1: "rows", 2: "w"}}
    export_graph(Lay(), examples, OUTPUTS, sizes, weights / "sheet.onnx")
