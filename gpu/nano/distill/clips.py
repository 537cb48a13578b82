"""Held-out clips for the report: a video's frames, or a slow pan and zoom over one photograph.

Clean frames are RGB float32 [H, W, 3] in 0..1; what the model is given has a camera's noise on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.types import CLOCK_HZ, Frame

F32 = NDArray[np.float32]

NOISE = np.float32(2 / 255)  # standard deviation: a camera's in a lit room
FPS = 24
TICKS = CLOCK_HZ // FPS
STILL = "@still"
_SEED = 5
_PAN_PX, _ZOOM = (1.3, 0.5), 1.0015  # per frame, of the made clips: a hand that follows slowly


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames without and with noise."""

    name: str
    clean: list[F32]
    noisy: list[F32]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.clean[0].shape[1], self.clean[0].shape[0]


def read(path: Path, frames: int, size: tuple[int, int]) -> Clip:
    """A video, or a photograph moved over, at `size`; PHOTOGRAPH@still is filmed from a stand.

    Raises SystemExit naming a file that is neither."""
    name, stands = name_of(path), path.name.endswith(STILL)
    path = path.with_name(path.name.removesuffix(STILL))
    clean = [] if stands else _video(path, frames, size)
    if len(clean) < 2:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise SystemExit(f"{path} is neither a video of two frames or more nor a photograph")
        clean = pan(np.ascontiguousarray(picture[..., ::-1]), 1 if stands else frames, size)
    return of(name, clean * frames if stands else clean)


def name_of(path: Path) -> str:
    """The clip's name in tables."""
    if path.name.endswith(STILL):
        return f"{Path(path.name.removesuffix(STILL)).stem}_{STILL[1:]}"
    return path.stem


def of(name: str, clean: list[F32]) -> Clip:
    """Adds the noise, the same in every run."""
    rng = np.random.default_rng(_SEED)
    noisy = [
        np.asarray((f + NOISE * rng.standard_normal(f.shape, np.float32)).clip(0, 1), np.float32)
        for f in clean
    ]
    return Clip(name, clean, noisy)


def _video(path: Path, frames: int, size: tuple[int, int]) -> list[F32]:
    capture = cv2.VideoCapture(str(path))
    clip: list[F32] = []
    try:
        while len(clip) < frames:
            ok, frame = capture.read()
            if not ok:
                break
            frame = cv2.resize(_cut(frame, size), size, interpolation=cv2.INTER_CUBIC)
            clip.append(np.asarray(frame[..., ::-1] / 255, np.float32))
    finally:
        capture.release()
    return clip


def _cut(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The middle of a picture in the wanted shape; of an upright one the upper part, where faces are."""
    height, width = image.shape[:2]
    scale = min(width / size[0], height / size[1])
    w, h = round(size[0] * scale), round(size[1] * scale)
    left, top = (width - w) // 2, (height - h) // (6 if height >= width else 2)
    return image[top : top + h, left : left + w]


def pan(picture: NDArray[np.uint8], frames: int, size: tuple[int, int]) -> list[F32]:
    """`frames` pictures under a slow pan and zoom, RGB; the photograph is a little larger than they are."""
    picture = _cut(picture, size)
    width, height = size
    margin = 1.06
    scale = width * margin / picture.shape[1]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way).astype(np.float32) / 255
    clip = []
    for t in range(frames):
        zoom = _ZOOM ** (t - frames / 2)
        cx = large.shape[1] / 2 + _PAN_PX[0] * (t - frames / 2) * width / 640
        cy = large.shape[0] / 2 + _PAN_PX[1] * (t - frames / 2) * width / 640
        matrix = np.array([[1 / zoom, 0, cx - width / 2 / zoom], [0, 1 / zoom, cy - height / 2 / zoom]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        frame = cv2.warpAffine(large, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        clip.append(np.asarray(frame.clip(0, 1), np.float32))
    return clip


def to_frame(image: F32, index: int) -> Frame:
    """RGB 0..1 -> the frame a camera's decoder hands over; `index` counts at FPS."""
    luma, chroma = rgb_to_planes(image)
    y = np.round(luma * 255).clip(0, 255).astype(np.uint8)
    u, v = np.round(chroma * 255).clip(0, 255).astype(np.uint8)
    return Frame(y, u, v, index * TICKS)


def to_rgb(frame: Frame) -> F32:
    """Frame -> RGB 0..1 [H, W, 3]."""
    scale = np.float32(1 / 255)
    return planes_to_rgb(frame.y * scale, np.stack([frame.u, frame.v]) * scale)
