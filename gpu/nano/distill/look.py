"""The looks' network: a tiny one per edit, on the four luma pixels, the colour and the place of a 2x2 cell.

`Look` is the graph: the weights are its inputs, so one graph serves every edit. `Looks` is the task: all
edits learn at once on the same random cells, and share nothing.
    python -m gpu.nano.distill.loop gpu.nano.distill.look:Looks --pool POOL --out DIR --minutes 40
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.distill import experts
from gpu.nano.distill.look_cells import INPUTS, Cells
from gpu.nano.distill.pictures import U8
from gpu.nano.distill.teachers.looks import PLAIN, look
from gpu.nano.distill.teachers.pixels import HAZE_GRID, HAZE_SIGMA
from gpu.nano.distill.teachers.place import place_of
from gpu.nano.edits import HUES
from gpu.nano.experts import mix_recolour, pack
from gpu.nano.geometry import coordinates

F32 = NDArray[np.float32]

HIDDEN = 31  # with the one unit that carries the biases: 32
PLAIN_OUTPUTS = 6  # what is added to the four luma pixels, U and V
RECOLOUR_OUTPUTS = 10  # see gpu.nano.experts.mix_recolour
LOSS_SCALE = 30.0  # keeps small gradients well above the optimiser's epsilon
TENSORS = ("w1", "b1", "w2", "b2", "w3", "b3")
CANVAS_INPUTS = ("luma", "chroma", "aux", "mask", "amount")
OUTPUTS = ("new_luma", "new_chroma")


def _bell() -> Tensor:
    """[9]: a Gaussian of HAZE_SIGMA cells."""
    away = torch.arange(-4.0, 5.0)
    bell = torch.exp(-(away**2) / (2 * HAZE_SIGMA**2))
    return bell / bell.sum()


def _enlarge() -> Tensor:
    """[16,1,3,3]: bilinear enlargement by four as a convolution, faster than an engine's resize."""
    at = (torch.arange(4.0) + 0.5) / 4 - 0.5
    line = torch.stack([(-at).clamp(min=0), 1 - at.abs(), at.clamp(min=0)], 1)
    return torch.einsum("ik,jl->ijkl", line, line).reshape(16, 1, 3, 3)


