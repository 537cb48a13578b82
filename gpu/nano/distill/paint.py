"""Training task of the painter, and its export.

Targets are painted by the teacher in the data process, in bf16; every picture is used several times, seen
each time at another place of the grid and with other sensor noise, so that the student learns to paint the
same whatever the noise and the grid. Knows nothing of the run time.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from gpu.nano.distill.experts import merge
from gpu.nano.distill.gram import feature_distance, fine_energy, gram_distance, look
from gpu.nano.distill.paint_network import FOLDED, ROWS, Painter, Step, fold, own_norms, unfold
from gpu.nano.distill.paint_start import Student
from gpu.nano.distill.paint_tone import TONES
from gpu.nano.distill.pictures import U8, draw_clip
from gpu.nano.distill.teachers.pastiche import BLENDS, Pastiche, blend
from gpu.nano.edits import names_of

INPUTS = (
    "luma", "chroma", "mask", "amount", "gate", "flow", "share", "keep",
    "gamma", "beta", "tone_gain", "tone_offset", "carry", "cache_paint", "cache_stats",
)  # fmt: skip
OUTPUTS = ("out_luma", "out_chroma", "new_cache_paint", "new_cache_stats")
CROP, SHIFT = 192, 8  # pixels the student sees; the teacher paints that much more
SHELF = 1200  # pictures kept to be seen again
JUDGED_EVERY = 8  # every how many pictures of a batch one is judged by its features
STEADINESS = 2.2
UNWOVEN = 3.0
EDGE = 4  # pixels at the border that differ because what is beyond them does
PAINTED_ANEW = 0.25  # share of a batch the teacher paints; the rest is from the shelf
Painted = tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.float32]]  # source, painting, style


class Paint:
    """`stage` "start": mostly stem and head; "all": everything; "steady": pairs of one picture, moved."""

    name = "paint"

    def __init__(self, teacher: str, stage: str = "all", batch: str = "8") -> None:
        self._path, self._stage, self._size = Path(teacher), stage, int(batch)
        self._teacher: Pastiche | None = None
        self._judge: Pastiche | None = None
        self._shelf: list[Painted] = []
        self._pictures: list[U8] = []
        self._styles = np.stack([blend(name) for name in BLENDS])

    def network(self) -> nn.Module:
        student = Student()
        rng = np.random.default_rng(5)
        # any pictures will do for the start: edges and gradients of all directions
        noise = [
            cv2.GaussianBlur(rng.random((96, 96, 3), np.float32), (0, 0), s) for s in (0.8, 1.5, 3.0, 6.0)
        ]
        noise = [((n - n.min()) / (n.max() - n.min())).astype(np.float32) for n in noise * 13]
        student.start(Pastiche(self._path), noise)
        return student

    def groups(self, net: nn.Module) -> list[dict[str, Any]]:
        student = cast(Student, net)
        painter = student.painter
        new = [*painter.cells.parameters(), *painter.down.parameters(), *painter.colours.parameters()]
        old = [*painter.trunk.parameters(), *painter.up.parameters(), *painter.strokes.parameters()]
        groups = [{"params": new, "factor": 1.0}]
        slow = 0.1 if self._stage == "start" else 0.4
        return [*groups, {"params": [*old, student.gamma, student.beta], "factor": slow}]

    def _paint(self, pool: Sequence[U8], rng: np.random.Generator, count: int) -> list[Painted]:
        if self._teacher is None:
            self._teacher = Pastiche(self._path).bfloat16()
        if not self._pictures:
            self._pictures = distinct(pool)
        sources = [draw_clip(self._pictures, rng, CROP + SHIFT, scale=(1.2, 3.0))[0] for _ in range(count)]
        # other colours than the photographs have: a fifth with their channels exchanged
        sources = [s[..., rng.permutation(3)] if rng.random() < 0.2 else s for s in sources]
        styles = self._styles[rng.integers(len(self._styles), size=count)]
        mixed = rng.random(count) < 0.08  # a cross-fade of two styles is a blend of their rows
        styles = np.where(mixed[:, None], (styles + styles[::-1]) / 2, styles).astype(np.float32)
        image = torch.from_numpy(np.stack(sources)).permute(0, 3, 1, 2).bfloat16()
        with torch.no_grad():
            painted = self._teacher(image, torch.from_numpy(styles).bfloat16()).float()
        targets = painted.permute(0, 2, 3, 1).half().numpy()
        return [
            ((s * 255).round().astype(np.uint8), t, w)
            for s, t, w in zip(sources, targets, styles, strict=True)
        ]

    def batch(self, pool: Sequence[U8], rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
        """Folded source and painting [B, 6, 96, 96], style [B, 26], place in the picture [B, 2] in pixels.

        In stage "steady" two after another are of one picture."""
        pairs = self._stage == "steady"
        count = self._size // 2 if pairs else self._size
        filling = len(self._shelf) < SHELF // 4
        fresh = self._paint(pool, rng, count if filling else max(1, round(count * PAINTED_ANEW)))
        old = [self._shelf[int(rng.integers(len(self._shelf)))] for _ in range(count - len(fresh))]
        if len(self._shelf) < SHELF:
            self._shelf += fresh
        else:
            for item in fresh:
                self._shelf[int(rng.integers(SHELF))] = item
        chosen = [item for item in fresh + old for _ in range(2 if pairs else 1)]
        sources, targets = [], []
        places = rng.integers(SHIFT, size=(len(chosen), 2))
        for (y, x), (source, target, _) in zip(places, chosen, strict=True):
            window = np.s_[y : y + CROP, x : x + CROP]
            sources.append(source[window].astype(np.float32) / 255)
            targets.append(target[window].astype(np.float32))
        given, wanted = (
            fold(torch.from_numpy(np.stack(a)).permute(0, 3, 1, 2)).numpy() for a in (sources, targets)
        )
        levels = rng.uniform(0, 3, (len(given), 1, 1, 1)) * (rng.random((len(given), 1, 1, 1)) < 0.5)
        given = (given + rng.standard_normal(given.shape, np.float32) * (levels / 255)).astype(np.float32)
        return given, wanted, np.stack([style for _, _, style in chosen]), places

    def loss(self, net: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        student = cast(Student, net)
        source, target, styles, places = tensors
        made = paint(student, source, styles).float()
        weight = made.new_tensor([1.0] * 4 + [2.0] * 2)[None, :, None, None]
        # where a stroke lies may differ from the teacher's, who lays it anew when the picture moves
        total = (0.4 if self._stage == "steady" else 1.0) * ((made - target).abs() * weight).mean()
        small, wanted = made, target
        for _ in range(3):
            small, wanted = F.avg_pool2d(small, 2), F.avg_pool2d(wanted, 2)
            total = total + 0.7 * ((small - wanted).abs() * weight).mean()
        if self._stage == "start":
            return total
        # energy of strokes, place by place
        a, b = F.pixel_shuffle(made[:, :4], 2), F.pixel_shuffle(target[:, :4], 2)
        fine = [x - F.avg_pool2d(x, 5, 1, 2, count_include_pad=False) for x in (a, b)]
        local = [F.avg_pool2d(x.square(), 12) for x in fine]
        total = total + 0.9 * ((local[0] + 1e-4).sqrt() - (local[1] + 1e-4).sqrt()).abs().mean()
        total = total + UNWOVEN * F.relu(weave(fine[0]) - weave(fine[1])).mean()
        total = total + 0.1 * (fine_energy(a).add(1e-3).log() - fine_energy(b).add(1e-3).log()).abs().mean()
        if self._judge is None:
            self._judge = Pastiche(self._path)
        # the encoder costs more than the student: it looks at some of the batch
        some = slice(int(torch.randint(JUDGED_EVERY, ())), None, JUDGED_EVERY)
        with torch.no_grad():
            wanted_look = look(self._judge, unfold(target[some]))
        made_look = look(self._judge, unfold(made[some]), wanted_look)
        total = total + 0.08 * feature_distance(made_look, wanted_look)
        total = total + 0.05 * gram_distance(made_look, wanted_look).mean()
        if self._stage == "steady":
            total = total + STEADINESS * movement(a, made[:, 4:], places)
        return total

    def sheet(self, net: nn.Module, pictures: Sequence[U8]) -> U8:
        """Every style: teacher and student side by side, on one of three pictures."""
        student = cast(Student, net)
        if self._judge is None:
            self._judge = Pastiche(self._path)
        tiles = []
        views = [view(picture) for picture in pictures[1:4]]
        for n, name in enumerate(names_of("paint")):
            image = torch.from_numpy(views[n % len(views)]).permute(2, 0, 1)[None]
            style = torch.from_numpy(blend(name))[None]
            pair = [self._judge(image, style), unfold(paint(student, fold(image), style)).clamp(0, 1)]
            tile = np.hstack([(p[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8) for p in pair])
            tiles.append(cv2.putText(tile.copy(), name, (4, 14), 0, 0.45, (255, 0, 0), 1, cv2.LINE_AA))
        rows = [np.hstack(tiles[i : i + 3]) for i in range(0, len(tiles), 3)]
        return np.asarray(np.vstack(rows), np.uint8)


def weave(fine: Tensor) -> Tensor:
    """[B, 1, H, W] fine structure -> RMS of what repeats from one 4x4 cell of the trunk to the next.

    A network that is asked for texture and knows none is tempted to weave one out of its own grid."""
    repeated = F.avg_pool2d(F.pixel_unshuffle(fine, 4), 4, 2)
    return (repeated.square().mean(1) + 1e-6).sqrt()


def movement(luma: Tensor, chroma: Tensor, places: Tensor) -> Tensor:
    """Mean difference of pairs where both show the same. luma [B, 1, H, W], chroma [B, 2, H/2, W/2]."""
    planes = torch.cat([luma, F.interpolate(chroma, scale_factor=2.0, mode="bilinear")], 1)
    size, edge, total = planes.shape[2] - SHIFT - 2 * EDGE, EDGE, planes.new_zeros(())
    for i in range(0, len(planes), 2):
        pair = []
        for plane, place in zip(planes[i : i + 2], places[i : i + 2], strict=True):
            top, left = (SHIFT + edge - int(p) for p in place)
            pair.append(plane[:, top : top + size, left : left + size])
        total = total + (pair[0] - pair[1]).abs().mean()
    return total * 2 / len(planes)


def distinct(pool: Sequence[U8]) -> list[U8]:
    """Without pictures nearly like another before them (frames of one clip), or nearly empty."""
    kept: list[U8] = []
    small: list[NDArray[np.float32]] = []
    for picture in pool:
        thumb = cv2.resize(picture, (16, 12), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        detail = float(np.abs(np.diff(picture[::2, ::2].astype(np.float32), axis=1)).mean())
        if detail > 1.5 and all(float(np.abs(thumb - other).mean()) > 0.04 for other in small):
            kept.append(picture)
            small.append(thumb)
    return kept or list(pool)


def view(picture: U8, width: int = 320, height: int = 240) -> NDArray[np.float32]:
    """[height, width, 3] in 0..1: the middle of a picture, scaled to fill."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return small[top : top + height, left : left + width].astype(np.float32) / 255


