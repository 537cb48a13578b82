"""Drawings: the task of the training loop, and the export of `draw.onnx` with its experts.

`python -m gpu.nano.distill.loop gpu.nano.distill.draw:Draw --pool POOL --out DIR --minutes N --bf16`
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gpu.nano import pixel_art
from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.distill import experts
from gpu.nano.distill.draw_graph import StripStage
from gpu.nano.distill.draw_loss import drawing_loss
from gpu.nano.distill.draw_network import SHAPES, Drawings
from gpu.nano.distill.draw_start import start_head
from gpu.nano.distill.graphs import export_graph
from gpu.nano.distill.pictures import U8, add_noise, draw_clip
from gpu.nano.distill.teachers.drawings import draw
from gpu.nano.edits import moves_sheet, names_of
from gpu.nano.geometry import REPEATS, sheet_of, textures_for

F32 = NDArray[np.float32]
NAMES = tuple(name for name in names_of("draw") if name != pixel_art.NAME)  # that is a program
GRAPH = "draw.onnx"
SIZE = 144  # side of a crop in luma pixels, a multiple of 8
CROPS = 6  # in a batch
DRAWINGS = 3  # of every crop
_LIES_STRAIGHT = 0.3  # of all sheets that move
_ZOOMED, _TURNED = 0.05, 0.05  # of sheets, a standard deviation; radians
NOISE_LEVELS = 4.0  # at most, of 255; the target is drawn from the clean picture: calmer than its teacher


def untrained() -> Drawings:
    return Drawings([start_head(name) for name in NAMES])


class Draw:
    """Every batch holds a few drawings of the same crops, each on its own texture: one trunk, some heads."""

    name = "draw"

    def __init__(self, only: str = "") -> None:
        """`only`: names of the drawings to train, joined by commas, some perhaps twice; empty: all."""
        self.chosen = [NAMES.index(name) for name in (only.split(",") if only else NAMES)]

    def network(self) -> nn.Module:
        return untrained()

    def groups(self, net: nn.Module) -> list[dict[str, Any]]:
        assert isinstance(net, Drawings)
        # a head is seen in a third of the batches
        return [
            {"params": list(net.trunk.parameters()), "factor": 0.5},
            {"params": list(net.heads.parameters()), "factor": 2.0},
        ]

    def batch(self, pool: Sequence[U8], rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        """drawings int64 [D]; sources luma [N,1,S,S], chroma [N,2,S/2,S/2]; of every drawing of every source
        texture [D,N,2,S,S], luma [D,N,1,S,S], chroma [D,N,2,S/2,S/2]."""
        several = len(set(self.chosen)) >= DRAWINGS
        drawings = rng.choice(self.chosen, DRAWINGS, replace=not several)
        sources: list[list[F32]] = [[], []]
        targets: list[list[F32]] = [[], [], []]
        pictures = []
        for _ in range(CROPS):
            luma, chroma = _planes(draw_clip(pool, rng, SIZE)[0])
            levels = 0.0 if rng.random() < 0.4 else rng.uniform(0, NOISE_LEVELS)
            sources[0].append(add_noise(luma[None], rng, levels))
            sources[1].append(add_noise(chroma, rng, levels / 2))
            pictures.append(planes_to_rgb(luma, chroma))
        for drawing in drawings:
            for picture in pictures:
                texture = a_sheet(NAMES[drawing], rng)
                luma, chroma = _planes(draw(NAMES[drawing], picture, texture))
                for column, array in zip(targets, (texture, luma[None], chroma), strict=True):
                    column.append(array)
        grouped = (np.stack(c).reshape(DRAWINGS, CROPS, *c[0].shape) for c in targets)
        return (drawings.astype(np.int64), *(np.stack(c) for c in sources), *grouped)

    def loss(self, net: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        assert isinstance(net, Drawings)
        drawings, luma, chroma, textures, targets, targets_chroma = tensors
        features = net.trunk(luma, chroma)
        loss = torch.zeros((), device=luma.device)
        for number, drawing in enumerate(drawings.tolist()):
            new, new_chroma = net.draw(features, textures[number], drawing)
            with torch.autocast(luma.device.type, enabled=False):
                loss = loss + drawing_loss(
                    new.float(), new_chroma.float(), targets[number], targets_chroma[number]
                )
        return loss / len(drawings)

    def sheet(self, net: nn.Module, pictures: Sequence[U8]) -> U8:
        """A row a drawing: of two pictures, teacher and student."""
        assert isinstance(net, Drawings)
        shown = [_fit(pictures[i % len(pictures)]) for i in (3, 19)]
        rows = []
        for index, name in enumerate(NAMES):
            row = []
            for image in shown:
                h, w = image.shape[0] // 2, image.shape[1] // 2
                texture = textures_for(name, w, h)
                luma, chroma = rgb_to_planes(image)
                made = draw(name, planes_to_rgb(luma, chroma), texture)
                row += [planes_to_rgb(*rgb_to_planes(made)), drawn(net, image, index)]
            rows.append(np.hstack(row))
        return np.asarray(np.round(np.vstack(rows) * 255), np.uint8)


def a_sheet(name: str, rng: np.random.Generator) -> F32:
    """[2, SIZE, SIZE] in -1..1 a piece of the sheet it is drawn on, from anywhere; of one that goes along
    with the picture also from between pixels, a little turned and zoomed."""
    if not moves_sheet(name) or rng.random() < _LIES_STRAIGHT:
        x, y = (int(v) * 8 for v in rng.integers(64, size=2))  # as at the start of a stream
        return textures_for(name, SIZE // 2, SIZE // 2, x, y)
    rows, cols = np.mgrid[:SIZE, :SIZE].astype(np.float32) - np.float32(SIZE / 2)
    turned = rng.normal(1, _ZOOMED) * np.exp(1j * rng.normal(0, _TURNED))
    where = turned * (cols + 1j * rows) + complex(*rng.uniform(0, REPEATS, 2))
    across, down = (np.asarray(part % REPEATS + 1, np.float32) for part in (where.real, where.imag))
    return np.stack([cv2.remap(tile, across, down, cv2.INTER_LINEAR) for tile in sheet_of(name)[0]])


def _affine() -> NDArray[np.float64]:
    """[3, 4] from RGB to YUV, read off `rgb_to_planes`: what black, red, green and blue become."""
    corners = np.repeat(np.vstack([np.zeros(3), np.eye(3)]).astype(np.float32), 2, 0)[None].repeat(2, 0)
    luma, chroma = rgb_to_planes(corners)
    yuv = np.vstack([luma[:1, ::2], chroma[:, 0]]).astype(np.float64)
    return np.asarray(np.hstack([yuv[:, 1:] - yuv[:, :1], yuv[:, :1]]), np.float64)


_AFFINE = _affine()


def _planes(image: F32) -> tuple[F32, F32]:
    """`rgb_to_planes`, several times faster: half of a data process' time went there."""
    yuv = cv2.transform(image, _AFFINE)
    chroma = cv2.resize(yuv, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(yuv[..., 0]), np.ascontiguousarray(chroma[..., 1:].transpose(2, 0, 1))


def _fit(image: U8) -> F32:
    """The middle of a picture at 400x304."""
    height, width = image.shape[:2]
    scale = max(400 / width, 304 / height) * 1.001
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left = (small.shape[1] - 400) // 2
    return np.asarray(small[:304, left : left + 400] / np.float32(255), np.float32)


@torch.no_grad()
def drawn(net: Drawings, image: F32, index: int) -> F32:
    """Drawing `index` of a picture RGB [H, W, 3] 0..1, sides multiples of 8, by the network."""
    height, width = image.shape[:2]
    luma, chroma = rgb_to_planes(image)
    texture = textures_for(NAMES[index], width // 2, height // 2)
    source, source_chroma, sheet = (torch.from_numpy(x)[None] for x in (luma[None], chroma, texture))
    new, new_chroma = net.draw(net.trunk(source, source_chroma), sheet, index)
    return planes_to_rgb(new[0, 0].clamp(0, 1).numpy(), new_chroma[0].clamp(0, 1).numpy())


def write(net: Drawings, weights: Path) -> None:
    """`draw.onnx` and the experts of the drawings, into the folder `weights`."""
    h, w = 240, 320
    examples = {
        "luma": torch.rand(1, 1, 2 * h, 2 * w),
        "chroma": torch.rand(1, 2, h, w),
        "texture": torch.zeros(2, h // 2, w, 8),
        "mask": torch.ones(1, 1, 2 * h, 2 * w),
        "amount": torch.ones(1, 1, 1, 1),
    } | {name: torch.randn(shape) * 0.1 for name, shape in SHAPES.items()}
    canvas, half = {2: "h2", 3: "w2"}, {2: "h", 3: "w"}
    sizes = {"luma": canvas, "texture": {1: "rows", 2: "w"}, "mask": canvas, "new_luma": canvas}
    sizes |= {"chroma": half, "new_chroma": half}
    export_graph(StripStage(net.trunk), examples, ("new_luma", "new_chroma"), sizes, weights / GRAPH)
    heads = {
        name: {key: value.detach().numpy() for key, value in net.head(index).items()}
        for index, name in enumerate(NAMES)
    }
    experts.merge(weights, "draw", heads)


def export(checkpoint: Path, weights: Path) -> None:
    """A checkpoint of the training loop becomes the files the run time loads."""
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    net = untrained()
    net.load_state_dict(stored["ema"])
    write(net, weights)
