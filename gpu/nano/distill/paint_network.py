"""The painter: a small style network on 4:2:0 planes, and one step of it as an engine runs it.

Inside, a picture is *folded*: [B, 6, h, w], the four luma pixels of a 2x2 cell (order of pixel_unshuffle),
U, V. The painter works at half the canvas' size each way, its trunk at an eighth. Every norm's gains and
offsets (a row of the *style*) are inputs, so that one graph paints every style and a blend of styles is a
blend of rows. Knows nothing of teachers' files or training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.paint_hold import Hold
from gpu.nano.distill.paint_weave import Unweave

STEM, TRUNK, BLOCKS = 32, 32, 5
WIDTHS = (STEM, TRUNK, *(TRUNK,) * (2 * BLOCKS), 8, 16, 12)  # channels of every norm, in order
ROWS = sum(WIDTHS)
FOLDED = 6
EPSILON = 1e-5
EDGE = 6  # canvas pixels
SHARPER = 0.3  # gives back what carrying a painting from frame to frame blurs
STATISTICS_KEPT = 0.8  # of the frame before, per frame

# BT.601 limited range from RGB in 0..1 to bytes' 0..1; the same as gpu/nano/colour.py
_KR, _KB, _Y, _C = 0.299, 0.114, 219 / 255, 224 / 255
_KG = 1 - _KR - _KB
TO_YUV = (
    (_Y * _KR, _Y * _KG, _Y * _KB),
    (-_C * _KR / (2 * (1 - _KB)), -_C * _KG / (2 * (1 - _KB)), _C / 2),
    (_C / 2, -_C * _KG / (2 * (1 - _KR)), -_C * _KB / (2 * (1 - _KR))),
)
OFFSET = (16 / 255, 128 / 255, 128 / 255)

Norm = Callable[[Tensor], Tensor]


def fold(rgb: Tensor) -> Tensor:
    """RGB [B, 3, 2h, 2w] in 0..1 -> [B, 6, h, w]"""
    matrix = rgb.new_tensor(TO_YUV)
    yuv = torch.einsum("oc,bchw->bohw", matrix, rgb) + rgb.new_tensor(OFFSET)[:, None, None]
    return torch.cat([F.pixel_unshuffle(yuv[:, :1], 2), F.avg_pool2d(yuv[:, 1:], 2)], 1)


def unfold(folded: Tensor) -> Tensor:
    """[B, 6, h, w] -> RGB [B, 3, 2h, 2w], not clipped; chroma is repeated."""
    luma = F.pixel_shuffle(folded[:, :4], 2)
    chroma = F.interpolate(folded[:, 4:], scale_factor=2.0, mode="nearest")
    yuv = torch.cat([luma, chroma], 1) - folded.new_tensor(OFFSET)[:, None, None]
    return torch.einsum("oc,bchw->bohw", torch.linalg.inv(folded.new_tensor(TO_YUV)), yuv)


def rgb_cells_to_folded() -> Tensor:
    """[6, 12, 1, 1] kernel: RGB of a cell's four pixels (channel * 4 + pixel) to a folded picture."""
    kernel = torch.zeros(FOLDED, 12)
    for channel in range(3):
        for pixel in range(4):
            kernel[pixel, channel * 4 + pixel] = TO_YUV[0][channel]
            kernel[4, channel * 4 + pixel] = TO_YUV[1][channel] / 4
            kernel[5, channel * 4 + pixel] = TO_YUV[2][channel] / 4
    return kernel[:, :, None, None]


