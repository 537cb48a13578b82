"""The person mask's network: the teacher's, on a canvas, sharpened to every pixel and steadied over time.

It begins as the teacher (`adopt`): its first convolution is rewritten for luma and chroma, and its last one
goes on to the canvas. What is new and learned is an edge term that follows the luma; it starts silent. What
steadies it over time is not learned (a learned gate kept ghosts of who moved): what it took each place for is
carried along with the picture, and kept as far as the picture fits. Knows no training.

What is shipped is `adopt` without training: on composed portraits, whose masks are known, the edges learned
in a first 1000 steps were no better than the teacher's own at this size, and darker pictures got holes.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.colour import planes_to_rgb
from gpu.nano.distill.enlarge import taps
from gpu.nano.distill.motion import BLOCK, Enlarge, Spread, carried
from gpu.nano.distill.teachers.person import Selfie

DEEPEST = 16  # the network's deepest level, in chroma pixels
CELL = 4  # luma pixels; the last level works on cells of 4x4 of them, as 16 channels
SURE = 0.1  # a mask nearer to 0 or 1 than this is 0 or 1, so that what an edit leaves alone is left exactly
HOLD, MOST_KEPT = 1.3, 0.95  # of the frame before: so much of what its fit allows, and at most
LETS_GO, GONE = 2.0, 5.0  # logits: what differs by more was uncovered, and keeping it would trail behind
WIDTH = 16
FEATURE = 16.0  # about what the base's last features are in size
# A logit that is as sure as need be. The teacher's go to hundreds: beyond what edges could bend, and what it
# was sure of by mistake would be kept for long.
FAR = 3.0


def firmly(logits: Tensor) -> Tensor:
    """Probabilities, exactly 0 and 1 where it is sure."""
    return ((torch.sigmoid(logits) - SURE) * (1 / (1 - 2 * SURE))).clamp(0, 1)


class Person(nn.Module):
    """luma [1, 1, 2h, 2w], chroma [1, 2, h, w], cache, flow, share, keep -> mask [1, 1, 2h, 2w], new cache.

    The cache is the level [1, 1, h, w]: logits of the base after the frame before. Flow [1, 2, h/4, w/4] and
    share [1, 1, h/2, w/2] are the steadying's, keep [1, 1, 1, 1] is 0 where there is no frame before."""

    cell: Tensor
    pair: Tensor
    twice: Tensor

    def __init__(self) -> None:
        super().__init__()
        # without its stem and its last convolution: the layers below take their places
        base = Selfie()
        del base.stem, base.out
        self.base = base
        self.stem_luma = nn.Conv2d(1, 16, 6, 4)  # a 3x3 of stride 2 over the means of 2x2 pixels
        self.stem_chroma = nn.Conv2d(2, 16, 3, 2, bias=False)
        self.level = nn.Conv2d(16, 4, 1)  # the teacher's last: two pixels by two of each cell
        # the edges: fine luma and chroma, with the base's features, bend the mask to what is in the picture
        self.bent = True
        self.look_chroma = nn.Conv2d(2, 8, 2, 2)
        self.mix = nn.Conv2d(16 + CELL * CELL + 8, WIDTH, 1)
        self.around = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.slope = nn.Conv2d(WIDTH, CELL * CELL, 1)
        self.shift = nn.Conv2d(WIDTH, CELL * CELL, 1)
        for layer in (self.slope, self.shift):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.places, self.spread = Enlarge(BLOCK // 2), Spread(CELL // 2)
        self.register_buffer("cell", _unfolding(CELL), persistent=False)
        self.register_buffer("pair", _unfolding(CELL // 2), persistent=False)
        self.register_buffer("twice", _doubling(), persistent=False)

    def cells(self, plane: Tensor) -> Tensor:
        """[B, 1, 2h, 2w] -> [B, 16, h/2, w/2]: pixel_unshuffle, as a convolution, faster in OpenVINO."""
        return F.conv2d(plane, self.cell, stride=CELL)

    @staticmethod
    def pixels(cells: Tensor, side: int = CELL) -> Tensor:
        """The way back, of any side; likewise faster than pixel_shuffle."""
        batch, _, h, w = cells.shape
        x = cells.reshape(batch, side, side, h, w).permute(0, 3, 1, 4, 2)
        return x.reshape(batch, 1, h * side, w * side)

    def features(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """The base's last features [B, 16, h/2, w/2], made about 1."""
        h, w = chroma.shape[2], chroma.shape[3]
        # to whole cells of the deepest level, and one more for the stem, which looks past the end
        down, right = (h + DEEPEST - 1) // DEEPEST * DEEPEST - h, (w + DEEPEST - 1) // DEEPEST * DEEPEST - w
        chroma = F.pad(chroma, (0, right + 1, 0, down + 1), mode="replicate")
        luma = F.pad(luma, (0, 2 * right + 2, 0, 2 * down + 2), mode="replicate")
        half = F.hardswish(self.stem_luma(luma) + self.stem_chroma(chroma))
        return self.base.after_stem(half)[:, :, : h // 2, : w // 2] * (1 / FEATURE)

    def now(self, luma: Tensor, chroma: Tensor) -> tuple[Tensor, Tensor]:
        """Of this frame alone, in cells: logits of the mask, and those of the base without the edges."""
        features = self.features(luma, chroma)
        return self.fine(features, self.base_level(features), luma, chroma)

    def base_level(self, features: Tensor) -> Tensor:
        """The base's logits [B, 1, h, w]."""
        return self.pixels(self.level(features), CELL // 2).clamp(-FAR, FAR)

    def fine(self, features: Tensor, base: Tensor, luma: Tensor, chroma: Tensor) -> tuple[Tensor, Tensor]:
        """The base's logits [B, 1, h, w] -> cells as of `now`."""
        around = F.pad(F.conv2d(base, self.pair, stride=CELL // 2), (1, 1, 1, 1), mode="replicate")
        level = F.conv2d(around, self.twice)
        if not self.bent:
            return level, level
        fine = self.cells(luma)
        spots = F.relu(self.mix(torch.cat([features, fine, self.look_chroma(chroma)], 1)))
        edges = spots + F.relu(self.around(spots))
        bend = self.shift(edges) + self.slope(edges) * (fine - 0.5)
        return level + self.band(level) * bend, level

    def settle(self) -> None:
        """Leave the edge term out when it has learned nothing: it would cost a quarter of the time."""
        self.bent = any(bool(p.any()) for layer in (self.slope, self.shift) for p in layer.parameters())

    @staticmethod
    def band(level: Tensor) -> Tensor:
        """Where the edges have a say [B, 1, h/2, w/2], 0..1: within two cells of the base's own edge."""
        inside = torch.sigmoid(level).mean(1, keepdim=True)
        most, least = F.max_pool2d(inside, 5, 1, 2), -F.max_pool2d(-inside, 5, 1, 2)
        return (2 * (most - least)).clamp(0, 1)

    def held(self, base: Tensor, before: Tensor, flow: Tensor, share: Tensor) -> Tensor:
        """The base's logits with those of the frame before, moved along."""
        change = carried(before, self.places(flow), smooth=True) - base
        kept = self.spread((HOLD * share).clamp(max=MOST_KEPT))
        return base + kept * ((GONE - change.abs()) * (1 / (GONE - LETS_GO))).clamp(0, 1) * change

    def forward(
        self, luma: Tensor, chroma: Tensor, cache_level: Tensor, flow: Tensor, share: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor]:
        features = self.features(luma, chroma)
        base = self.held(self.base_level(features), cache_level, flow, share * keep)
        return self.pixels(firmly(self.fine(features, base, luma, chroma)[0])), base


def _unfolding(side: int) -> Tensor:
    """[side * side, 1, side, side]: the pixels of a cell as channels."""
    return torch.eye(side * side).reshape(side * side, 1, side, side)


def _doubling() -> Tensor:
    """[16, 4, 3, 3]: cells of 2x2 pixels to cells of 4x4, bilinear: what is in them at twice the size."""
    # fine pixel of a cell [4], cell before, itself, after [3], which of that cell's two pixels [2]
    line = np.zeros((4, 3, 2), np.float32)
    for fine in range(4):
        for place, weight in enumerate(taps(2)[fine % 2]):
            pixel = fine // 2 + place - 1 + 2  # counted from the first pixel of the cell before
            line[fine, pixel // 2, pixel % 2] += weight
    return torch.from_numpy(np.einsum("iya,jxb->ijabyx", line, line).reshape(16, 4, 3, 3))


def _yuv_to_rgb() -> tuple[Tensor, Tensor]:
    """Matrix [3, 3] and offset [3] with RGB = matrix (yuv - offset), from the project's one conversion."""

    def rgb(y: float, u: float, v: float) -> np.ndarray:
        planes = np.full((2, 2), y, np.float32), np.array([u, v], np.float32).reshape(2, 1, 1)
        return planes_to_rgb(*planes)[0, 0].astype(np.float64)

    grey, step = (0.5, 128 / 255, 128 / 255), 0.05  # small steps: nothing is clipped
    middle = rgb(*grey)
    columns = [(rgb(*(np.array(grey) + step * axis)) - middle) / step for axis in np.eye(3)]
    matrix = np.stack(columns, 1)
    offset = np.array(grey) - np.linalg.solve(matrix, middle)
    return torch.from_numpy(matrix.astype(np.float32)), torch.from_numpy(offset.astype(np.float32))


def adopt(teacher: Selfie) -> Person:
    """The network before it has learned anything: the teacher, on the canvas."""
    person = Person()
    names = person.base.state_dict().keys()
    person.base.load_state_dict({k: v for k, v in teacher.state_dict().items() if k in names})
    with torch.no_grad():
        to_rgb, offset = _yuv_to_rgb()
        stem = torch.einsum("ocyx,cd->odyx", teacher.stem.weight, to_rgb)
        person.stem_luma.weight.copy_(stem[:, :1].repeat_interleave(2, 2).repeat_interleave(2, 3) / 4)
        person.stem_chroma.weight.copy_(stem[:, 1:])
        person.stem_luma.bias.copy_(teacher.stem.bias - stem.sum((2, 3)) @ offset)
        person.level.weight.copy_(teacher.out.weight[:, 0].flatten(1).t().reshape(4, 16, 1, 1) * FEATURE)
        person.level.bias.fill_(float(teacher.out.bias))
    return person
