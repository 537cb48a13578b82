"""What the network is told beside the latents: the timestep, and the instruction."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoid(timestep: Tensor, dim: int) -> Tensor:
    """timestep: [B] float32, 0..1000 -> [B, dim] float32, cosines then sines, as Wan 2.1 has them."""
    half = dim // 2
    # Made where it is used: a buffer would be rounded with the weights, and be missing in checkpoints.
    steps = torch.arange(half, dtype=torch.float32, device=timestep.device)
    angle = timestep.unsqueeze(1) * torch.exp(steps * (-math.log(10_000.0) / half))
    return torch.cat((angle.cos(), angle.sin()), 1)


def linear32(layer: nn.Linear, x: Tensor) -> Tensor:
    """A linear layer in float32, whatever type its weights have."""
    return F.linear(x, layer.weight.float(), layer.bias.float())
