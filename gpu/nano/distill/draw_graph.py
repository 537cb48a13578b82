"""The exported graph of the drawings: what `draw_network.Stage` computes, ordered as an engine runs it fast.

Four exact rewrites, found by profiling OpenVINO on two cores:

- Rows of cells are drawn in strips, odd rows and even rows apart. A head is a network per cell, so cells may
  come in any order; a strip's activations stay in a core's cache, those of a whole picture do not.
- The context of a head is applied before it is spread, at half of [h, w]. Of 2x2 cells the two of a row come
  out side by side among the channels, which in memory is the row of cells itself: no shuffle, and one
  convolution less. That is why odd and even rows are apart.
- A bias that is given at run time is carried by an input that is always one: engines fuse no such bias.
- The last layer is a product with channels first, so that its six planes need no transposing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.distill.draw_network import BANK_WINDOW, CONTEXT, FEATURES, HIDDEN_1, OUTPUTS, Trunk, leaky

STRIPS = 4  # of the rows of one parity; at 640x480 a strip's widest tensor has 1.6 MB
_TEXTURES, _OWN = 8, 12  # features of a cell: its textures, then its luma, differences and slopes
_CONTEXT = slice(_TEXTURES + _OWN, _TEXTURES + _OWN + CONTEXT)
_CHROMA = slice(_CONTEXT.stop, _CONTEXT.stop + 2)
_BLOCKS = slice(_CHROMA.stop, FEATURES - 1)  # the last feature is one everywhere


class StripStage(nn.Module):
    """One drawing, laid over what came in by mask and amount. Equals `Stage` but for the order of sums."""

    samples: Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.trunk = trunk
        # the bank uses twelve of sixteen lanes: the four samples of a cell come with it for nothing
        same = torch.zeros(4, 1, BANK_WINDOW, BANK_WINDOW)
        first = BANK_WINDOW // 2 - 1
        for sample in range(4):
            same[sample, 0, first + sample // 2, first + sample % 2] = 1.0
        self.register_buffer("samples", torch.cat([same, trunk.bank.weight.detach()]))

    def forward(
        self,
        luma: Tensor,  # [1,1,2h,2w]
        chroma: Tensor,  # [1,2,h,w]
        texture: Tensor,  # [2,h/2,w,8] -1..1, see gpu.nano.geometry.folded
        mask: Tensor,  # [1,1,2h,2w] 0..1
        amount: Tensor,  # [1,1,1,1] 0..1
        w1: Tensor,
        w2: Tensor,
        b2: Tensor,
        w3: Tensor,
        b3: Tensor,
    ) -> tuple[Tensor, Tensor]:
        h, w = chroma.shape[2:]
        reach = BANK_WINDOW // 2 - 1
        wide = F.pad(luma, (reach,) * 4, mode="replicate")
        low = self._low(luma, wide, chroma)
        rows_of_chroma = chroma.reshape(1, 2, h // 2, 2, w)
        weights, spread = self._first(w1)
        second = torch.cat([w2, b2.permute(1, 0, 2, 3)], 1)
        last = w3[None, :, :, 0, 0]
        planes = []
        for odd in (0, 1):
            strips = []
            for strip in range(STRIPS):
                # alike in size and overlapping where the rows cannot be parted evenly: none is ever empty
                top = h // 2 * strip // STRIPS
                end = top + (h // 2 + STRIPS - 1) // STRIPS
                kept = h // 2 * (strip + 1) // STRIPS - top
                around = F.conv2d(low[:, :, top:end], spread[odd])  # [1,2(N+1),rows,w/2]
                around = around.permute(0, 2, 3, 1).reshape(1, -1, w, HIDDEN_1 + 1).permute(0, 3, 1, 2)
                seen = wide[:, :, 4 * top + 2 * odd : 4 * end + 2 * odd + BANK_WINDOW - 4]
                cells = torch.cat(
                    [
                        texture[odd : odd + 1, top:end].permute(0, 3, 1, 2),
                        *self._own(seen),
                        rows_of_chroma[:, :, top:end, odd],
                    ],
                    1,
                )
                x = leaky(F.conv2d(cells, weights) + around)
                x = leaky(F.conv2d(x, second)).permute(0, 2, 3, 1).flatten(1, 2)
                strips.append((last @ x.transpose(1, 2)).reshape(1, OUTPUTS, -1, w)[:, :, :kept])
            planes.append(torch.cat(strips, 2))
        drawn = (torch.stack(planes, 3).reshape(1, OUTPUTS, h, w) + b3).clamp(0, 1)
        share = mask * amount
        return (
            luma + share * (F.pixel_shuffle(drawn[:, :4], 2) - luma),
            chroma + F.avg_pool2d(share, 2) * (drawn[:, 4:] - chroma),
        )

    def _low(self, luma: Tensor, wide: Tensor, chroma: Tensor) -> Tensor:
        """[1,CONTEXT + 4,h/2,w/2]: what the context is made of, means of the blocks, and one."""
        h, w = chroma.shape[2:]
        mixed = self.trunk.mixed(wide[:, :, 1:-1, 1:-1], chroma)  # the stem's window is two pixels smaller
        means = F.avg_pool2d(luma, 8)
        # two planes of one picture are copied into blocks of sixteen channels, two pictures of one are not
        of_chroma = F.avg_pool2d(chroma.reshape(2, 1, h, w), 4).reshape(1, 2, h // 4, w // 4)
        blocks = torch.cat([means, of_chroma, torch.ones_like(means)], 1)
        return torch.cat([mixed, F.interpolate(blocks, scale_factor=2.0, mode="nearest")], 1)

    def _own(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Of every second row of cells the samples and differences, and the strength of slopes."""
        bank = F.conv2d(seen, self.samples, stride=(4, 2))
        across, down = bank[:, 8:12], bank[:, 12:]
        return bank[:, :8], torch.sqrt(across * across + down * down + 1e-4)

    def _first(self, w1: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The first layer, a unit more than `w1` has: weights of a cell's own features, and for even and odd
        rows those of `_low`, for two cells."""
        one = torch.cat([torch.zeros(1, FEATURES - 1), torch.ones(1, 1)], 1)
        full = torch.cat([w1[:, :, 0, 0], one], 0)
        own = torch.cat([full[:, : _CONTEXT.start], full[:, _CHROMA]], 1)
        context = full[:, _CONTEXT]
        weight = self.trunk.context.weight[:, :, 0, 0].reshape(CONTEXT, 2, 2, -1)  # plane, row, column of 2x2
        bias = self.trunk.context.bias
        assert bias is not None
        constant = bias.reshape(CONTEXT, 2, 2, 1)
        spread = [
            torch.cat(
                [
                    torch.cat(
                        [
                            context @ weight[:, odd, column],
                            full[:, _BLOCKS],
                            full[:, FEATURES - 1 :] + context @ constant[:, odd, column],
                        ],
                        1,
                    )
                    for column in (0, 1)
                ]
            )[:, :, None, None]
            for odd in (0, 1)
        ]
        return own[:, :, None, None], spread
