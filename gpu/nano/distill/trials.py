"""Trials of the model as a whole: does weather live on, does a still picture drift, is the person found.

Knows the model through Student; knows nothing of tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.nano.distill import tracking
from gpu.nano.distill.clips import FPS, NOISE, Clip, to_frame
from gpu.nano.distill.scores import psnr
from gpu.nano.distill.student import Student
from gpu.nano.distill.teaching import Teachers
from gpu.nano.edits import WEATHER_PARTICLES
from gpu.types import Frame

F32 = NDArray[np.float32]

DRIFT_SIZE = (232, 176)  # hours of frames: small, and just not worked on at twice its side
DRIFT_EDITS = ("golden_hour", "pencil", "starry_night")  # one of each network that could
NOISY_LOOP = FPS  # frames of the loop with noise: one second
_A_PERSON = 0.02  # share of the picture from which the teacher is held to see somebody
_THERE = 0.5  # a mask's middle


def weather(student: Student, picture: F32, frames: int = 10) -> dict[str, tracking.Tracks]:
    """Rain and snow over a still picture [H, W, 3], followed from frame to frame."""
    still = [to_frame(picture, i) for i in range(frames)]
    found = {}
    for name in WEATHER_PARTICLES:
        made = student.run(still, [student.part(name)])
        found[name] = tracking.track(tracking.laid_over([frame.y for frame in made]))
    return found


@dataclass(frozen=True, slots=True)
class Drift:
    """First against last frame of a still clip, dB."""

    frames: int
    still_db: float  # the same frame over and over
    noisy_db: float  # a second of a camera's noise looped: the end of the first loop against that of the last


def drift(
    student: Student,
    picture: F32,
    edit: str,
    frames: int = 10 * 60 * FPS,
    progress: Callable[[int], None] = lambda done: None,
) -> Drift:
    """Loop a still picture; a tenth as many frames with noise."""
    small = np.asarray(cv2.resize(picture, DRIFT_SIZE, interpolation=cv2.INTER_AREA), np.float32)
    stream = student.stream(DRIFT_SIZE, [student.part(edit)])
    still = to_frame(small, 0)
    first = last = stream(_at(still, 0))
    for number in range(1, frames):
        last = stream(_at(still, number))
        progress(number)
    rng = np.random.default_rng(7)
    loop = [
        to_frame(np.asarray((small + NOISE * rng.standard_normal(small.shape, np.float32)).clip(0, 1)), 0)
        for _ in range(NOISY_LOOP)
    ]
    stream = student.stream(DRIFT_SIZE, [student.part(edit)])
    loops = max(2, frames // 10 // NOISY_LOOP)
    ends = []
    for number in range(loops * NOISY_LOOP):
        made = stream(_at(loop[number % NOISY_LOOP], number))
        if (number + 1) % NOISY_LOOP == 0:
            ends.append(made)
    return Drift(frames, psnr(first, last), psnr(ends[0], ends[-1]))


def _at(frame: Frame, number: int) -> Frame:
    return Frame(frame.y, frame.u, frame.v, number * 90_000 // FPS)


def person_iou(student: Student, teachers: Teachers, clips: Sequence[Clip]) -> dict[str, list[float]]:
    """Intersection over union with the teacher's mask, a value a frame, of clips it sees somebody in.

    The model finds the person on noisy frames with its cache, the teacher on each clean frame."""
    found: dict[str, list[float]] = {}
    for clip in clips:
        wanted = [teachers.mask(image) > _THERE for image in clip.clean]
        if float(np.mean([mask.mean() for mask in wanted])) < _A_PERSON:
            continue
        masks = student.masks([to_frame(image, i) for i, image in enumerate(clip.noisy)])
        found[clip.name] = [
            float((a & b).sum() / max(1, (a | b).sum()))
            for a, b in zip([mask > _THERE for mask in masks], wanted, strict=True)
        ]
    return found
