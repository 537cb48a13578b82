"""What a drawing is judged by: its teacher's canvas at several scales, lines and fine energy."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor


def _pyramid(new: Tensor, target: Tensor) -> Tensor:
    """L1 and a share of L2 at four scales. [B,C,H,W] -> scalar."""
    loss = (new - target).abs().mean() + 2.0 * ((new - target) ** 2).mean()
    for _ in range(3):
        new, target = F.avg_pool2d(new, 2), F.avg_pool2d(target, 2)
        loss = loss + 0.5 * (new - target).abs().mean()
    return cast(Tensor, loss)


def _fine_energy(x: Tensor) -> Tensor:
    """RMS of what a 5x5 mean takes away, over neighbourhoods of 8x8: [B,1,H/4,W/4]."""
    fine = x - F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
    return cast(Tensor, (F.avg_pool2d(fine * fine, 8, 4) + 1e-5).sqrt())


def drawing_loss(luma: Tensor, chroma: Tensor, target: Tensor, target_chroma: Tensor) -> Tensor:
    """luma [B,1,H,W], chroma [B,2,H/2,W/2], new and target, 0..1 of a byte -> scalar."""
    excess = (luma - luma.clamp(0, 1)).abs().mean() + (chroma - chroma.clamp(0, 1)).abs().mean()
    # clipping hides the gradient of what is out of range, so the clip is soft
    luma, chroma = luma.clamp(-0.02, 1.02), chroma.clamp(-0.02, 1.02)
    slopes = (luma.diff(dim=-1) - target.diff(dim=-1)).abs().mean()
    slopes = slopes + (luma.diff(dim=-2) - target.diff(dim=-2)).abs().mean()
    energy = (_fine_energy(luma) - _fine_energy(target)).abs().mean()
    return (
        _pyramid(luma, target) + 2.0 * _pyramid(chroma, target_chroma) + slopes + 0.7 * energy + 0.5 * excess
    )
