"""The clip every case is fed with: seeded moving shapes on texture, or a video file. Knows no clocks."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
LOOP_FRAMES = 72  # 33 MB at 640x480
_SEED = 7


class Clip:
    """Frames in planar YUV 4:2:0 [H * 3 / 2, W] uint8, played in a loop."""

    def __init__(self, frames: list[U8]) -> None:
        if not frames:
            raise ValueError("the clip has no frames: give a file with a video stream")
        self.frames = frames
        self.height, self.width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]

    def frame(self, number: int) -> U8:
        """A writable copy of the frame for that number. Played there and back: no cut."""
        period = max(1, 2 * len(self.frames) - 2)
        at = number % period
        return self.frames[at if at < len(self.frames) else period - at].copy()


def draw_clip(width: int, height: int, frames: int = LOOP_FRAMES) -> Clip:
    """Shapes that move over fixed texture with a little sensor noise: about what a camera costs a codec."""
    draw = np.random.default_rng(_SEED)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    coarse = draw.uniform(-28, 28, (height // 16 + 1, width // 16 + 1)).repeat(16, 0).repeat(16, 1)
    ground = 110 + 40 * np.sin(columns / 60) * np.cos(rows / 45) + coarse[:height, :width]
    out = []
    for i in range(frames):
        y = ground + draw.normal(0, 1.5, (height, width))
        u = np.full((height // 2, width // 2), 122.0)
        v = np.full((height // 2, width // 2), 134.0)
        for k in range(4):
            cx = width * (0.5 + 0.35 * np.sin(i / 20 + k * 1.7))
            cy = height * (0.55 + 0.3 * np.cos(i / 26 + k * 2.3))
            inside = (columns - cx) ** 2 + (rows - cy) ** 2 < (height * (0.09 + 0.03 * k)) ** 2
            y = np.where(inside, 60 + 45 * k + 12 * np.sin((columns + rows) / 6), y)
            u = np.where(inside[::2, ::2], 90 + 25 * k, u)
            v = np.where(inside[::2, ::2], 170 - 25 * k, v)
        chroma = np.concatenate([u.reshape(-1), v.reshape(-1)]).reshape(height // 2, width)
        out.append(np.concatenate([y, chroma]).clip(16, 235).astype(np.uint8))
    return Clip(out)


def read_clip(path: Path, width: int, height: int, frames: int = LOOP_FRAMES) -> Clip:
    """The first `frames` frames of a file, scaled. Raises OSError or av.FFmpegError for what is no video."""
    out: list[U8] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            out.append(frame.reformat(width, height, "yuv420p").to_ndarray().astype(np.uint8))
            if len(out) >= frames:
                break
    return Clip(out)


def load_clip(path: str, width: int, height: int) -> Clip:
    """`path` "" draws one."""
    return read_clip(Path(path), width, height) if path else draw_clip(width, height)
