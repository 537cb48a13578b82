"""Where the painter starts: the teacher's own weights, rearranged for folded pictures and fewer layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gpu.nano.distill.paint_network import BLOCKS, ROWS, Painter, fold
from gpu.nano.distill.teachers.pastiche import STYLES, Layer, Pastiche


def after_doubling(kernel: Tensor) -> Tensor:
    """Kernel [D, C, 3, 3] after nearest doubling -> [4 D, C, 3, 3] before it, one for each of four pixels."""
    out = torch.zeros(kernel.shape[0], 4, kernel.shape[1], 3, 3)
    for pixel in range(4):
        down, right = divmod(pixel, 2)
        for i in range(3):
            for j in range(3):
                # a tap of the large picture falls on the small one's pixel below it
                y, x = (down + i - 1) // 2 + 1, (right + j - 1) // 2 + 1
                out[:, pixel, :, y, x] += kernel[:, :, i, j]
    return out.flatten(0, 1)


def in_cells(kernel: Tensor) -> Tensor:
    """Kernel [D, C, 9, 9] of pixels -> [4 D, 4 C, 3, 3] of 2x2 cells; taps beyond their reach are dropped."""
    outputs, inputs = kernel.shape[:2]
    out = torch.zeros(outputs, 4, inputs, 4, 3, 3)
    for here in range(4):
        for there in range(4):
            for i in range(3):
                for j in range(3):
                    y = 2 * (i - 1) + there // 2 - here // 2
                    x = 2 * (j - 1) + there % 2 - here % 2
                    out[:, here, :, there, i, j] = kernel[:, :, 4 + y, 4 + x]
    return out.reshape(4 * outputs, 4 * inputs, 3, 3)


def fitted_cells(teacher: Pastiche, pictures: Sequence[NDArray[np.float32]]) -> Tensor:
    """[32, 6, 3, 3]: least squares from 3x3 cells to the teacher's second layer before its norm."""
    first, second = (cast(Layer, layer) for layer in list(teacher.contract)[:2])
    gram, moment = torch.zeros(55, 55, dtype=torch.float64), torch.zeros(55, 32, dtype=torch.float64)
    for n, picture in enumerate(pictures):
        image = torch.from_numpy(picture).permute(2, 0, 1)[None]
        styles = F.one_hot(torch.tensor([n % STYLES]), STYLES).float()
        hidden = F.relu(first(image, styles))
        wanted = F.conv2d(F.pad(hidden, (1, 1, 1, 1), "reflect"), second.kernel, stride=2)
        wanted = F.instance_norm(wanted)[..., 4:-4, 4:-4].flatten(2)[0]
        given = F.unfold((fold(image) - 0.5) * 4, 3, padding=1)
        given = given.reshape(54, image.shape[2] // 2, -1)[:, 4:-4, 4:-4].flatten(1)
        rows = torch.cat([given, torch.ones_like(given[:1])]).double()
        gram += rows @ rows.T
        moment += rows @ wanted.T.double()
    solution = torch.linalg.solve(gram + 1e-3 * gram.diagonal().mean() * torch.eye(55), moment)
    return solution[:54].T.float().reshape(32, 6, 3, 3)


class Student(nn.Module):
    """The painter and every painting's row of gains and offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.painter = Painter()
        self.gamma = nn.Parameter(torch.ones(STYLES, ROWS))
        self.beta = nn.Parameter(torch.zeros(STYLES, ROWS))

    def start(self, teacher: Pastiche, pictures: Sequence[NDArray[np.float32]]) -> None:
        """Copy what fits from the teacher; the last of its blocks changes least and is left out."""
        painter = self.painter
        with torch.no_grad():
            painter.cells.weight.copy_(fitted_cells(teacher, pictures))
            layers = [cast(Layer, layer) for layer in teacher.contract][1:]
            painter.down.weight.copy_(layers[1].kernel)
            for mine, theirs in zip(painter.trunk, list(teacher.res)[: 2 * BLOCKS], strict=True):
                cast(nn.Conv2d, mine).weight.copy_(cast(Layer, theirs).kernel)
                layers.append(cast(Layer, theirs))
            expand = [cast(Layer, layer) for layer in teacher.expand]
            painter.up.weight.copy_(after_doubling(expand[0].kernel))
            painter.strokes.weight.copy_(after_doubling(expand[1].kernel))
            painter.colours.weight.copy_(in_cells(expand[2].kernel))
            for table, name in ((self.gamma, "gamma"), (self.beta, "beta")):
                rows = [getattr(layer, name) for layer in [*layers, expand[0]]]
                rows += [getattr(layer, name).repeat_interleave(4, 1) for layer in expand[1:]]
                table.copy_(torch.cat(rows, 1))
