"""The film of `film-journey`, and what is told of one: frames, length, sound, flashes and beeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench.error import BenchError
from bench.figures import Progress

FPS, RATE = 25, 48_000
CUT_S = 8  # so long of one clip, then the next
MARK_EVERY_S = 10  # a white picture and a beep begin at once: how far apart they are is told by them
MARK_FRAMES = 3
_NEAR_S = 0.5  # of a flash from its beep, at most
_LOUD, _JUMP = (
    0.4,
    30.0,
)  # of a beep, of full scale; of a flash, in codes of mean luma


@dataclass(frozen=True, slots=True)
class Told:
    """Of one film; times in seconds."""

    frames: int
    duration_s: float
    sound: tuple[bytes, ...]  # its packets
    offsets_s: tuple[float, ...]  # of each beep from its flash


def make_film(clips: Sequence[Path], path: Path, size: tuple[int, int], seconds: int) -> None:
    """The clips, cut and looped, with sound. Raises BenchError."""
    sources = [_pictures(clip, size) for clip in clips]
    bar = Progress(seconds, "film-journey: the film")
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.options = {"preset": "veryfast", "crf": "20", "bf": "2"}
        audio: Any = out.add_stream("aac", rate=RATE)
        audio.layout = "mono"
        for second in range(seconds):
            source = sources[second // CUT_S % len(sources)]
            for number in range(second * FPS, (second + 1) * FPS):
                planes = next(source).copy()
                if number % (MARK_EVERY_S * FPS) < MARK_FRAMES and number >= FPS:
                    planes[: size[1]], planes[size[1] :] = 235, 128
                picture: Any = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                picture.pts, picture.time_base = number, Fraction(1, FPS)
                out.mux(video.encode(picture))
            wave = _second_of_sound(second)
            for at in range(0, RATE, 960):
                block: Any = av.AudioFrame.from_ndarray(wave[None, at : at + 960], "fltp", "mono")
                block.sample_rate, block.pts = RATE, second * RATE + at
                block.time_base = Fraction(1, RATE)
                out.mux(audio.encode(block))
            bar.show(second + 1, "seconds")
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def tell(path: Path) -> Told:
    """Decode all of it."""
    jumps: list[tuple[float, float]] = []  # a flash is the largest about its beep; scenes jump, too
    beeps: list[float] = []
    frames, before, end, loud_until = 0, 255.0, 0.0, -1.0
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        for picture in film.decode(stream):
            luma = float(picture.to_ndarray(format="gray").mean())
            at = float(picture.time or 0)
            if luma - before > _JUMP:
                jumps.append((luma - before, at))
            before, frames = luma, frames + 1
            end = at + float(1 / (stream.average_rate or FPS))
    with av.open(str(path)) as film:
        packets = [bytes(packet) for packet in film.demux(audio=0) if packet.size]
    with av.open(str(path)) as film:
        for piece in film.decode(audio=0):
            wave = np.abs(piece.to_ndarray()).max(axis=0)
            for sample in np.flatnonzero(wave > _LOUD):
                at = float(piece.time or 0) + float(sample) / piece.sample_rate
                if at - loud_until > 0.5:
                    beeps.append(at)
                loud_until = at
    near = [(beep, [jump for jump in jumps if abs(jump[1] - beep) < _NEAR_S]) for beep in beeps]
    offsets = tuple(beep - max(found)[1] for beep, found in near if found)
    return Told(frames, end, tuple(packets), offsets)


def _second_of_sound(second: int) -> Any:
    """A soft tone; where a mark begins, a beep as long as it."""
    wave = 0.05 * np.sin(np.arange(second * RATE, (second + 1) * RATE) * (2 * np.pi * 220 / RATE))
    if second and second % MARK_EVERY_S == 0:
        beep = np.arange(RATE * MARK_FRAMES // FPS)
        wave[: len(beep)] = 0.8 * np.sin(beep * (2 * np.pi * 1000 / RATE))
    return wave.astype(np.float32)


def _pictures(clip: Path, size: tuple[int, int]) -> Iterator[Any]:
    """Planes [H * 3 / 2, W] without end."""
    if not clip.is_file():
        raise BenchError(f"there is no clip {clip}: name others with --clips")
    with av.open(str(clip)) as film:
        made = [picture.reformat(*size, "yuv420p").to_ndarray() for picture in film.decode(video=0)]
    return cycle(made)
