"""Frames and what is said of a film, made without one, for the tests of what leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from gpu.film.types import AudioInfo, FilmInfo, Span, VideoInfo
from gpu.types import CLOCK_HZ, Frame

WIDTH, HEIGHT = 64, 48


def ticks(fps: Fraction, count: int) -> list[int]:
    """When frames of a constant rate are shown, rounded as a reader does; one more than `count`: the end."""
    return [int(Fraction(number * CLOCK_HZ) / fps + Fraction(1, 2)) for number in range(count + 1)]


def info_of(
    times: Sequence[int], audio: AudioInfo | None = None, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> FilmInfo:
    """`times`: of the frames, and the film's end."""
    count = len(times) - 1
    fps = Fraction(count * CLOCK_HZ, times[-1])
    return FilmInfo("mp4", VideoInfo("h264", *size, count, fps, times[-1]), audio, 1)


def picture(number: int, pts: int, scene: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """A pattern of its own for each scene, that moves a little with each frame."""
    width, height = size
    noise = np.random.default_rng(scene).integers(30, 220, (height // 8, width // 8), np.uint8)
    y = np.roll(np.kron(noise, np.ones((8, 8), np.uint8)), number, axis=1)
    y[:2] = 16 + (number * 7) % 200  # tells the frames apart
    shade = 60 + 45 * (scene % 4)
    u = np.full((height // 2, width // 2), shade, np.uint8)
    return Frame(np.ascontiguousarray(y), u, 255 - u, pts)


class FramesOnly:
    """A film as `cut` needs it: its frames and what is said of it."""

    def __init__(
        self, times: Sequence[int], scenes: Sequence[int] = (), keys: Sequence[int] = (0,), every: int = 1
    ) -> None:
        """`scenes`: numbers of frames that begin one; `keys`: of keyframes; `every`: which are glimpsed."""
        self.times, self.scenes, self.info = list(times), sorted(scenes), info_of(times)
        self.ticks = np.array(times[:-1])
        self.key_ticks = self.ticks[list(keys)]
        self.every = every

    def glimpses(self) -> Iterator[tuple[int, Frame]]:
        for number in range(0, len(self.ticks), self.every):
            scene = sum(first <= number for first in self.scenes)
            yield number, picture(number, self.times[number], scene)


def span_of(index: int, times: Sequence[int], first: int, count: int, scene: bool = True) -> Span:
    return Span(index, first, count, times[first], times[first + count], scene)


def tiled(times: Sequence[int], count: int) -> tuple[Span, ...]:
    """The film in spans of `count` frames; the last may be shorter."""
    total = len(times) - 1
    firsts = range(0, total, count)
    return tuple(span_of(i, times, at, min(count, total - at)) for i, at in enumerate(firsts))


def frames_of(span: Span, times: Sequence[int]) -> list[Frame]:
    last = span.first_frame + span.frames
    return [picture(number, times[number]) for number in range(span.first_frame, last)]