def enlarging_kernel(sharper: float = 0.0) -> tuple[Tensor, Tensor]:
    """Twice the size: [16, 4, 3, 3] folded luma -> 4x4 cells, cubic, and [8, 2, 3, 3] chroma, linear.

    `sharper`: share of what a 3x3 mean takes away that is added to luma. Measured with the identity: what one
    pixel becomes is its row of the kernel."""

    def kernel(cell: int, mode: str, sharper: float = 0.0) -> Tensor:
        # of one plane in cells of `cell` pixels: [(2 cell)^2, cell^2, 3, 3]
        side = 5 * cell
        impulses = torch.zeros(cell * cell * 9, 1, side, side)
        places = [(i, j, a, b) for a in range(cell) for b in range(cell) for i in range(3) for j in range(3)]
        for n, (i, j, a, b) in enumerate(places):
            impulses[n, 0, (i + 1) * cell + a, (j + 1) * cell + b] = 1
        impulses = impulses + sharper * (impulses - F.avg_pool2d(impulses, 3, 1, 1))
        large = F.interpolate(impulses, scale_factor=2.0, mode=mode, align_corners=False)
        middle = F.pixel_unshuffle(large, 2 * cell)[:, :, 2, 2]  # [n, (2 cell)^2]
        out = middle.T.reshape(4 * cell * cell, cell * cell, 3, 3)
        return out / out.sum((1, 2, 3), keepdim=True)  # of the sharper kernel, the farthest taps are missing

    luma, plane = kernel(2, "bicubic", sharper), kernel(1, "bilinear")
    chroma = torch.zeros(8, 2, 3, 3)
    chroma[:4, :1], chroma[4:, 1:] = plane, plane
    return luma, chroma


class Painter(nn.Module):
    """Folded picture [B, 6, h, w] (h, w even) and the style's rows -> folded painting [B, 6, h, w]."""

    def __init__(self) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)

        self.cells = layer(FOLDED, STEM)
        self.down = layer(STEM, TRUNK, 2)
        self.trunk = nn.ModuleList(layer(TRUNK, TRUNK) for _ in range(2 * BLOCKS))
        self.up = layer(TRUNK, 32)  # 8 channels for each pixel of the larger picture
        self.strokes = layer(8, 16)  # 4 channels for each pixel
        self.colours = layer(16, 12)  # RGB for each pixel
        self.register_buffer("planes", rgb_cells_to_folded())
        self.register_buffer("offset", torch.tensor([OFFSET[0]] * 4 + [OFFSET[1]] * 2)[None, :, None, None])

    def stem(self, x: Tensor, norms: list[Norm]) -> Tensor:
        x = F.relu(norms[0](self.cells((x - 0.5) * 4)))
        return F.relu(norms[1](self.down(x)))

    def blocks(self, x: Tensor, norms: list[Norm]) -> Tensor:
        for i in range(0, 2 * BLOCKS, 2):
            inner = F.relu(norms[2 + i](self.trunk[i](x)))
            x = x + norms[3 + i](self.trunk[i + 1](inner))
        return x

    def head(self, x: Tensor, norms: list[Norm]) -> Tensor:
        x = F.relu(norms[-3](F.pixel_shuffle(self.up(x), 2)))
        x = F.relu(norms[-2](self.strokes(x)))
        x = torch.sigmoid(norms[-1](self.colours(x)))
        return F.conv2d(x, cast(Tensor, self.planes)) + cast(Tensor, self.offset)

    def forward(self, x: Tensor, norms: list[Norm]) -> Tensor:
        return self.head(self.blocks(self.stem(x, norms), norms), norms)


def own_norms(gamma: Tensor, beta: Tensor) -> list[Norm]:
    """Norms by the statistics of each picture alone. gamma, beta [B, ROWS]"""

    def norm(gain: Tensor, offset: Tensor) -> Norm:
        def apply(x: Tensor) -> Tensor:
            x = F.instance_norm(x.float(), eps=EPSILON)
            return x * gain[:, :, None, None] + offset[:, :, None, None]

        return apply

    return [norm(g, b) for g, b in zip(gamma.split(WIDTHS, 1), beta.split(WIDTHS, 1), strict=True)]


