"""What the painter keeps of the painting before: where the picture moves, the strokes move with it.

A small flow (Lucas and Kanade, one level: a few canvas pixels a frame) between the cell means of both
frames' luma carries the painting before along; how well the moved luma fits says how much of it is kept.
All of it is at half the painter's size, so that it costs little. Knows nothing of styles.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STILL_KEPT = 0.85  # of the painting before, where the gate says that the source stands still
MOVED_KEPT = 0.45  # where it was carried along
FITS, FAILS = 2.5 / 255, 10 / 255  # difference of the moved luma at which all or nothing of that is kept
BLOCK, WINDOW = 4, 3  # cells of a block, which has one flow; blocks whose gradients it is found by
FURTHEST = 2.0  # cells a frame; the flow of one level knows no more
FLATNESS = 4e-6  # added to the squared gradients: flat places do not move


def _derivatives() -> Tensor:
    """[3, 2, 3, 3] from before and now: gradients right and down of their mean, smoothed change."""
    smooth, slope = torch.tensor([0.25, 0.5, 0.25]), torch.tensor([-0.5, 0.0, 0.5])
    right, down = smooth[:, None] * slope[None], slope[:, None] * smooth[None]
    mean = smooth[:, None] * smooth[None]
    return torch.stack(
        [torch.stack([right, right]) / 2, torch.stack([down, down]) / 2, torch.stack([-mean, mean])]
    )


def _places(like: Tensor) -> Tensor:
    """[1, 2, h, w] column and row of every pixel."""
    rows = torch.arange(like.shape[2], dtype=like.dtype)[None, None, :, None]
    columns = torch.arange(like.shape[3], dtype=like.dtype)[None, None, None, :]
    return torch.cat([columns + 0 * rows, rows + 0 * columns], 1)


def _lookup(flow: Tensor) -> Tensor:
    """[1, 2, h, w] for grid_sample: each pixel is what lies `flow` pixels right and down of it."""
    place = 2 * (_places(flow) + flow) + 1
    # divided one by one: a tensor made of sizes would be traced as a constant, right for one size only
    return torch.cat([place[:, :1] / flow.shape[3], place[:, 1:] / flow.shape[2]], 1) - 1


def _carried(plane: Tensor, lookup: Tensor) -> Tensor:
    return F.grid_sample(
        plane, lookup.permute(0, 2, 3, 1), mode="bicubic", padding_mode="border", align_corners=False
    )


class Hold(nn.Module):
    """Folded painting [1, 6, h, w] -> the same with what is kept of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("derivatives", _derivatives())

    def flow(self, before: Tensor, now: Tensor) -> Tensor:
        """Luma of cells [1, 1, h, w] -> [1, 2, h, w] how far right and down of its place each cell was."""
        both = F.pad(torch.cat([before, now], 1), (1, 1, 1, 1), "replicate")
        x, y, t = F.conv2d(both, cast(Tensor, self.derivatives)).split(1, 1)
        products = torch.cat([x * x, x * y, y * y, x * t, y * t], 1)
        blocks = F.avg_pool2d(products, BLOCK)
        window = F.avg_pool2d(blocks, WINDOW, 1, WINDOW // 2, count_include_pad=False)
        xx, xy, yy, xt, yt = window.split(1, 1)
        xx, yy = xx + FLATNESS, yy + FLATNESS
        scale = 1 / (xx * yy - xy * xy)
        moved = torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], 1) * scale
        moved = moved.clamp(-FURTHEST, FURTHEST)
        return F.interpolate(moved, size=now.shape[2:], mode="bilinear", align_corners=False)

    def forward(
        self, new: Tensor, luma: Tensor, before: Tensor, luma_before: Tensor, gate: Tensor, keep: Tensor
    ) -> Tensor:
        """new, before [1, 6, h, w] folded paintings; luma, luma_before [1, 1, h, w] means of the source's
        cells; gate [1, 1, h, w] 1 = still; keep [1, 1, 1, 1]."""
        # what stands still is kept as it is: moving it by noise would blur it
        flow = self.flow(luma_before, luma) * (2 - 2 * gate).clamp(0, 1)
        lookup = _lookup(flow)
        cells = _carried(torch.cat([before[:, 4:], luma_before], 1), lookup)
        fine = F.interpolate(lookup, scale_factor=2.0, mode="bilinear", align_corners=False)
        pixels = F.pixel_unshuffle(_carried(F.pixel_shuffle(before[:, :4], 2), fine), 2)
        miss = F.avg_pool2d((cells[:, 2:] - luma).abs(), 5, 1, 2, count_include_pad=False)
        fit = ((FAILS - miss) / (FAILS - FITS)).clamp(0, 1)
        share = torch.maximum(gate * STILL_KEPT, fit * MOVED_KEPT) * keep
        return new + share * (torch.cat([pixels, cells[:, :2]], 1) - new)
