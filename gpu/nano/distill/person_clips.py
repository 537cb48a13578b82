"""Clips to learn the person mask from: people cut out of photographs by the teacher, laid on other ones.

The teacher finds the people; a colour guided filter brings its mask to the picture's edges; what is cut out
so is laid, moving, before pictures without people. There the mask is known to the pixel, hair included.
Noise, exposure and blur come last: the targets are those of the clean picture. Knows no student.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.nano.distill.teachers.person import Selfie, segment

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

# luma (width, height): what geometry.working_size makes of cameras' shapes, upright and small ones too
CANVASES = ((640, 480), (736, 416), (480, 640), (480, 360), (416, 416), (424, 240), (320, 240))
ALIKE = (
    0.8  # IoU of the cut-out's mask with the teacher's in its new place from which the former is the target
)
_REACH, _EPS = 8, 2e-4  # of the guided filter: pixels, squared contrast


@dataclass
class Subject:
    """A photograph RGB uint8 with the teacher's mask brought to its edges, [H, W] 0..1."""

    picture: U8
    fine: F32
    box: tuple[int, int, int, int]  # left, top, right, bottom of the person


def to_edges(picture: F32, mask: F32) -> F32:
    """The mask as a local linear function of colour (He et al., Guided Image Filtering, 2010), made firm."""

    def mean(x: F32) -> F32:
        return np.asarray(cv2.blur(x, (2 * _REACH + 1, 2 * _REACH + 1)), np.float32)

    average, average_mask = mean(picture), mean(mask)
    cross = mean(picture * mask[..., None]) - average * average_mask[..., None]
    outer = mean((picture[..., :, None] * picture[..., None, :]).reshape(*mask.shape, 9).copy())
    spread = outer.reshape(*mask.shape, 3, 3) - average[..., :, None] * average[..., None, :]
    slope = np.linalg.solve(spread + _EPS * np.eye(3, dtype=np.float32), cross[..., None])[..., 0]
    level = average_mask - (slope * average).sum(-1)
    soft = (mean(slope.astype(np.float32)) * picture).sum(-1) + mean(level.astype(np.float32))
    firm = np.clip((soft - 0.25) / 0.6, 0, 1)  # a little inward: no rim of the old background comes along
    # what the colours say far from the teacher's own edge is not to be trusted
    near = cv2.dilate(mask, np.ones((13, 13))), cv2.erode(mask, np.ones((13, 13)))
    firm = np.minimum(firm, np.clip(near[0] * 2, 0, 1))
    return np.asarray(np.maximum(firm, np.clip(near[1] * 2 - 1, 0, 1)), np.float32)


def subjects(pool: Sequence[U8], teacher: Selfie) -> tuple[list[Subject], list[U8]]:
    """Pictures in which the teacher is sure of a person, and those in which it sees none."""
    people: list[Subject] = []
    empty: list[U8] = []
    for picture in pool:
        floats = np.asarray(picture / np.float32(255), np.float32)
        coarse = segment(teacher, floats)
        share = float((coarse > 0.5).mean())
        if share < 0.002:
            empty.append(picture)
        elif 0.02 < share < 0.85 and float((coarse > 0.9).sum()) > 0.75 * float((coarse > 0.1).sum()):
            rows, columns = np.where(coarse.max(1) > 0.5)[0], np.where(coarse.max(0) > 0.5)[0]
            box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
            people.append(Subject(picture, to_edges(floats, coarse), box))
    return people, empty


def _warp(image: NDArray[np.generic], matrix: NDArray[np.float64], size: tuple[int, int], border: int) -> F32:
    step = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if step > 1.5:  # source pixels per pixel: first a size that bilinear sampling does not alias
        image = cv2.resize(image, None, fx=1.2 / step, fy=1.2 / step, interpolation=cv2.INTER_AREA)
        matrix = matrix * (1.2 / step)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, size, flags=flags, borderMode=border)
    scale = 1 / 255 if image.dtype == np.uint8 else 1.0
    return np.asarray(warped.astype(np.float32) * scale, np.float32)


def _placed(
    step: float, turn: float, mirror: bool, here: tuple[float, float], there: tuple[float, float]
) -> NDArray[np.float64]:
    """Canvas -> picture: point `there` of the canvas shows `here` of the picture."""
    cos, sin = np.cos(turn) * step, np.sin(turn) * step
    flip = -1.0 if mirror else 1.0
    linear = np.array([[cos * flip, -sin * flip], [sin, cos]])
    return np.concatenate([linear, (np.array(here) - linear @ np.array(there))[:, None]], 1)


class _Motion:
    """A drift in canvas pixels a frame, with a sway; often none."""

    def __init__(self, rng: np.random.Generator, still: float) -> None:
        self.pan = np.zeros(2) if rng.random() < still else rng.normal(size=2) * rng.choice([0.5, 2.0, 6.0])
        self.zoom = 1.0 if not self.pan.any() else float(1 + rng.normal() * 0.004)

    def at(self, t: int, there: tuple[float, float]) -> tuple[tuple[float, float], float]:
        return (there[0] + self.pan[0] * t, there[1] + self.pan[1] * t), self.zoom**t


def _covering(
    picture: U8, size: tuple[int, int], rng: np.random.Generator, zoom: tuple[float, float]
) -> tuple[float, tuple[float, float]]:
    """(picture pixels a canvas pixel, point of the picture in the middle) of a view within the picture."""
    height, width = picture.shape[:2]
    step = min(width / size[0], height / size[1]) * float(rng.uniform(*zoom))
    half = step * size[0] / 2, step * size[1] / 2
    x = rng.uniform(min(half[0], width / 2), max(width - half[0], width / 2))
    y = rng.uniform(min(half[1], height / 2), max(height - half[1], height / 2))
    return step, (float(x), float(y))