def wide_blur(luma: Tensor, chroma: Tensor) -> Tensor:
    """luma [1,1,2h,2w], chroma [1,2,h,w] -> [1,3,h,w]: the colour around every cell."""
    coarse = torch.cat([F.avg_pool2d(luma, HAZE_GRID), F.avg_pool2d(chroma, HAZE_GRID // 2)], 1)
    coarse = F.pad(coarse, (5, 5, 5, 5), mode="replicate")  # the bell's four and the enlargement's one
    bell = _bell()
    coarse = F.conv2d(coarse, bell.view(1, 1, 9, 1).repeat(3, 1, 1, 1), groups=3)
    coarse = F.conv2d(coarse, bell.view(1, 1, 1, 9).repeat(3, 1, 1, 1), groups=3)
    return F.pixel_shuffle(F.conv2d(coarse, _enlarge().repeat(3, 1, 1, 1), groups=3), HAZE_GRID // 2)


class Look(nn.Module):
    """One stage of the run time as it is exported: x + amount * mask * (edit(x) - x)."""

    def forward(
        self,
        luma: Tensor,  # [1,1,2h,2w] 0..1
        chroma: Tensor,  # [1,2,h,w]
        aux: Tensor,  # [1,2,h,w] squared radius, height
        mask: Tensor,  # [1,1,2h,2w] 0..1
        amount: Tensor,  # [1,1,1,1]
        w1: Tensor,  # [1,N,INPUTS + 1], see gpu.nano.experts.pack
        w2: Tensor,  # [1,N,N]
        w3: Tensor,  # [1,6,N]
    ) -> tuple[Tensor, Tensor]:
        one = aux[:, :1] * 0 + 1
        x = torch.cat([F.pixel_unshuffle(luma, 2), chroma, aux, wide_blur(luma, chroma), one], 1)
        x = F.relu(F.conv2d(x, w1[0][:, :, None, None]))
        x = F.relu(F.conv2d(x, w2[0][:, :, None, None]))
        x = F.conv2d(x, w3[0][:, :, None, None])
        share = amount * mask
        return (
            luma + share * F.pixel_shuffle(x[:, :4], 2),
            chroma + F.avg_pool2d(share, 2) * x[:, 4:],
        )


class _Error(torch.autograd.Function):
    """The squared error of many small networks, forward and backward at once, one network after another:
    activations never leave the processor's cache, which is seven times faster than a batched product."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, targets: Tensor, *weights: Tensor) -> Tensor:
        total = torch.zeros((), device=cells.device)
        gradients = [torch.empty_like(w) for w in weights]
        for edit, target in enumerate(targets):
            w1, b1, w2, b2, w3, b3 = (w[edit] for w in weights)
            first = torch.addmm(b1, w1, cells).relu_()
            second = torch.addmm(b2, w2, first).relu_()
            away = torch.addmm(b3, w3, second).sub_(target)
            total += away.square().mean()
            away.mul_(2 / away.numel())
            to_second = torch.mm(w3.T, away).mul_(second > 0)
            to_first = torch.mm(w2.T, to_second).mul_(first > 0)
            for layer, (back, seen) in enumerate(((to_first, cells), (to_second, first), (away, second))):
                torch.mm(back, seen.T, out=gradients[2 * layer][edit])
                torch.sum(back, 1, keepdim=True, out=gradients[2 * layer + 1][edit])
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(grad * own for own in ctx.saved_tensors))


class Bank(nn.Module):
    """Weights of E independent networks of that many outputs."""

    def __init__(self, edits: int, outputs: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)

        def normal(*shape: int, std: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) * std)

        self.w1 = normal(edits, HIDDEN, INPUTS, std=(2 / INPUTS) ** 0.5)
        self.b1 = normal(edits, HIDDEN, 1, std=0.3)
        self.w2 = normal(edits, HIDDEN, HIDDEN, std=(2 / HIDDEN) ** 0.5)
        self.b2 = nn.Parameter(torch.zeros(edits, HIDDEN, 1))
        self.w3 = normal(edits, outputs, HIDDEN, std=0.03)
        self.b3 = nn.Parameter(torch.zeros(edits, outputs, 1))

    def error(self, cells: Tensor, targets: Tensor) -> Tensor:
        """cells [INPUTS, B], targets [E, outputs, B] -> the sum over edits of their mean squared errors."""
        return cast(Tensor, _Error.apply(cells, targets, *(getattr(self, name) for name in TENSORS)))

    def tensors(self, index: int) -> dict[str, F32]:
        """One network's weights as the graph takes them."""
        return {name: getattr(self, name)[index : index + 1].detach().cpu().numpy() for name in TENSORS}


class Networks(nn.Module):
    """All looks: the plain ones, then colour_pop and recolour of every hue."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = Bank(len(PLAIN) + len(HUES), PLAIN_OUTPUTS)
        self.recolour = Bank(len(HUES), RECOLOUR_OUTPUTS)

    def experts(self) -> dict[str, dict[str, F32]]:
        """By `edit` or `edit/hue`, as they are stored."""
        pops = [f"colour_pop/{hue}" for hue in HUES]
        stored = {name: self.plain.tensors(i) for i, name in enumerate([*PLAIN, *pops])}
        return stored | {f"recolour/{hue}": self.recolour.tensors(i) for i, hue in enumerate(HUES)}


class Looks:
    """The task of the training loop."""

    name = "look"

    def __init__(self) -> None:
        self._cells = Cells()

    def network(self) -> nn.Module:
        return Networks()

    def groups(self, net: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "factor": 1.0}]

    def batch(self, pool: Sequence[U8], rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        return self._cells.draw(pool, rng)

    def loss(self, net: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        cells, plain, recolour = tensors
        nets = cast(Networks, net)
        return LOSS_SCALE * (nets.plain.error(cells, plain) + nets.recolour.error(cells, recolour))

    def sheet(self, net: nn.Module, pictures: Sequence[U8]) -> U8:
        """Teacher above network, for every plain look and some colours, on one picture each."""
        stored = cast(Networks, net).experts()
        asked: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in PLAIN]
        asked += [("colour_pop", ("red",)), ("recolour", ("red", "blue")), ("recolour", ("green", "pink"))]
        tiles = []
        for i, (name, colours) in enumerate(asked):
            image = cv2.resize(pictures[i % len(pictures)], (240, 176)).astype(np.float32) / 255
            image = planes_to_rgb(*rgb_to_planes(image))
            pair = [look(name, image, place_of(240, 176), colours), apply(stored, name, image, colours)]
            tiles.append(np.vstack(pair))
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 6)
        rows = [np.hstack(tiles[i : i + 6]) for i in range(0, len(tiles), 6)]
        return np.asarray(np.vstack(rows) * 255, np.uint8)


def tensors_of(
    stored: Mapping[str, Mapping[str, F32]], name: str, colours: Sequence[str] = ()
) -> dict[str, Tensor]:
    """The graph's weights for a learned look."""
    if name == "recolour":
        made = pack(mix_recolour(stored[f"recolour/{colours[0]}"], colours[1]))
    else:
        made = pack(stored["/".join((name, *colours))])
    return {key: torch.from_numpy(array) for key, array in made.items()}


def apply(stored: Mapping[str, Mapping[str, F32]], name: str, image: F32, colours: Sequence[str] = ()) -> F32:
    """The network's picture RGB [H, W, 3] (multiples of 8), as the run time makes it at amount 1."""
    luma, chroma = rgb_to_planes(image)
    height, width = luma.shape
    aux = torch.from_numpy(coordinates(width, height))[None]
    with torch.no_grad():
        new_luma, new_chroma = Look()(
            torch.from_numpy(luma)[None, None], torch.from_numpy(chroma)[None], aux,
            torch.ones(1, 1, height, width), torch.ones(1, 1, 1, 1), **tensors_of(stored, name, colours),
        )  # fmt: skip
    return planes_to_rgb(new_luma[0, 0].numpy(), new_chroma[0].numpy())


def export(checkpoint: Path, weights: Path) -> None:
    """Write look.onnx and the looks' experts into the folder `weights`."""
    net = Networks()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["ema"])
    stored = net.experts()
    export_graph(weights, tensors_of(stored, next(iter(PLAIN))))
    experts.merge(weights, "look", stored)


def export_graph(weights: Path, tensors: Mapping[str, Tensor]) -> None:
    """look.onnx with free picture sizes; `tensors` gives the shapes of the weights."""
    example = (
        torch.rand(1, 1, 48, 64), torch.rand(1, 2, 24, 32), torch.rand(1, 2, 24, 32),
        torch.ones(1, 1, 48, 64), torch.ones(1, 1, 1, 1), *tensors.values(),
    )  # fmt: skip
    luma, chroma = {2: "2h", 3: "2w"}, {2: "h", 3: "w"}
    sizes = {
        "luma": luma,
        "mask": luma,
        "new_luma": luma,
        "chroma": chroma,
        "aux": chroma,
        "new_chroma": chroma,
    }
    weights.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # the tracing exporter keeps Resize's sizes symbolic; it is the older one, and says so
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Look(), example, str(weights / "look.onnx"), input_names=[*CANVAS_INPUTS, *tensors],
            output_names=list(OUTPUTS), dynamic_axes=sizes, opset_version=17, dynamo=False,
        )  # fmt: skip
