"""Regaining: what steadying took from the edges of what moves is given back before it is drawn.

An edge carried along a fifth of a pixel beside its place is hidden in a photograph; as a line it would lie
beside its place, too. Noise has no mean: where the mean of a few pixels went farther from the camera's than
noise would take it, it was no noise. Where the picture stands still nothing is touched. Nothing is learned;
knows nothing of edits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.graphs import GraphShapes, export_graph, level
from gpu.nano.distill.motion import BLOCK, Spread
from gpu.nano.distill.steady import near

NOISE = 0.3  # times the picture's: by so much the mean of 3x3 pixels may be off; of noise alone it is a third
OUTPUTS = ("new_luma",)


class Regain(nn.Module):
    """The exported graph. `native`: the source is the canvas; else it has twice its side."""

    def __init__(self, native: bool) -> None:
        super().__init__()
        self.native, self.spread = native, Spread(BLOCK)

    def forward(
        self,
        y: Tensor,  # uint8 [1,1,H,W] the camera's
        luma: Tensor,  # [1,1,2h,2w] steadied
        mask: Tensor,  # [1,1,2h,2w] 0..1 where it is drawn; elsewhere luma stays
        gate: Tensor,  # [1,1,h/4,w/4] of the steadying
    ) -> Tensor:
        camera = level(y) if self.native else F.avg_pool2d(level(y), 2)
        taken = luma - camera
        most = NOISE * taken.abs().mean((2, 3), keepdim=True)
        mean = near(taken)
        return luma - self.spread(1 - gate) * mask * (mean - torch.minimum(torch.maximum(mean, -most), most))


# {file: the source is the canvas}
FILES: Mapping[str, bool] = {"regain.onnx": True, "regain_half.onnx": False}


def export(weights: Path) -> None:
    """Write the graphs into the weights folder."""
    for file, native in FILES.items():
        height, width = (48, 64) if native else (96, 128)
        examples = {
            "y": torch.zeros(1, 1, height, width, dtype=torch.uint8),
            "luma": torch.rand(1, 1, 48, 64),
            "mask": torch.ones(1, 1, 48, 64),
            "gate": torch.zeros(1, 1, 6, 8),
        }
        canvas = {2: "H", 3: "W"} if native else {2: "H2", 3: "W2"}
        sizes: GraphShapes = {
            "y": {2: "H", 3: "W"}, "luma": canvas, "mask": canvas, "gate": {2: "gh", 3: "gw"},
            "new_luma": canvas,
        }  # fmt: skip
        export_graph(Regain(native), examples, OUTPUTS, sizes, weights / file)
