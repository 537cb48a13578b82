"""Takes out of a painting what repeats from one 4x4 cell of the painter's trunk to the next.

A network that is asked for texture and knows none is tempted to weave one out of its own grid. What repeats
both along a row of cells and along a column is that grid; a straight edge repeats in one direction only,
and stays. Knows nothing of styles.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REACH = 3  # cells to each side


def fine_kernel() -> Tensor:
    """[4, 4, 3, 3] of folded luma: each pixel minus its 5x5 mean."""
    kernel = torch.zeros(4, 4, 3, 3)
    for here in range(4):
        for down in range(-2, 3):
            for right in range(-2, 3):
                y, x = here // 2 + down, here % 2 + right
                kernel[here, (y % 2) * 2 + x % 2, y // 2 + 1, x // 2 + 1] -= 1 / 25
        kernel[here, here, 1, 1] += 1
    return kernel


class Unweave(nn.Module):
    """Folded painting [1, 6, h, w] (h, w even) -> the same without the trunk's grid in its luma."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fine", fine_kernel())

    def forward(self, painting: Tensor) -> Tensor:
        luma, chroma = painting[:, :4], painting[:, 4:]
        fine = F.conv2d(F.pad(luma, (1, 1, 1, 1), "replicate"), cast(Tensor, self.fine))
        cells = F.pixel_unshuffle(fine, 2)  # [1, 16, h/2, w/2]
        along, across = (
            F.avg_pool2d(cells, size, 1, (size[0] // 2, size[1] // 2), count_include_pad=False)
            for size in ((1, 2 * REACH + 1), (2 * REACH + 1, 1))
        )
        woven = F.relu(torch.minimum(along, across)) - F.relu(torch.minimum(-along, -across))
        return torch.cat([luma - F.pixel_shuffle(woven, 2), chroma], 1)
