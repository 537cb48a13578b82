"""The parts of TAEHV: what remembers one picture, what folds pictures in time, what unfolds them again.

Attribute names are those of its published checkpoints (madebyollin/taehv, MIT), so that these load.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)


class Clamp(nn.Module):
    """Bounds latents softly to -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class MemBlock(nn.Module):
    """A residual block that sees each picture beside the one before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            conv(2 * channels, channels),
            nn.ReLU(inplace=True),
            conv(channels, channels),
            nn.ReLU(inplace=True),
            conv(channels, channels),
        )

    def forward(self, x: Tensor, past: Tensor) -> Tensor:
        """Both [N, C, H, W]."""
        return functional.relu(self.conv(torch.cat([x, past], 1)) + x)


class TPool(nn.Module):
    """`stride` pictures to one: their channels beside each other through a 1x1 convolution."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels * stride, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, stride*C, H, W] to [N, C, H, W]."""
        return self.conv(x)


class TGrow(nn.Module):
    """One picture to `stride`."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels * stride, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [stride*N, C, H, W], pictures in order of time."""
        channels = x.shape[1]
        return self.conv(x).reshape(-1, channels, *x.shape[2:])


def upsample(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, C, 2H, 2W], each pixel four times."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
