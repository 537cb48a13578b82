"""The person mask's training task and export: the teacher's own network, carried on as ours.

`python -m gpu.nano.distill.loop gpu.nano.distill.person:PersonTask --option teacher=PATH.tflite ...`
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gpu.nano.colour import rgb_to_planes
from gpu.nano.distill.person_clips import CANVASES, Clip, Subject, composed, filmed, found, subjects, vacant
from gpu.nano.distill.person_network import CELL, Person, adopt, firmly
from gpu.nano.distill.teachers.person import load, segment

U8 = NDArray[np.uint8]

CLIPS, FRAMES = 2, 2  # of a batch
INPUTS = ("luma", "chroma", "cache_level", "flow", "share", "keep")
OUTPUTS = ("mask", "new_cache_level")


def _floats(picture: U8) -> NDArray[np.float32]:
    return np.asarray(picture / np.float32(255), np.float32)


def _bytes(plane: NDArray[np.float32]) -> U8:
    return np.asarray(np.round(np.clip(plane, 0, 1) * 255), np.uint8)


class PersonTask:
    """Option `teacher`: path of selfie_segmentation.tflite."""

    name = "person"

    def __init__(self, teacher: str) -> None:
        self.teacher = load(Path(teacher))
        self._found: tuple[list[Subject], list[U8]] | None = None

    def network(self) -> nn.Module:
        return adopt(self.teacher)

    def groups(self, net: nn.Module) -> list[dict[str, Any]]:
        """The teacher's part stays as it is: it has seen far more people, and let to move it got worse."""
        new = []
        for name, parameter in net.named_parameters():
            if name.startswith(("base.", "stem_", "level")):
                parameter.requires_grad_(False)
            else:
                new.append(parameter)
        return [{"params": new, "factor": 1.0}]

    def batch(self, pool: Sequence[U8], rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        """luma and mask [B, T, 1, H, W], chroma [B, T, 2, H/2, W/2]: luma, chroma, mask; bytes."""
        if self._found is None:
            self._found = subjects(pool, self.teacher)
            if not self._found[0] or not self._found[1]:
                raise ValueError("the person mask needs pictures with people and without: give more folders")
        people, empty = self._found
        size = CANVASES[int(rng.integers(len(CANVASES)))]
        planes: list[list[NDArray[Any]]] = [[], [], []]
        for _ in range(CLIPS):
            kind = rng.random()
            if kind < 0.65:
                clip = composed(people, empty, self.teacher, size, FRAMES, rng)
            elif kind < 0.9:
                clip = found(people[int(rng.integers(len(people)))], size, FRAMES, rng)
            else:
                clip = vacant(empty[int(rng.integers(len(empty)))], size, FRAMES, rng)
            for part, values in zip(planes, self._pack(clip, rng), strict=True):
                part.append(values)
        return tuple(np.stack(part) for part in planes)

    @staticmethod
    def _pack(clip: Clip, rng: np.random.Generator) -> tuple[U8, U8, U8]:
        both = [rgb_to_planes(frame) for frame in filmed(clip.frames, rng)]
        return (
            np.stack([_bytes(luma)[None] for luma, _ in both]),
            np.stack([_bytes(chroma) for _, chroma in both]),
            np.stack([_bytes(mask)[None] for mask in clip.fine]),
        )

    def loss(self, net: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        """At the base's edges: near the fine mask, and as wrong in one frame as in the next."""
        assert isinstance(net, Person)
        luma, chroma, fine = (x.float() / 255 for x in tensors)
        batch, frames = luma.shape[:2]
        flat = luma.flatten(0, 1), chroma.flatten(0, 1)
        logits, level = (x.float() for x in net.now(*flat))
        cells = F.pixel_unshuffle(fine.flatten(0, 1), CELL)
        band = net.band(level).expand_as(cells)
        wrong = (firmly(logits) - cells) * band
        apart = F.binary_cross_entropy_with_logits(logits, cells, band, reduction="sum")
        apart = apart + wrong.abs().sum() + wrong.unflatten(0, (batch, frames)).diff(dim=1).abs().sum()
        return apart / (band.sum() + 100)

    def sheet(self, net: nn.Module, pictures: Sequence[U8]) -> U8:
        """Rows of picture, teacher, ours, on a green ground; the pictures with most person first."""
        scored = [(segment(self.teacher, _floats(p)), p) for p in pictures]
        scored.sort(key=lambda pair: -float((pair[0] > 0.5).mean()))
        rows = []
        for theirs, picture in scored[:8]:
            height, width = (n // 8 * 8 for n in picture.shape[:2])
            assert isinstance(net, Person)
            ours = mask_of(net, _floats(picture[:height, :width]))
            cells = [
                picture[:height, :width],
                on_green(picture, theirs)[:height, :width],
                on_green(picture[:height, :width], ours),
            ]
            rows.append(
                np.hstack([cv2.resize(cell, (480, 360), interpolation=cv2.INTER_AREA) for cell in cells])
            )
        return np.vstack(rows)


def on_green(picture: U8, mask: NDArray[np.float32]) -> U8:
    """The person before green, to judge a mask by eye."""
    green = np.array([0, 150, 60], np.float32)
    return np.asarray(green + mask[..., None] * (picture - green), np.uint8)


def mask_of(net: Person, picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mask [H, W] of one picture RGB [H, W, 3] in 0..1, sides multiples of 8; no memory."""
    luma, chroma = (torch.from_numpy(p.copy()) for p in rgb_to_planes(picture))
    with torch.inference_mode():
        logits, _ = net.now(luma[None, None], chroma[None])
        mask = net.pixels(firmly(logits))
    return np.asarray(mask[0, 0].numpy(), np.float32)


def write(net: Person, path: Path) -> None:
    """Write the network as ONNX with free sizes."""
    net.settle()
    h, w = 240, 320
    full, half = {2: "H", 3: "W"}, {2: "h", 3: "w"}
    example = (
        torch.rand(1, 1, 2 * h, 2 * w), torch.rand(1, 2, h, w), torch.rand(1, 1, h, w),
        torch.zeros(1, 2, h // 4, w // 4), torch.rand(1, 1, h // 2, w // 2), torch.ones(1, 1, 1, 1),
    )  # fmt: skip
    sizes = {
        "luma": full,
        "chroma": half,
        "cache_level": half,
        "flow": {2: "h4", 3: "w4"},
        "share": {2: "h2", 3: "w2"},
        "mask": full,
        "new_cache_level": half,
    }
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the tracing exporter, which keeps sizes free, says that it is the older one
        torch.onnx.export(
            net.eval(), example, str(path), input_names=list(INPUTS), output_names=list(OUTPUTS),
            dynamic_axes=sizes, opset_version=17, dynamo=False,
        )  # fmt: skip


def export(checkpoint: Path, weights: Path) -> None:
    """Write `person.onnx` of that checkpoint into the folder."""
    net = Person()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["ema"])
    weights.mkdir(parents=True, exist_ok=True)
    write(net, weights / "person.onnx")
