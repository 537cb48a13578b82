"""Finishing: the last graphs of a frame, from the edited canvas to the bytes that leave.

Two things happen here: what the canvas is too small for is carried over from the source, and the edit is laid
over the source as strongly as asked and only where it reaches. Rain and snow fall after that.

A source with twice the side of its canvas is resampled by small convolutions: CPU engines resize slowly.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.graphs import GraphShapes, export_graph, level, to_bytes

BLOCK = 4  # canvas pixels; gains of detail are measured over 3x3 such blocks
FLAT = (1.0 / 255) ** 2  # variance below which there is no detail, only what noise is left
GAIN_LEAST, GAIN_MOST = -1.5, 2.5
OUTPUTS = ("new_y", "new_uv")


def fold(planes: Tensor) -> Tensor:
    """[B,1,2h,2w] -> [B,4,h,w], the pixels of a square as channels; bytes are a quarter of the work."""
    batch, _, height, width = planes.shape
    squares = planes.reshape(batch, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3)
    return squares.reshape(batch, 4, height // 2, width // 2)


class Double(nn.Module):
    """Bilinear to twice the side, folded: [B,1,h,w] -> [B,4,h,w]."""

    def __init__(self) -> None:
        super().__init__()
        before, after = torch.tensor([0.25, 0.75, 0.0]), torch.tensor([0.0, 0.75, 0.25])
        kernels = torch.stack([torch.outer(a, b) for a in (before, after) for b in (before, after)])
        self.register_buffer("kernels", kernels[:, None])

    def forward(self, plane: Tensor) -> Tensor:
        return F.conv2d(F.pad(plane, (1, 1, 1, 1), mode="replicate"), self.kernels)


def gain_of(source: Tensor, edited: Tensor) -> Tensor:
    """Canvas planes [B,1,h,w] -> [B,1,h,w]: how much of the source's contrast the edit keeps around there."""
    mean, mean_edited = F.avg_pool2d(source, BLOCK), F.avg_pool2d(edited, BLOCK)
    both, square = F.avg_pool2d(source * edited, BLOCK), F.avg_pool2d(source * source, BLOCK)
    mean, mean_edited, both, square = (near(x) for x in (mean, mean_edited, both, square))
    gain = (both - mean * mean_edited) / ((square - mean * mean).clamp(min=0) + FLAT)
    return F.interpolate(near(gain.clamp(GAIN_LEAST, GAIN_MOST)), scale_factor=BLOCK, mode="nearest")


def near(x: Tensor) -> Tensor:
    """Mean of 3x3."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def least(cover: Tensor) -> Tensor:
    """[B,1,2h,2w] -> [B,1,h,w]: the least of each square. A chroma sample belongs to all of its four pixels:
    it stays the camera's byte where a single one of them does."""
    return -F.max_pool2d(-cover, 2)


class Finish(nn.Module):
    """The exported graph where the source is the canvas: source + strength * cover * (edited - source)."""

    def forward(
        self,
        y: Tensor,  # uint8 [1,1,2h,2w]
        uv: Tensor,  # uint8 [1,2,h,w]
        edited_luma: Tensor,  # [1,1,2h,2w]
        edited_chroma: Tensor,  # [1,2,h,w]
        cover: Tensor,  # [1,1,2h,2w] where the edit reaches; 0: the source, byte for byte
        strength: Tensor,  # [1,1,1,1]
    ) -> tuple[Tensor, Tensor]:
        source, source_uv = level(y), level(uv)
        cover = cover * strength
        out_uv = source_uv + least(cover) * (edited_chroma - source_uv)
        return to_bytes(source + cover * (edited_luma - source)), to_bytes(out_uv)


