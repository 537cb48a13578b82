"""The person mask's network: the teacher's, on a canvas, sharpened to every pixel and steadied over time.

It begins as the teacher (`adopt`): its first convolution is rewritten for luma and chroma, and its last one
goes on to the canvas. What is new and learned is an edge term that follows the luma; it starts silent. What
steadies it over time is not learned: a learned gate kept ghosts of who moved. Knows no training.

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
from gpu.nano.distill.teachers.person import Selfie

DEEPEST = 16  # the network's deepest level, in chroma pixels
CELL = 4  # luma pixels; the last level works on cells of 4x4 of them, as 16 channels
SURE = 0.1  # a mask nearer to 0 or 1 than this is 0 or 1, so that what an edit leaves alone is left exactly
MOST_KEPT = 0.92  # of the mask before, at most
WIDTH = 16
VIEW = 4  # channels kept for seeing what changed
# of a byte, 0..1: a mean over 8x8 pixels that differs by so much is another picture, not noise
CHANGE_LUMA, CHANGE_CHROMA = 0.02, 0.015
FEATURE = 16.0  # about what the base's last features are in size
FAR = 8.0  # a logit that is as sure as need be; the teacher's go to hundreds, beyond what edges could bend


def firmly(logits: Tensor) -> Tensor:
    """Probabilities, exactly 0 and 1 where it is sure."""
    return ((torch.sigmoid(logits) - SURE) * (1 / (1 - 2 * SURE))).clamp(0, 1)


class Person(nn.Module):
    """luma [B, 1, 2h, 2w], chroma [B, 2, h, w], caches, keep [B, 1, 1, 1] -> mask [B, 1, 2h, 2w], view.

    The caches: the mask before, like luma; and `view` [B, VIEW, h/4, w/4], what the picture looked like then.
    """

    cell: Tensor
    twice: Tensor
    see_luma: Tensor
    see_chroma: Tensor

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
        identity = torch.eye(CELL * CELL).reshape(CELL * CELL, 1, CELL, CELL)
        self.register_buffer("cell", identity, persistent=False)
        self.register_buffer("twice", _doubling(), persistent=False)
        for name, kernel in zip(("see_luma", "see_chroma"), _sight(), strict=True):
            self.register_buffer(name, kernel, persistent=False)

    def cells(self, plane: Tensor) -> Tensor:
        """[B, 1, 2h, 2w] -> [B, 16, h/2, w/2]: pixel_unshuffle, as a convolution, faster in OpenVINO."""
        return F.conv2d(plane, self.cell, stride=CELL)

    @staticmethod
    def pixels(cells: Tensor) -> Tensor:
        """The way back; likewise faster than pixel_shuffle."""
        batch, _, h, w = cells.shape
        x = cells.reshape(batch, CELL, CELL, h, w).permute(0, 3, 1, 4, 2)
        return x.reshape(batch, 1, h * CELL, w * CELL)

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
        level = F.conv2d(self.level(features), self.twice, padding=1).clamp(-FAR, FAR)
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

    def view(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """What is compared with the frame before [B, VIEW, h/4, w/4]; a difference of 1 is a change."""
        return torch.cat(
            [F.conv2d(luma, self.see_luma, stride=8), F.conv2d(chroma, self.see_chroma, stride=4)], 1
        )

    @staticmethod
    def kept(view: Tensor, before: Tensor, keep: Tensor) -> Tensor:
        """Share of the mask before [B, 1, h/2, w/2]: nothing near what changed."""
        change = view - before
        change = F.max_pool2d((change * change).sum(1, keepdim=True), 3, 1, 1)
        return MOST_KEPT * keep * F.interpolate(torch.exp(-change), scale_factor=2.0, mode="bilinear")

    def forward(
        self, luma: Tensor, chroma: Tensor, cache_mask: Tensor, cache_view: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor]:
        mask, view = firmly(self.now(luma, chroma)[0]), self.view(luma, chroma)
        share = self.kept(view, cache_view, keep)
        return self.pixels(mask + share * (self.cells(cache_mask) - mask)), view


def _doubling() -> Tensor:
    """[16, 4, 3, 3]: cells of 2x2 pixels to cells of 4x4, bilinear: what is in them at twice the size."""
    # fine pixel of a cell [4], cell before, itself, after [3], which of that cell's two pixels [2]
    line = np.zeros((4, 3, 2), np.float32)
    for fine in range(4):
        for place, weight in enumerate(taps(2)[fine % 2]):
            pixel = fine // 2 + place - 1 + 2  # counted from the first pixel of the cell before
            line[fine, pixel // 2, pixel % 2] += weight
    return torch.from_numpy(np.einsum("iya,jxb->ijabyx", line, line).reshape(16, 4, 3, 3))


def _sight() -> tuple[Tensor, Tensor]:
    """Kernels of the view: of 8x8 luma the mean and the right half less the left, of 4x4 chroma the means."""
    luma = torch.ones(2, 1, 8, 8) / 64
    luma[1, :, :, :4] *= -1
    changes = torch.tensor([CHANGE_LUMA, CHANGE_LUMA]).reshape(2, 1, 1, 1)
    return luma / changes, torch.eye(2).reshape(2, 2, 1, 1).expand(2, 2, 4, 4) / (16 * CHANGE_CHROMA)


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
