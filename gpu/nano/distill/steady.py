"""Steadying: the first graph of a frame. Noise is averaged over time, along with what moves.

The canvas this graph gave for the frame before is carried to where its parts are now; each pixel becomes
`new + share * (carried - new)`. How large the share is follows from how well the carried picture fits,
measured against the noise of this very picture: where both differ by no more than noise, most is kept; the
more they differ, the less; an edge that was carried wrongly is let go pixel by pixel, so that nothing leaves
a ghost. Nothing is learned. Knows nothing of edits. Levels are of 255.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.graphs import GraphShapes, export_graph, level, shrink
from gpu.nano.distill.motion import BLOCK, Enlarge, Motion, Spread, carried

MOST = 0.9  # of the frame before
CELL = 4  # pixels, side of the squares whose fit decides
POWER = 0.6  # share of the frame before ~ fit ** -POWER: of noise alone Kalman asks for 1, sharpness for less
FITS, FAILS = 4.0, 10.0  # times the noise: from there on less is kept, and nothing
LETS_GO, GONE = 6.0, 10.0  # times the noise, of single pixels
NOISE_FLOOR, NOISE_CEILING = 0.35, 6.0  # levels; rounding alone makes 0.3
UNTOUCHED = 0.12  # levels; squares that differ less are drawn or frozen and say nothing about noise
# mean difference of a whole picture, carried along: up to the first it is the same scene, from the second on
# there was a cut, and nothing is kept
SAME, CUT = 8 / 255, 16 / 255
STANDS, MOVES = 0.12, 0.24  # pixels a frame: below, it is noise that moves, and following it would blur
STILL_FITS, STILL_FAILS = 1.5, 2.5  # times the noise, of what stands still


class Steady(nn.Module):
    """The recursion on one canvas: luma [1,1,2h,2w], chroma [1,2,h,w] as 0..1 of a byte."""

    def __init__(self) -> None:
        super().__init__()
        self.motion = Motion()
        self.pixels, self.chroma_pixels = Enlarge(BLOCK), Enlarge(BLOCK // 2)
        self.spread, self.chroma_spread = Spread(CELL), Spread(CELL // 2)

    def forward(
        self, luma: Tensor, chroma: Tensor, before_luma: Tensor, before_chroma: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """keep [1,1,1,1]: 0 where there is no frame before.

        Returns luma, chroma, the gate [1,1,h/4,w/4] (1 where the picture stands still, 0 where it moves),
        the flow [1,2,h/4,w/4] in blocks of 8 pixels by which the frame before is carried (see
        gpu.nano.distill.motion), and the share [1,1,h/2,w/2] of it that its fit allows."""
        flow, moves = self.followed(before_luma, luma)
        change = carried(before_luma, self.pixels(flow)) - luma
        chroma_change = carried(before_chroma, self.chroma_pixels(flow), smooth=True) - chroma
        size, chroma_size = change.abs(), chroma_change.abs()
        tint = shrink(chroma_size, CELL // 2).amax(1, keepdim=True)
        square = torch.maximum(F.avg_pool2d(size, CELL), tint)
        share, still, per_noise = kept_of(square, moves, keep)
        slope = per_noise / (GONE - LETS_GO)
        own = (GONE / (GONE - LETS_GO) - size * slope).clamp(0, 1)
        own_chroma = (GONE / (GONE - LETS_GO) - chroma_size * slope).clamp(0, 1)
        new_luma = luma + self.spread(share) * own * change
        new_chroma = chroma + self.chroma_spread(share) * own_chroma * chroma_change
        return new_luma, new_chroma, still, flow, share

    def followed(self, before: Tensor, now: Tensor) -> tuple[Tensor, Tensor]:
        """The flow, none where it is too small to tell from noise, and where [1,1,h/4,w/4] it is not."""
        flow = self.motion(before, now)
        far = near((flow * flow).sum(1, keepdim=True).sqrt()) * BLOCK
        moves = ((far - STANDS) / (MOVES - STANDS)).clamp(0, 1)
        return flow * moves, moves


class Follow(nn.Module):
    """The same for a canvas that is painted: the painter takes noise out by itself, at half the size, and has
    no time to lose. What moved and how well it fits is found at that size; the canvas stays as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.steady, self.pixels = Steady(), Enlarge(BLOCK // 2)

    def forward(
        self, luma: Tensor, chroma: Tensor, before_luma: Tensor, before_chroma: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """As `Steady`; before_chroma is not looked at, and the exported graph does not take it."""
        flow, moves = self.steady.followed(before_luma, luma)
        change = (carried(F.avg_pool2d(before_luma, 2), self.pixels(flow)) - F.avg_pool2d(luma, 2)).abs()
        share, still, _ = kept_of(F.avg_pool2d(change, CELL // 2), moves, keep)
        return luma, chroma, still, flow, share


def kept_of(square: Tensor, moves: Tensor, keep: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean difference of squares [1,1,h/2,w/2] and what moves [1,1,h/4,w/4] -> share, gate, and 1 / noise of
    the picture [1,1,1,1]."""
    per_noise = 1 / noise_of(square)
    # of another scene squares fit here and there by chance, and the noise counts as high
    keep = keep * ((CUT - square.mean((2, 3), keepdim=True)) / (CUT - SAME)).clamp(0, 1)
    fit = near(square) * per_noise
    share = MOST * keep * fit.clamp(min=1).pow(-POWER) * ((FAILS - fit) / (FAILS - FITS)).clamp(0, 1)
    still = (1 - moves) * ((STILL_FAILS - F.avg_pool2d(fit, 2)) / (STILL_FAILS - STILL_FITS)).clamp(0, 1)
    return share, still * keep, per_noise


def near(plane: Tensor) -> Tensor:
    """Mean of 3x3."""
    return F.avg_pool2d(plane, 3, 1, 1, count_include_pad=False)


def noise_of(square: Tensor) -> Tensor:
    """Mean difference of squares [1,1,h/2,w/2] -> the noise of the picture [1,1,1,1], 0..1 of a byte.

    A mean to the power -16, which the calm squares decide; squares without any difference are left out:
    where they are most, what differs is no noise but something that moves in a clean picture."""
    around = near(square)
    counts = (around * (255 * 8) - 8 * UNTOUCHED).clamp(0, 1)
    inverse = (around * 255 + 0.05).reciprocal().square().square().square().square()
    total = (counts * inverse).mean((2, 3), keepdim=True)
    calm = (counts.mean((2, 3), keepdim=True) + 1e-6) / (total + 1e-9)
    return calm.sqrt().sqrt().sqrt().sqrt().clamp(NOISE_FLOOR, NOISE_CEILING) / 255


class Step(nn.Module):
    """The exported graph. `native`: the source is the canvas; else it has twice its side."""

    def __init__(self, steady: Steady | Follow, native: bool) -> None:
        super().__init__()
        self.steady, self.native = steady, native

    def forward(
        self,
        y: Tensor,  # uint8 [1,1,H,W]
        uv: Tensor,  # uint8 [1,2,H/2,W/2]
        cache_luma: Tensor,  # [1,1,2h,2w] what this graph gave for the frame before
        cache_chroma: Tensor,  # [1,2,h,w]
        keep: Tensor,  # [1,1,1,1] 0: there is no frame before
    ) -> tuple[Tensor, ...]:
        luma, chroma = level(y), level(uv)
        if not self.native:
            luma, chroma = F.avg_pool2d(luma, 2), shrink(chroma, 2)
        return cast(tuple[Tensor, ...], self.steady(luma, chroma, cache_luma, cache_chroma, keep))


# {file: (what it does, the source is the canvas)}
FILES: Mapping[str, tuple[type[Steady] | type[Follow], bool]] = {
    "steady.onnx": (Steady, True),
    "steady_half.onnx": (Steady, False),
    "follow.onnx": (Follow, True),
    "follow_half.onnx": (Follow, False),
}
OUTPUTS = ("luma", "chroma", "gate", "flow", "share")


def export(weights: Path) -> None:
    """Write the graphs into the weights folder."""
    for file, (kind, native) in FILES.items():
        height, width = (48, 64) if native else (96, 128)
        examples = {
            "y": torch.zeros(1, 1, height, width, dtype=torch.uint8),
            "uv": torch.zeros(1, 2, height // 2, width // 2, dtype=torch.uint8),
            "cache_luma": torch.zeros(1, 1, 48, 64),
            "cache_chroma": torch.zeros(1, 2, 24, 32),
            "keep": torch.ones(1, 1, 1, 1),
        }
        canvas, half = (
            ({2: "H", 3: "W"}, {2: "h", 3: "w"}) if native else ({2: "H2", 3: "W2"}, {2: "h2", 3: "w2"})
        )
        sizes: GraphShapes = {
            "y": {2: "H", 3: "W"}, "uv": {2: "h", 3: "w"}, "cache_luma": canvas, "cache_chroma": half,
            "luma": canvas, "chroma": half, "gate": {2: "gh", 3: "gw"}, "flow": {2: "gh", 3: "gw"},
            "share": {2: "sh", 3: "sw"},
        }  # fmt: skip
        export_graph(Step(kind(), native), examples, OUTPUTS, sizes, weights / file)
