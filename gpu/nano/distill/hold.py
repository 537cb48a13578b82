"""Holding: an edit that draws every frame anew keeps some of what it drew before, moved along.

Lines and hard tones come and go with the least change of the picture. How the picture moved, and how well
what is carried along fits the source, the steadying found out; nothing is learned here. A line carried a
little beside its place would be drawn twice, so it is bounded how far the mean of a few pixels may go from
the new picture's. Not meant for edits whose paper or hatching stands still, which would be smeared. Knows
nothing of edits.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.graphs import GraphShapes, export_graph, mean_of_3x3
from gpu.nano.distill.motion import BLOCK, Enlarge, Spread, carried
from gpu.nano.distill.steady import CELL

LETS_GO, GONE = 24 / 255, 64 / 255  # what differs by more was uncovered, and keeping it would leave a ghost
MOST = 0.95  # of the frame before: what the fit does not see has gone within a second
OUTPUTS = ("held_luma", "held_chroma")


class Hold(nn.Module):
    """The exported graph: new + min(MOST, hold * share) * mask * (before, carried along - new), less what the
    mean of 3x3 pixels of luma goes beyond `most`."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels, self.chroma_pixels = Enlarge(BLOCK), Enlarge(BLOCK // 2)
        self.spread, self.chroma_spread = Spread(CELL), Spread(CELL // 2)

    def forward(
        self,
        luma: Tensor,  # [1,1,2h,2w] of the edit, this frame
        chroma: Tensor,  # [1,2,h,w]
        mask: Tensor,  # [1,1,2h,2w] 0..1 where the edit is; elsewhere nothing is kept
        cache_luma: Tensor,  # [1,1,2h,2w] what this graph gave for the frame before
        cache_chroma: Tensor,  # [1,2,h,w]
        flow: Tensor,  # [1,2,h/4,w/4] and
        share: Tensor,  # [1,1,h/2,w/2] of the steadying
        hold: Tensor,  # [1,1,1,1]
        most: Tensor,  # [1,1,1,1] 0..1 of a byte; 1: no bound
    ) -> tuple[Tensor, Tensor]:
        kept = (share * hold).clamp(max=MOST) * F.avg_pool2d(mask, CELL)
        change = carried(cache_luma, self.pixels(flow)) - luma
        chroma_change = carried(cache_chroma, self.chroma_pixels(flow), smooth=True) - chroma
        change = self.spread(kept) * _small(change) * change
        mean = mean_of_3x3(change)
        beyond = mean - torch.minimum(torch.maximum(mean, -most), most)
        beyond = torch.minimum(torch.maximum(beyond, change.clamp(max=0)), change.clamp(min=0))
        return (
            (luma + change - beyond).clamp(0, 1),
            (chroma + self.chroma_spread(kept) * _small(chroma_change) * chroma_change).clamp(0, 1),
        )


def _small(change: Tensor) -> Tensor:
    return ((GONE - change.abs()) / (GONE - LETS_GO)).clamp(0, 1)


def export(weights: Path) -> None:
    """Write `hold.onnx` into the weights folder."""
    luma, chroma = torch.rand(1, 1, 48, 64), torch.rand(1, 2, 24, 32)
    examples = {
        "luma": luma, "chroma": chroma, "mask": luma, "cache_luma": luma, "cache_chroma": chroma,
        "flow": torch.zeros(1, 2, 6, 8), "share": torch.zeros(1, 1, 12, 16),
        "hold": torch.ones(1, 1, 1, 1), "most": torch.ones(1, 1, 1, 1),
    }  # fmt: skip
    canvas, half = {2: "H", 3: "W"}, {2: "h", 3: "w"}
    sizes: GraphShapes = {
        "luma": canvas, "chroma": half, "mask": canvas, "cache_luma": canvas, "cache_chroma": half,
        "flow": {2: "gh", 3: "gw"}, "share": {2: "sh", 3: "sw"}, "held_luma": canvas, "held_chroma": half,
    }  # fmt: skip
    export_graph(Hold(), examples, OUTPUTS, sizes, weights / "hold.onnx")