class RunningNorms:
    """Norms by statistics that follow the video slowly: what enters the picture changes no colour elsewhere.

    gamma, beta [1, ROWS, 1, 1]; statistics [2, ROWS, 1, 1] means and variances before; keep [1, 1, 1, 1]: 0
    to take only this picture's."""

    def __init__(self, gamma: Tensor, beta: Tensor, statistics: Tensor, keep: Tensor) -> None:
        self._parts = list(
            zip(gamma.split(WIDTHS, 1), beta.split(WIDTHS, 1), statistics.split(WIDTHS, 1), strict=True)
        )
        self._keep = keep * STATISTICS_KEPT
        self._new: list[Tensor] = []

    def norms(self) -> list[Norm]:
        return [self._norm(*part) for part in self._parts]

    def _norm(self, gain: Tensor, offset: Tensor, before: Tensor) -> Norm:
        def apply(x: Tensor) -> Tensor:
            mean = x.mean((2, 3), keepdim=True)
            variance = ((x * x).mean((2, 3), keepdim=True) - mean * mean).clamp_min(0)
            now = torch.cat([mean, variance], 0)
            now = now + self._keep * (before - now)
            self._new.append(now)
            scale = gain * torch.rsqrt(now[1:] + EPSILON)
            return x * scale + (offset - now[:1] * scale)

        return apply

    def statistics(self) -> Tensor:
        """[2, ROWS, 1, 1] for the next frame, once every norm was used."""
        return torch.cat(self._new, 1)


def without_edge(plane: Tensor, edge: int) -> Tensor:
    """The outermost pixels, which convolutions spoil, mirror those inside: strokes, not streaks."""
    return F.pad(plane[:, :, edge:-edge, edge:-edge], (edge,) * 4, "reflect")


class Step(nn.Module):
    """What `paint.onnx` does with one frame: paint, hold what stands still, enlarge, blend by the mask."""

    def __init__(self, painter: Painter) -> None:
        super().__init__()
        self.painter = painter
        luma, chroma = enlarging_kernel(SHARPER)
        kernel = torch.zeros(24, FOLDED, 3, 3)
        kernel[:16, :4], kernel[16:, 4:] = luma, chroma
        self.register_buffer("enlarging", kernel)
        self.unweave = Unweave()
        self.hold = Hold()

    def forward(
        self, luma: Tensor, chroma: Tensor, mask: Tensor, amount: Tensor, gate: Tensor, flow: Tensor,
        share: Tensor, keep: Tensor, gamma: Tensor, beta: Tensor, tone_gain: Tensor, tone_offset: Tensor,
        carry: Tensor, cache_paint: Tensor, cache_stats: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """Canvas -> painted canvas, and the caches of the next frame.

        luma, mask [1, 1, 2h, 2w], chroma [1, 2, h, w]; gate, flow and share of the steadying; amount, keep
        [1, 1, 1, 1]; tone and carry [1, 6, 1, 1]: painting * gain + offset, then the source's share in it."""
        source = torch.cat([F.pixel_unshuffle(F.avg_pool2d(luma, 2), 2), F.avg_pool2d(chroma, 2)], 1)
        running = RunningNorms(gamma, beta, cache_stats, keep)
        new = self.unweave(self.painter(source, running.norms()))
        new = self.hold(new, cache_paint, gate, flow, share, keep)
        toned = new * tone_gain + tone_offset
        toned = toned + carry * (source - toned)
        large = F.conv2d(toned, cast(Tensor, self.enlarging), padding=1)
        painted_luma = without_edge(F.pixel_shuffle(large[:, :16], 4), EDGE)
        painted_chroma = without_edge(F.pixel_shuffle(large[:, 16:], 2), EDGE // 2)
        cover = mask * amount
        out_luma = luma + cover * (painted_luma - luma)
        out_chroma = chroma + F.avg_pool2d(cover, 2) * (painted_chroma - chroma)
        return out_luma, out_chroma, new, running.statistics()