class FinishHalf(nn.Module):
    """The same where the source has twice the side of its canvas. The edit is taken for linear in the source
    over a few blocks, and what of it is not linear is doubled smoothly."""

    def __init__(self) -> None:
        super().__init__()
        self.doubled = Double()

    def forward(
        self,
        y: Tensor,  # uint8 [1,1,4h,4w]
        uv: Tensor,  # uint8 [1,2,2h,2w]
        luma: Tensor,  # [1,1,2h,2w] the steadied source
        chroma: Tensor,  # [1,2,h,w]
        edited_luma: Tensor,  # [1,1,2h,2w]
        edited_chroma: Tensor,  # [1,2,h,w]
        cover: Tensor,  # [1,1,2h,2w] where the edit reaches; 0: the source, byte for byte
        strength: Tensor,  # [1,1,1,1]
        detail: Tensor,  # [1,1,1,1] share of the source's finer detail that is carried over
    ) -> tuple[Tensor, Tensor]:
        cover = cover * strength
        new_y = self.planes(y, luma, edited_luma, cover, detail)
        # a sample of the source's chroma lies under one canvas pixel: it takes that one's cover, not a mean
        high, wide = chroma.shape[-2:]
        chroma, edited_chroma = chroma.reshape(2, 1, high, wide), edited_chroma.reshape(2, 1, high, wide)
        uv = uv.reshape(2, 1, 2 * high, 2 * wide)
        new_uv = self.planes(uv, chroma, edited_chroma, fold(cover), detail)
        return new_y, new_uv.reshape(1, 2, 2 * high, 2 * wide)

    def planes(self, full: Tensor, source: Tensor, edited: Tensor, cover: Tensor, detail: Tensor) -> Tensor:
        """Bytes [B,1,2h,2w], canvas planes [B,1,h,w], cover of the squares [1,1,h,w] or of every sample
        [1,4,h,w] -> bytes [B,1,2h,2w]."""
        gain = gain_of(source, edited) * detail
        own = level(fold(full))
        finer = gain * (own - self.doubled(source))
        out = to_bytes(own + cover * (self.doubled(edited) + finer - own))
        return F.pixel_shuffle(out, 2)


class Fall(nn.Module):
    """The exported graph of rain and snow, laid over what is finished. Both take the colour away."""

    def forward(
        self,
        y: Tensor,  # uint8 [1,1,H,W]
        uv: Tensor,  # uint8 [1,2,H/2,W/2]
        particles: Tensor,  # uint8 [1,1,H,W]
        opacity: Tensor,  # [1,1,1,1] of the particles
        white: Tensor,  # [1,1,1,1] their luma
    ) -> tuple[Tensor, Tensor]:
        falls, luma, chroma = level(particles) * opacity, level(y), level(uv)
        new_uv = chroma + F.avg_pool2d(falls, 2) * (128 / 255 - chroma)
        return to_bytes(luma + falls * (white - luma)), to_bytes(new_uv)


def export(weights: Path) -> None:
    """Write the three graphs into the weights folder."""
    canvas, half, one = torch.rand(1, 1, 48, 64), torch.rand(1, 2, 24, 32), torch.ones(1, 1, 1, 1)
    y, uv = torch.zeros(1, 1, 48, 64, dtype=torch.uint8), torch.zeros(1, 2, 24, 32, dtype=torch.uint8)
    edited = {"edited_luma": canvas, "edited_chroma": half, "cover": canvas, "strength": one}
    double = {"y": y.repeat(1, 1, 2, 2), "uv": uv.repeat(1, 1, 2, 2), "luma": canvas, "chroma": half}
    graphs: dict[str, tuple[nn.Module, dict[str, Tensor]]] = {
        "finish.onnx": (Finish(), {"y": y, "uv": uv, **edited}),
        "finish_half.onnx": (FinishHalf(), {**double, **edited, "detail": one}),
        "fall.onnx": (Fall(), {"y": y, "uv": uv, "particles": y, "opacity": one, "white": one}),
    }
    for file, (net, examples) in graphs.items():
        free = [name for name, example in examples.items() if example.numel() > 1]
        sizes: GraphShapes = {name: {2: f"{name}_h", 3: f"{name}_w"} for name in (*free, *OUTPUTS)}
        export_graph(net, examples, OUTPUTS, sizes, weights / file)
