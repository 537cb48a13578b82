"""Films of flashes and beeps: each second begins with both. A picture says by its brightness how long ago."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.server.lip_sync import BEEP_S, luma

W, H = 64, 48


@dataclass(frozen=True, slots=True)
class Sound:
    """`begins`: the film has it from there on; `ends`: before its last picture; `slow`: its times go so many
    times slower than its samples."""

    codec: str = "aac"
    rate: int = 48_000
    layout: str = "stereo"
    form: str = "fltp"
    begins: float = 0.0
    ends: float = 1e9
    slow: float = 1.0


def make_flashes(path: Path, seconds: float, sound: Sound | None = None, fps: int = 25) -> Path:
    """A keyframe each second."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = W, H, "yuv420p"
        video.options = {"preset": "ultrafast", "g": str(fps), "bf": "0"}
        audio: Any = None
        if sound is not None:
            audio = out.add_stream(sound.codec, rate=sound.rate)
            audio.layout, audio.format = sound.layout, sound.form
            audio.codec_context.open()
        for number in range(round(seconds * fps)):
            planes = np.full((H * 3 // 2, W), 128, np.uint8)
            planes[:H] = luma(number / fps)
            picture: Any = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, fps)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
        if sound is not None:
            for frame in _sound(sound, min(seconds, sound.ends), audio.codec_context.frame_size or 1024):
                out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
    return path


def _sound(sound: Sound, ends: float, size: int) -> Any:
    channels = len(av.AudioLayout(sound.layout).channels)
    first = round(sound.begins * sound.rate)
    for start in range(first, round(ends * sound.rate), size):
        at = np.arange(start, start + size) / sound.rate
        wave = 0.4 * np.sin(2000 * np.pi * at) * ((at + 1e-9) % 1.0 < BEEP_S) * (at < ends - 1e-9)
        block: NDArray[Any] = wave.astype(np.float32)[None].repeat(channels, 0)
        if sound.form.startswith("s16"):
            block = (block * 32767).astype(np.int16)
        if not sound.form.endswith("p"):
            block = np.ascontiguousarray(block.T).reshape(1, -1)
        made: Any = av.AudioFrame.from_ndarray(block, sound.form, sound.layout)
        made.sample_rate, made.time_base = sound.rate, Fraction(1, sound.rate)
        made.pts = round(start * sound.slow)
        yield made