@dataclass
class Clip:
    """T clean frames RGB [H, W, 3] and their masks [H, W]; 0..1."""

    frames: list[F32]
    fine: list[F32]


def _ground(
    picture: U8,
    size: tuple[int, int],
    frames: int,
    rng: np.random.Generator,
    layers: Sequence[F32] = (),
    zoom: tuple[float, float] = (0.5, 1.0),
) -> list[list[F32]]:
    """Frames of a moving view of the picture, and of layers that belong to it."""
    step, here = _covering(picture, size, rng, zoom)
    turn, mirror, motion = float(rng.normal() * 0.05), bool(rng.random() < 0.5), _Motion(rng, 0.5)
    images: list[NDArray[Any]] = [picture, *layers]
    out: list[list[F32]] = []
    for t in range(frames):
        there, grown = motion.at(t, (size[0] / 2, size[1] / 2))
        matrix = _placed(step * grown, turn, mirror, here, there)
        out.append([_warp(image, matrix, size, cv2.BORDER_REFLECT) for image in images])
    return out


def _tone(rng: np.random.Generator) -> tuple[F32, float]:
    """Colour gains and a gamma."""
    gains = rng.uniform(0.75, 1.1) * (1 + 0.06 * rng.normal(size=3))
    return gains.astype(np.float32), float(rng.uniform(0.8, 1.3))


def composed(
    people: Sequence[Subject],
    grounds: Sequence[U8],
    teacher: Selfie,
    size: tuple[int, int],
    frames: int,
    rng: np.random.Generator,
) -> Clip:
    """A person before another picture, both moving."""
    person = people[int(rng.integers(len(people)))]
    ground = grounds[int(rng.integers(len(grounds)))]
    left, top, right, bottom = person.box
    tall = float(rng.uniform(0.4, 1.25)) * size[1]
    step = (bottom - top) / tall
    rooted = bottom >= person.picture.shape[0] - 3  # cut off by its own picture's end: so by the canvas' too
    y = size[1] + float(rng.uniform(0, 0.15)) * tall if rooted else float(rng.uniform(0.6, 1.1)) * size[1]
    there = float(rng.uniform(0.15, 0.85)) * size[0], y
    here = (left + right) / 2, float(bottom)
    turn, mirror, motion = float(rng.normal() * 0.06), bool(rng.random() < 0.5), _Motion(rng, 0.35)
    (gain, gamma), (gain_ground, gamma_ground) = _tone(rng), _tone(rng)
    soft = float(rng.uniform(0.3, 2.5)) if rng.random() < 0.5 else 0.0  # a lens out of focus on the room
    views: list[F32] = []
    masks: list[F32] = []
    for t, (behind,) in enumerate(_ground(ground, size, frames, rng)):
        place, grown = motion.at(t, there)
        matrix = _placed(step * grown, turn, mirror, here, place)
        colour = _warp(person.picture, matrix, size, cv2.BORDER_REPLICATE)
        alpha = _warp(person.fine, matrix, size, cv2.BORDER_CONSTANT)
        if soft:
            behind = np.asarray(cv2.GaussianBlur(behind, (0, 0), soft), np.float32)
        colour = np.clip(colour * gain, 0, 1) ** gamma
        behind = np.clip(behind * gain_ground, 0, 1) ** gamma_ground
        frame = (behind + alpha[..., None] * (colour - behind)).astype(np.float32)
        views.append(frame)
        masks.append(alpha)
    coarse = segment(teacher, views[0])
    both, either = np.minimum(coarse, masks[0]).sum(), np.maximum(coarse, masks[0]).sum()
    if both < ALIKE * either:  # nobody to the teacher, or somebody else besides
        masks = [coarse, *(segment(teacher, view) for view in views[1:])]
    return Clip(views, masks)


def found(person: Subject, size: tuple[int, int], frames: int, rng: np.random.Generator) -> Clip:
    """A moving view of a photograph of somebody, as it is."""
    views = _ground(person.picture, size, frames, rng, (person.fine,), (0.75, 1.0))
    gain, gamma = _tone(rng)
    return Clip(
        [np.asarray(np.clip(v[0] * gain, 0, 1) ** gamma, np.float32) for v in views],
        [v[1] for v in views],
    )


def vacant(picture: U8, size: tuple[int, int], frames: int, rng: np.random.Generator) -> Clip:
    """A moving view of a picture without people."""
    views = _ground(picture, size, frames, rng)
    nobody = np.zeros((size[1], size[0]), np.float32)
    return Clip([v[0] for v in views], [nobody] * frames)


def filmed(frames: Sequence[F32], rng: np.random.Generator) -> list[F32]:
    """What a camera makes of the frames: exposure that hunts, softness, noise."""
    gain = float(rng.uniform(0.8, 1.15))
    hunt = float(rng.normal() * 0.03) if rng.random() < 0.4 else 0.0
    soft = float(rng.uniform(0.4, 2.2)) if rng.random() < 0.5 else 0.0  # also of a small picture enlarged
    noise = float(rng.uniform(0, 6)) / 255 if rng.random() < 0.7 else 0.0
    out: list[F32] = []
    for t, frame in enumerate(frames):
        x = frame * np.float32(gain * (1 + hunt * t))
        if soft:
            x = cv2.GaussianBlur(x, (0, 0), soft)
        if noise:
            x = x + rng.standard_normal(x.shape, np.float32) * np.float32(noise)
        out.append(np.asarray(np.clip(x, 0, 1), np.float32))
    return out
