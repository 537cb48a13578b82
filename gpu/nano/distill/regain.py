"""Regaining: what steadying took from the edges of what moves is given back before it is drawn.

An edge carried along a fifth of a pixel beside its place is hidden in a photograph; as a line it would lie
beside its place, too. So the mean of 3x3 pixels becomes the camera's again, with a third of its noise. Where
the picture stands still nothing is touched. Nothing is learned; knows nothing of edits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.graphs import GraphShapes, export_graph, level, mean_of_3x3, shrink
from gpu.nano.distill.motion import BLOCK, Spread

OUTPUTS = ("new_luma", "new_chroma")


class Regain(nn.Module):
    """The exported graph. `native`: the source is the canvas; else it has twice its side."""

    def __init__(self, native: bool) -> None:
        super().__init__()
        self.native, self.spread, self.chroma_spread = native, Spread(BLOCK), Spread(BLOCK // 2)

    def forward(
        self,
        y: Tensor,  # uint8 [1,1,H,W] the camera's
        uv: Tensor,  # uint8 [1,2,H/2,W/2]
        luma: Tensor,  # [1,1,2h,2w] steadied
        chroma: Tensor,  # [1,2,h,w]
        mask: Tensor,  # [1,1,2h,2w] 0..1 where it is drawn; elsewhere the canvas stays
        gate: Tensor,  # [1,1,h/4,w/4] of the steadying
    ) -> tuple[Tensor, Tensor]:
        camera, tint, moves = level(y), level(uv), 1 - gate
        if not self.native:
            camera, tint = F.avg_pool2d(camera, 2), shrink(tint, 2)
        where, there = self.spread(moves) * mask, self.chroma_spread(moves) * F.avg_pool2d(mask, 2)
        return luma + where * mean_of_3x3(camera - luma), chroma + there * mean_of_3x3(tint - chroma)


# {file: the source is the canvas}
FILES: Mapping[str, bool] = {"regain.onnx": True, "regain_half.onnx": False}


def export(weights: Path) -> None:
    """Write the graphs into the weights folder."""
    for file, native in FILES.items():
        height, width = (48, 64) if native else (96, 128)
        examples = {
            "y": torch.zeros(1, 1, height, width, dtype=torch.uint8),
            "uv": torch.zeros(1, 2, height // 2, width // 2, dtype=torch.uint8),
            "luma": torch.rand(1, 1, 48, 64),
            "chroma": torch.rand(1, 2, 24, 32),
            "mask": torch.ones(1, 1, 48, 64),
            "gate": torch.zeros(1, 1, 6, 8),
        }
        canvas, half = (
            ({2: "H", 3: "W"}, {2: "h", 3: "w"}) if native else ({2: "H2", 3: "W2"}, {2: "h2", 3: "w2"})
        )
        sizes: GraphShapes = {
            "y": {2: "H", 3: "W"}, "uv": {2: "h", 3: "w"}, "luma": canvas, "chroma": half, "mask": canvas,
            "gate": {2: "gh", 3: "gw"}, "new_luma": canvas, "new_chroma": half,
        }  # fmt: skip
        export_graph(Regain(native), examples, OUTPUTS, sizes, weights / file)
