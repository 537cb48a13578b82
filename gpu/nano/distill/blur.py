"""The lens blur: a disc as a wide aperture draws it, over what the mask lets blur, as a fixed graph.

Nothing is learned. Every mean is weighted with the mask, so the colours of what stays sharp (the person)
neither bleed into the blurred room nor leave a dark rim; bright spots weigh more and grow to discs.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.coarse import BLUR_TURN
from gpu.nano.distill.enlarge import Enlarge

RADIUS = 4.25  # of the disc, in quarter-size pixels: 17 px of the canvas
TURN = BLUR_TURN  # amount at which the small blur is complete and the disc begins to come in
HIGHLIGHT = 0.72  # luma of a byte, 0..1, above which light blooms
BLOOM = 3.0  # how much more white weighs than grey
_EMPTY = 1e-3  # where nothing may blur, the mean falls back to the picture itself


def disc(radius: float, finer: int = 8) -> np.ndarray:
    """[k, k] float32 weights of a disc with smooth rim, sum 1, k odd."""
    reach = int(np.ceil(radius - 0.5))
    side = (2 * reach + 1) * finer
    place = (np.arange(side) + 0.5) / finer - side / (2 * finer)
    inside = (place[:, None] ** 2 + place[None, :] ** 2 <= radius**2).astype(np.float64)
    kernel = inside.reshape(2 * reach + 1, finer, 2 * reach + 1, finer).mean((1, 3))
    return np.asarray(kernel / kernel.sum(), np.float32)


class Blur(nn.Module):
    """luma [B, 1, 2h, 2w], chroma [B, 2, h, w], mask like luma, amount [B, 1, 1, 1] -> luma, chroma."""

    small: Tensor
    wide: Tensor

    def __init__(self) -> None:
        super().__init__()
        tent = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16
        for name, kernel in (("small", tent), ("wide", disc(RADIUS))):
            self.register_buffer(name, torch.from_numpy(kernel).expand(4, 1, *kernel.shape).clone())
        self.enlarge_luma, self.enlarge_chroma = Enlarge(1, 4), Enlarge(2, 2)

    @staticmethod
    def _spread(x: Tensor, kernel: Tensor) -> Tensor:
        # the rim of the picture needs no repeating: what is not there has no weight
        return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=4)

    @staticmethod
    def _mean(sums: Tensor) -> Tensor:
        return sums[:, :3] / sums[:, 3:]

    def forward(self, luma: Tensor, chroma: Tensor, mask: Tensor, amount: Tensor) -> tuple[Tensor, Tensor]:
        picture = torch.cat([F.avg_pool2d(luma, 2), chroma], 1)
        share = F.avg_pool2d(mask, 2)
        glow = F.relu(picture[:, :1] - HIGHLIGHT) * (1 / (1 - HIGHLIGHT))
        weight = (share + _EMPTY) * (1 + BLOOM * glow * glow)
        sums = F.avg_pool2d(torch.cat([weight * picture, weight], 1), 2)
        near = self._spread(sums, self.small)
        far = self._mean(self._spread(near, self.wide))
        near = self._mean(near)
        little = (amount * (1 / TURN)).clamp(0, 1)
        much = ((amount - TURN) * (1 / (1 - TURN))).clamp(0, 1)
        blurred = near + much * (far - near)
        wide_luma = self.enlarge_luma(blurred[:, :1])
        wide_chroma = self.enlarge_chroma(blurred[:, 1:])
        return luma + little * mask * (wide_luma - luma), chroma + little * share * (wide_chroma - chroma)


def export(weights: Path) -> None:
    """Write `blur.onnx` into that folder."""
    weights.mkdir(parents=True, exist_ok=True)
    h, w = 240, 320
    canvas, half = {2: "H", 3: "W"}, {2: "h", 3: "w"}
    sizes = {"luma": canvas, "chroma": half, "mask": canvas, "new_luma": canvas, "new_chroma": half}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the tracing exporter, which keeps sizes free, says that it is the older one
        torch.onnx.export(
            Blur().eval(),
            (torch.rand(1, 1, 2 * h, 2 * w), torch.rand(1, 2, h, w), torch.ones(1, 1, 2 * h, 2 * w),
             torch.ones(1, 1, 1, 1)),
            str(weights / "blur.onnx"),
            input_names=["luma", "chroma", "mask", "amount"],
            output_names=["new_luma", "new_chroma"],
            dynamic_axes=sizes,
            opset_version=17,
            dynamo=False,
        )  # fmt: skip
