"""What the painter keeps of the painting before: where the picture moves, the strokes move with it.

How the picture moved, and how well what was carried along fits, the steadying found out (gpu.nano.distill.
steady); here it is used at the painter's size, half the canvas'. Knows nothing of styles.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.motion import BLOCK, Enlarge, carried

STILL_KEPT = 0.85  # of the painting before, where the gate says that the source stands still
MOVED_KEPT = 0.65  # where it was carried along and fits to within the noise


class Hold(nn.Module):
    """Folded painting [1, 6, h, w] -> the same with what is kept of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels, self.cells = Enlarge(BLOCK // 2), Enlarge(BLOCK // 4)

    def forward(
        self, new: Tensor, before: Tensor, gate: Tensor, flow: Tensor, share: Tensor, keep: Tensor
    ) -> Tensor:
        """new, before [1, 6, h, w] folded paintings; of the canvas gate [1, 1, h/2, w/2] 1 = still, flow
        [1, 2, h/2, w/2] and share [1, 1, h, w] of the frame before that fits; keep [1, 1, 1, 1]."""
        pixels = F.pixel_unshuffle(carried(F.pixel_shuffle(before[:, :4], 2), self.pixels(flow)), 2)
        cells = carried(before[:, 4:], self.cells(flow))
        still = F.interpolate(gate, scale_factor=2.0, mode="bilinear")
        kept = torch.maximum(still * STILL_KEPT, share * MOVED_KEPT) * keep
        return new + kept * (torch.cat([pixels, cells], 1) - new)