def paint(student: Student, source: Tensor, styles: Tensor) -> Tensor:
    """Folded source [B, 6, h, w], weights of the paintings [B, 26] -> folded painting, before tone."""
    return cast(Tensor, student.painter(source, own_norms(styles @ student.gamma, styles @ student.beta)))


def example_inputs(width: int = 640, height: int = 480) -> tuple[Tensor, ...]:
    """Inputs of the right shapes for a canvas of that size."""
    h, w = height // 2, width // 2
    one, six = torch.ones(1, 1, 1, 1), torch.zeros(1, FOLDED, 1, 1)
    return (
        torch.rand(1, 1, 2 * h, 2 * w), torch.rand(1, 2, h, w), torch.ones(1, 1, 2 * h, 2 * w), one,
        torch.zeros(1, 1, h // 4, w // 4), torch.zeros(1, 2, h // 4, w // 4),
        torch.zeros(1, 1, h // 2, w // 2), one, torch.ones(1, ROWS, 1, 1), torch.zeros(1, ROWS, 1, 1),
        six + 1, six, six, torch.zeros(1, FOLDED, h // 2, w // 2), torch.zeros(2, ROWS, 1, 1),
    )  # fmt: skip


def export_graph(painter: Painter, path: Path) -> None:
    """`paint.onnx` with free sizes."""
    luma, chroma = {2: "2h", 3: "2w"}, {2: "h", 3: "w"}
    half = {2: "h/2", 3: "w/2"}
    sizes = {
        "luma": luma, "chroma": chroma, "mask": luma, "gate": {2: "h/4", 3: "w/4"}, "cache_paint": half,
        "flow": {2: "h/4", 3: "w/4"}, "share": half,
        "out_luma": luma, "out_chroma": chroma, "new_cache_paint": half,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is the older one, and says so
        torch.onnx.export(
            Step(painter).eval(), example_inputs(), str(path), input_names=list(INPUTS),
            output_names=list(OUTPUTS), dynamic_axes=sizes, opset_version=17, dynamo=False,
        )  # fmt: skip


def export(checkpoint: Path, weights: Path) -> None:
    """Write `paint.onnx` into `weights` and every style's rows into its experts."""
    student = Student()
    student.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["ema"])
    export_student(student, weights)


def export_student(student: Student, weights: Path) -> None:
    export_graph(student.painter, weights / "paint.onnx")
    experts = {}
    with torch.no_grad():
        for name in names_of("paint"):
            style = torch.from_numpy(blend(name))
            rows = {"gamma": style @ student.gamma, "beta": style @ student.beta}
            tensors = {key: row.numpy()[None, :, None, None] for key, row in rows.items()}
            experts[name] = tensors | TONES[name].tensors()
    merge(weights, "paint", experts)
