"""What the exported graphs share: bytes and levels, resampling, and the export itself."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OPSET = 17
# {tensor name: {axis: name of a free size}}; axes of equal name are equal
GraphShapes = Mapping[str, Mapping[int, str]]


def level(plane: Tensor) -> Tensor:
    """uint8 -> 0..1."""
    return plane.float() * (1 / 255)


def to_bytes(plane: Tensor) -> Tensor:
    """0..1 -> uint8, rounded half to even as every engine does."""
    return torch.round(plane * 255.0).clamp(0.0, 255.0).to(torch.uint8)


def mean_of_3x3(planes: Tensor) -> Tensor:
    """Edges repeated. Summed by slices: CPU engines pool one or two channels at half the speed."""
    wide = F.pad(planes, (1, 1, 1, 1), "replicate")
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    return (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9


def shrink(planes: Tensor, side: int) -> Tensor:
    """[B,C,H,W] -> [B,C,H/side,W/side], means of squares. Every plane by itself: CPU engines pool single
    planes fast, and copy a few of them into blocks of sixteen first."""
    batch, channels, height, width = planes.shape
    pooled = F.avg_pool2d(planes.reshape(batch * channels, 1, height, width), side)
    return pooled.reshape(batch, channels, height // side, width // side)


def export_graph(
    net: nn.Module, examples: Mapping[str, Tensor], outputs: Sequence[str], sizes: GraphShapes, path: Path
) -> None:
    """Write `net`, called with the examples in order, as ONNX with named tensors and the free sizes given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # the tracing exporter keeps Resize's sizes symbolic, which one graph for every camera needs; it is
        # the older one, and says so
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net.eval(), tuple(examples.values()), str(path), input_names=list(examples),
            output_names=list(outputs), dynamic_axes={name: dict(axes) for name, axes in sizes.items()},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
