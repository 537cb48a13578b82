"""Small films made by libav, whose frame n is plain grey of luma 16 + n: what was shown says where it was."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

W, H, FPS = 64, 48, 25


def make_film(path: Path, frames: int = 100, sound: bool = False, size: tuple[int, int] = (W, H)) -> Path:
    """An H.264 film of FPS pictures a second, a keyframe every 25; with a tone where `sound`."""
    width, height = size
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "10", "g": "25", "bf": "2"}
        audio: Any = out.add_stream("aac", rate=48000) if sound else None
        if audio is not None:
            audio.layout = "mono"
        for number in range(frames):
            planes = np.full((height * 3 // 2, width), 128, np.uint8)
            planes[:height] = luma_of(number)
            picture: Any = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        if audio is not None:
            for start in range(0, frames * 48000 // FPS, 1024):
                wave = np.sin(np.arange(start, start + 1024) * 440 * 2 * np.pi / 48000)
                block: Any = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
                block.sample_rate, block.pts, block.time_base = 48000, start, Fraction(1, 48000)
                out.mux(audio.encode(block))
            out.mux(audio.encode(None))
    return path


def luma_of(number: int) -> int:
    return 16 + number % 200


def number_of(luma: float) -> int:
    """The frame of that luma, for films of up to 200 frames."""
    return round(luma) - 16
