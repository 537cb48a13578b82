"""How alike two pictures are in brushwork: features of the style teacher's encoder, their Gram matrices.

The encoder's norms take their statistics from one reference, so that contrast counts. Knows no students.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.nano.distill.teachers.pastiche import EPSILON, STYLES, Layer, Pastiche


@dataclass(frozen=True)
class Look:
    """Features of one batch of pictures, and the statistics they were normalised by."""

    features: list[Tensor]  # [B, 32, h, w] at 1/1, 1/2 and 1/4
    statistics: list[tuple[Tensor, Tensor]]


def gram(features: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, C, C], mean over places."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def look(teacher: Pastiche, image: Tensor, reference: Look | None = None) -> Look:
    """Encode RGB [B, 3, H, W]; normalised as `reference` was, or by its own statistics."""
    row = image.new_full((STYLES,), 1 / STYLES)
    x = image
    features, statistics = [], []
    for i, module in enumerate(teacher.contract):
        assert isinstance(module, Layer)
        x = F.conv2d(F.pad(x, (module.pad,) * 4, "reflect"), module.kernel.to(x.dtype), stride=module.stride)
        if reference is None:
            mean = x.mean((2, 3), keepdim=True)
            scale = torch.rsqrt(x.var((2, 3), keepdim=True, unbiased=False) + EPSILON)
        else:
            mean, scale = reference.statistics[i]
        statistics.append((mean, scale))
        gamma, beta = row @ module.gamma.to(x.dtype), row @ module.beta.to(x.dtype)
        x = F.relu((x - mean) * scale * gamma[:, None, None] + beta[:, None, None])
        features.append(x)
    return Look(features, statistics)


def gram_distance(a: Look, b: Look) -> Tensor:
    """[B] relative distance of the Gram matrices, mean of the three levels."""
    levels = []
    for x, y in zip(a.features, b.features, strict=True):
        first, second = gram(x.float()), gram(y.float())
        levels.append((first - second).flatten(1).norm(dim=1) / second.flatten(1).norm(dim=1))
    return torch.stack(levels).mean(0)


def feature_distance(a: Look, b: Look) -> Tensor:
    """Mean absolute difference of the features, over the spread of the reference's."""
    levels = [(x - y).abs().mean() / y.abs().mean() for x, y in zip(a.features, b.features, strict=True)]
    return torch.stack(levels).mean()


def fine_energy(luma: Tensor) -> Tensor:
    """[B] RMS of luma [B, 1, h, w] minus its 5x5 mean: what strokes and grain are made of."""
    smooth = F.avg_pool2d(F.pad(luma, (2, 2, 2, 2), "reflect"), 5, 1)
    return (luma - smooth).square().mean((1, 2, 3)).sqrt()
