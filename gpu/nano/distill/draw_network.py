"""The network of the drawings: one trunk of features for all, and a small head of its own weights for each.

Knows nothing of teachers or training. The trunk folds luma to 2x2 cells and gives every sample of a cell what
a line program would ask for: its own value, its difference from the surround, the strength of the slope,
context. A head is a network per cell; its weights are inputs of the exported graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEARNED, HALF, QUARTER = 16, 16, 32  # channels at cells [h, w], half and quarter of it
CONTEXT = 16  # planes of context a cell: four for each of its samples
SHARED = 2 + 3 + 1  # what the samples of a cell share: chroma, means of the 8x8 block, and one for the bias
FEATURES = 4 + 8 + 8 + CONTEXT + SHARED  # textures, luma, bank, context: of each a plane a sample
HIDDEN_1, HIDDEN_2 = 40, 32
LEAK = 0.1
OUTPUTS = 6  # four samples of luma, then chroma
BLOCK = 8  # luma pixels: a pixel of the trunk's deepest level
SHAPES = {
    "w1": (HIDDEN_1, FEATURES, 1, 1),
    "w2": (HIDDEN_2, HIDDEN_1, 1, 1),
    "b2": (1, HIDDEN_2, 1, 1),
    "w3": (OUTPUTS, HIDDEN_2, 1, 1),
    "b3": (1, OUTPUTS, 1, 1),
}
WINDOW, BANK_WINDOW = 6, 8  # luma pixels; the cell is in the middle
_SAMPLES = ((3, 3), (3, 4), (4, 3), (4, 4))  # of a cell within the bank's window, in pixel_unshuffle's order


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAK)


def _bell(row: float, col: float, sigma: float, size: int = WINDOW) -> Tensor:
    rows, cols = torch.meshgrid(torch.arange(size) - row, torch.arange(size) - col, indexing="ij")
    bell = torch.exp(-(rows**2 + cols**2) / (2 * sigma**2))
    return bell / bell.sum()


def bank() -> Tensor:
    """[12,1,8,8]: of each sample of a cell the difference from its surround, and the slopes along x and y."""
    differences: list[Tensor] = []
    across: list[Tensor] = []
    down: list[Tensor] = []
    for i, j in _SAMPLES:
        pixel = torch.zeros(BANK_WINDOW, BANK_WINDOW)
        pixel[i, j] = 1.0
        bell = _bell(i, j, 1.1, BANK_WINDOW)
        differences.append(4.0 * (bell - pixel))
        steps = torch.arange(BANK_WINDOW)
        rows, cols = torch.meshgrid(steps - i, steps - j, indexing="ij")
        for slope, axis in ((across, cols), (down, rows)):
            kernel = bell * axis
            kernel = kernel - bell * kernel.sum()  # the window is not centred on the sample
            slope.append(3.0 * kernel / (kernel * axis).sum())
    return torch.stack(differences + across + down)[:, None]


def directions() -> Tensor:
    """[LEARNED,1,6,6]: mean, two left empty for chroma, slopes in eight directions, spots, and noise."""
    rows, cols = torch.meshgrid(torch.arange(6) - 2.5, torch.arange(6) - 2.5, indexing="ij")
    bell = _bell(2.5, 2.5, 1.2)
    kernels = [bell, torch.zeros(6, 6), torch.zeros(6, 6)]
    for angle in torch.arange(8) * (torch.pi / 4):
        slope = bell * (rows * torch.sin(angle) + cols * torch.cos(angle))
        kernels.append(slope * (6.0 / slope.abs().sum()))
    spot = 6.0 * (_bell(2.5, 2.5, 0.8) - _bell(2.5, 2.5, 1.8))
    kernels += [spot, -spot]
    kernels += [0.3 * torch.randn(6, 6) for _ in range(LEARNED - len(kernels))]
    return torch.stack(kernels)[:, None]


class Trunk(nn.Module):
    """Canvas -> features of every cell, the same for every drawing."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = nn.Conv2d(1, 12, BANK_WINDOW, stride=2, bias=False)
        self.stem = nn.Conv2d(1, LEARNED, WINDOW, stride=2)
        self.stem_chroma = nn.Conv2d(2, LEARNED, 1, bias=False)
        self.to_half = nn.Conv2d(LEARNED, HALF, 3, stride=2, padding=1)
        self.to_quarter = nn.Conv2d(HALF, QUARTER, 3, stride=2, padding=1)
        self.first = nn.Conv2d(QUARTER, QUARTER, 3, padding=1)
        self.second = nn.Conv2d(QUARTER, QUARTER, 3, padding=1)
        self.widen = nn.Conv2d(QUARTER, 4 * HALF, 1)
        self.mix = nn.Conv2d(HALF, HALF, 3, padding=1)
        self.context = nn.Conv2d(HALF, 4 * CONTEXT, 1)
        self.start()

    @torch.no_grad()
    def start(self) -> None:
        """Begin with filters a line program would use: luma and chroma blurred to two widths reach the heads
        from the first step, interpolated linearly. From noise they would take hours to appear."""
        self.bank.weight.copy_(bank())
        self.stem.weight.copy_(directions())
        cast(Tensor, self.stem.bias).zero_()
        self.stem_chroma.weight.mul_(0.3)
        self.stem_chroma.weight[0] = 0
        for channel in (1, 2):
            self.stem_chroma.weight[channel, :, 0, 0] = torch.tensor([2.0 - channel, channel - 1.0])
        line = torch.tensor([0.25, 0.5, 0.25])
        binomial = line[:, None] * line[None, :]
        for layer in (self.to_half, self.to_quarter):
            cast(Tensor, layer.bias).zero_()
            layer.weight[:3] = 0
            for channel in range(3):
                layer.weight[channel, channel] = binomial
        self.to_half.weight[3] = 0  # the place of the widest blur
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.normal_(self.second.weight, std=0.02)
        nn.init.normal_(self.widen.weight, std=0.05)
        for layer in (self.second, self.widen, self.mix, self.context):
            cast(Tensor, layer.bias).zero_()
        self.widen.weight[: 4 * 4] = 0
        self.widen.weight[3 * 4 : 4 * 4, 0] = 1.0
        self.mix.weight[:8] = 0
        for out, source, kernel in (
            (0, 0, binomial),
            (1, 1, binomial),
            (2, 2, binomial),
            (3, 3, binomial),
            (4, 0, _slope(1)),
            (5, 0, _slope(0)),
            (6, 3, _slope(1)),
            (7, 3, _slope(0)),
        ):
            self.mix.weight[out, source] = kernel
        nn.init.normal_(self.context.weight, std=0.05)
        weight = self.context.weight[..., 0, 0].view(CONTEXT, 2, 2, HALF)  # plane, row and column of the cell
        weight[:, :, :, :8] = 0
        for sample in range(4):
            for row in range(2):
                for col in range(2):
                    # from the centre of the 4x4 pixels, in units of 4 pixels
                    y = (2 * row + sample // 2 - 1.5) / 4
                    x = (2 * col + sample % 2 - 1.5) / 4
                    for plane, blur in ((0, 0), (1, 3)):
                        at = weight[4 * plane + sample, row, col]
                        at[blur] = 1.0
                        at[4 + 2 * plane], at[5 + 2 * plane] = x, y

    def forward(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """luma [B,1,2h,2w], chroma [B,2,h,w] -> [B,FEATURES - 8,h,w]: all but the textures, which a drawing
        chooses."""
        bank = self.bank(_widened(luma, BANK_WINDOW))
        across, down = bank[:, 4:8], bank[:, 8:]
        strength = torch.sqrt(across * across + down * down + 1e-4)
        mixed = self.mixed(_widened(luma, WINDOW), chroma)
        context = F.pixel_shuffle(self.context(mixed), 2)
        means = F.avg_pool2d(luma, BLOCK)
        blocks = torch.cat([means, F.avg_pool2d(chroma, BLOCK // 2), torch.ones_like(means)], 1)
        blocks = F.interpolate(blocks, scale_factor=float(BLOCK // 2), mode="nearest")
        return torch.cat([F.pixel_unshuffle(luma, 2), bank[:, :4], strength, context, chroma, blocks], 1)

    def mixed(self, widened: Tensor, chroma: Tensor) -> Tensor:
        """[B,HALF,h/2,w/2] what the context is made of, from luma with two pixels more on every side."""
        full = F.relu(self.stem(widened) + self.stem_chroma(chroma))
        half = leaky(self.to_half(full))
        deep = leaky(self.to_quarter(half))
        deep = leaky(deep + self.second(leaky(self.first(deep))))
        half = leaky(half + F.pixel_shuffle(self.widen(deep), 2))
        return cast(Tensor, self.mix(half))


def _slope(axis: int) -> Tensor:
    """[3,3]: change along an axis per step."""
    kernel = torch.tensor([-0.5, 0.0, 0.5])[None, :] * torch.tensor([0.25, 0.5, 0.25])[:, None]
    return kernel if axis == 1 else kernel.T


def _widened(luma: Tensor, window: int) -> Tensor:
    """Edge pixels repeated as far as a window over a cell reaches: zeros would draw lines round the frame."""
    reach = (window // 2 - 1,) * 4
    return F.pad(luma, reach, mode="replicate")


def with_texture(features: Tensor, texture: Tensor) -> Tensor:
    """What `Trunk` gives and a texture [B,2,2h,2w] -> [B,FEATURES,h,w]."""
    return torch.cat([F.pixel_unshuffle(texture, 2), features], 1)


def head(features: Tensor, w1: Tensor, w2: Tensor, b2: Tensor, w3: Tensor, b3: Tensor) -> Tensor:
    """features [B,FEATURES,h,w] -> [B,OUTPUTS,h,w]; shapes of the weights in SHAPES."""
    x = leaky(F.conv2d(features, w1))
    x = leaky(F.conv2d(x, w2) + b2)
    return F.conv2d(x, w3) + b3


def unfold(cells: Tensor) -> tuple[Tensor, Tensor]:
    """[B,OUTPUTS,h,w] -> luma [B,1,2h,2w], chroma [B,2,h,w]."""
    return F.pixel_shuffle(cells[:, :4], 2), cells[:, 4:]


class Drawings(nn.Module):
    """What is trained: the trunk, and the heads of several drawings, stacked."""

    def __init__(self, heads: Sequence[Mapping[str, Tensor]]) -> None:
        """`heads`: where each begins; shapes in SHAPES."""
        super().__init__()
        self.trunk = Trunk()
        self.heads = nn.ParameterDict(
            {name: nn.Parameter(torch.stack([head[name] for head in heads])) for name in SHAPES}
        )

    def head(self, index: int) -> dict[str, Tensor]:
        return {name: self.heads[name][index] for name in SHAPES}

    def draw(self, features: Tensor, texture: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Luma and chroma, not clipped, of drawing `index`."""
        return unfold(head(with_texture(features, texture), **self.head(index)))


class Stage(nn.Module):
    """One drawing, laid over what came in by mask and amount: what the graph of `draw_graph` has to give."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(
        self,
        luma: Tensor,  # [1,1,2h,2w]
        chroma: Tensor,  # [1,2,h,w]
        texture: Tensor,  # [1,2,2h,2w] -1..1
        mask: Tensor,  # [1,1,2h,2w] 0..1
        amount: Tensor,  # [1,1,1,1] 0..1
        w1: Tensor,
        w2: Tensor,
        b2: Tensor,
        w3: Tensor,
        b3: Tensor,
    ) -> tuple[Tensor, Tensor]:
        new, new_chroma = unfold(head(with_texture(self.trunk(luma, chroma), texture), w1, w2, b2, w3, b3))
        share = mask * amount
        share_chroma = F.avg_pool2d(share, 2)
        return (
            luma + share * (new.clamp(0, 1) - luma),
            chroma + share_chroma * (new_chroma.clamp(0, 1) - chroma),
        )
