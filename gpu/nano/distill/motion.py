"""Where each part of a picture was in the frame before: optical flow small enough for every frame.

Lucas and Kanade's least squares over blocks, from coarse to fine on three scales; each scale sees the frame
before as the coarser one moved it. Good to a fraction of a pixel for steps of up to about 24 pixels. Knows
planes; nothing of noise, edits or what the flow is used for.

CPU engines enlarge tensors of two channels slowly, so a lookup is enlarged by a small convolution whose
output channels are the pixels of a block.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 8  # pixels; each block has one flow
# from coarse to fine: side of a cell in pixels, and how often a block shares what it knows with those around
SCALES = ((8, 6), (4, 4), (2, 2))
FURTHEST = 1.5  # cells that one scale may add
FLATNESS = 4e-6  # added to the squared gradients, 0..1 of a byte: flat places do not move


def _derivatives() -> Tensor:
    """[3, 2, 3, 3] from before and now: gradients right and down of their mean, smoothed change."""
    smooth, slope = torch.tensor([0.25, 0.5, 0.25]), torch.tensor([-0.5, 0.0, 0.5])
    right, down = smooth[:, None] * slope[None], slope[:, None] * smooth[None]
    mean = smooth[:, None] * smooth[None]
    return torch.stack(
        [torch.stack([right, right]) / 2, torch.stack([down, down]) / 2, torch.stack([-mean, mean])]
    )


def taps(times: int) -> Tensor:
    """[times * times, 3, 3] what a block and its neighbours give to each of its pixels, bilinear."""
    at = (torch.arange(times, dtype=torch.float32) + 0.5) / times - 0.5  # of a pixel, from its block's middle
    line = torch.stack([(-at).clamp(min=0), 1 - at.abs(), at.clamp(min=0)], 1)  # [times, 3]
    return torch.einsum("ri,cj->rcij", line, line).reshape(times * times, 3, 3)


class Spread(nn.Module):
    """A plane [1, 1, h, w] at `times` its size, bilinear."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.register_buffer("kernel", taps(times)[:, None])

    def forward(self, plane: Tensor) -> Tensor:
        around = F.pad(plane, (1, 1, 1, 1), "replicate")
        return F.pixel_shuffle(F.conv2d(around, cast(Tensor, self.kernel)), self.times)


def places(like: Tensor, around: int) -> Tensor:
    """[1, 2, h + 2 around, w + 2 around] column and row of every element, counted from the first inside."""
    rows = torch.arange(like.shape[2] + 2 * around, dtype=like.dtype)[None, None, :, None] - around
    columns = torch.arange(like.shape[3] + 2 * around, dtype=like.dtype)[None, None, None, :] - around
    return torch.cat([columns + 0 * rows, rows + 0 * columns], 1)


class Enlarge(nn.Module):
    """Lookups of blocks to lookups of their pixels, bilinear; `times` pixels a block each way."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        kernel = torch.zeros(2 * times * times, 2, 3, 3)  # ordered pixel, then direction
        kernel[0::2, 0], kernel[1::2, 1] = taps(times), taps(times)
        self.register_buffer("kernel", kernel)

    def forward(self, flow: Tensor) -> Tensor:
        """Flow [1, 2, h, w] in blocks -> lookup [1, times h, times w, 2] for `carried`."""
        where = places(flow, 1) + F.pad(flow, (1, 1, 1, 1), "replicate")
        # divided one by one: a tensor made of sizes would be traced as a constant, right for one size only
        column = (2 * where[:, :1] + 1) / flow.shape[3] - 1
        row = (2 * where[:, 1:] + 1) / flow.shape[2] - 1
        fine = F.conv2d(torch.cat([column, row], 1), cast(Tensor, self.kernel))
        times, high, wide = self.times, flow.shape[2], flow.shape[3]
        fine = fine.reshape(1, times, times, 2, high, wide).permute(0, 4, 1, 5, 2, 3)
        return fine.reshape(1, high * times, wide * times, 2)


def _mean(planes: Tensor, side: int) -> Tensor:
    return F.avg_pool2d(planes, side) if side > 1 else planes


def carried(planes: Tensor, lookup: Tensor, smooth: bool = False) -> Tensor:
    """Planes [1, C, H, W] of the frame before, moved to where they are now; `smooth`: linear, cheaper."""
    mode = "bilinear" if smooth else "bicubic"
    return F.grid_sample(planes, lookup, mode=mode, padding_mode="border", align_corners=False)


class Motion(nn.Module):
    """Luma before and now [1, 1, H, W] (multiples of 8) -> flow [1, 2, H / 8, W / 8] in blocks of 8 pixels:
    how far right and down of its place each block was."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("derivatives", _derivatives())
        self.enlarge = nn.ModuleList(Enlarge(BLOCK // cell) for cell, _ in SCALES[1:])

    def forward(self, before: Tensor, now: Tensor) -> Tensor:
        cell, shared = SCALES[0]
        flow = self._step(F.avg_pool2d(before, cell), F.avg_pool2d(now, cell), BLOCK // cell, shared)
        for (cell, shared), enlarge in zip(SCALES[1:], self.enlarge, strict=True):
            old = carried(F.avg_pool2d(before, cell), enlarge(flow), smooth=True)
            flow = flow + self._step(old, F.avg_pool2d(now, cell), BLOCK // cell, shared)
        return flow

    def _step(self, before: Tensor, now: Tensor, cells: int, shared: int) -> Tensor:
        """[1, 2, H / 8, W / 8] in blocks, of `cells` cells each way."""
        both = F.pad(torch.cat([before, now], 1), (1, 1, 1, 1), "replicate")
        slopes = F.conv2d(both, cast(Tensor, self.derivatives))  # right, down, in time
        # never gathered into one tensor before they are small: copying them costs as much as making them
        by_x, by_y = (_mean(slopes * slopes[:, n : n + 1], cells) for n in (0, 1))
        products = torch.cat([by_x, by_y[:, 1:]], 1)
        for _ in range(shared):
            products = F.avg_pool2d(products, 3, 1, 1, count_include_pad=False)
        xx, xy, xt, yy, yt = products.split(1, 1)
        xx, yy = xx + FLATNESS, yy + FLATNESS
        scale = 1 / (xx * yy - xy * xy)
        moved = torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], 1) * scale
        return moved.clamp(-FURTHEST, FURTHEST) / cells
