"""Cuts a film into spans, at its scene changes or evenly. Knows when frames are shown and how they differ;
not what they show.

The scene changes are PySceneDetect's (AdaptiveDetector: a frame that differs from the one before far more
than its neighbours do, so a moving camera is none). It sees the reader's frames made small; no file is opened
here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gpu.film.index import I64
from gpu.film.types import FilmError, FilmInfo, Span
from gpu.types import CLOCK_HZ, U8, Frame

if TYPE_CHECKING:
    from scenedetect import FrameTimecode

Progress = Callable[[int, int], None]  # frames done, of how many

SMALL = 128  # pixels on the longer side of what scenes are found in
_OF_THE_REST = 4  # towards the end of a film a span is no longer than a fourth of what is left
_ANY_FPS = 25.0  # PySceneDetect counts frames by a rate; only the numbers of frames are used


class Timed(Protocol):
    """What is needed of a FilmReader to part a film by time."""

    @property
    def info(self) -> FilmInfo: ...
    @property
    def ticks(self) -> I64: ...
    @property
    def key_ticks(self) -> I64: ...


class Readable(Timed, Protocol):
    """And to find its scenes."""

    def glimpses(self) -> Iterator[tuple[int, Frame]]: ...


def cut(
    reader: Readable,
    longest_s: float = 6.0,
    shortest_s: float = 1.0,
    progress: Progress | None = None,
    preroll_s: float = 0.0,
) -> tuple[Span, ...]:
    """The film's spans: see `find_spans`."""
    return tuple(find_spans(reader, longest_s, shortest_s, progress, preroll_s))


def find_spans(
    reader: Readable,
    longest_s: float = 6.0,
    shortest_s: float = 1.0,
    progress: Progress | None = None,
    preroll_s: float = 0.0,
) -> Iterator[Span]:
    """Yield the film's spans in order, each as soon as it is certain: at most 2 x `longest_s` + `shortest_s`
    behind.

    They tile the film: the first begins at 0, each ends where the next begins, the last at the film's
    duration, and their frames add up to the film's. A scene shorter than `shortest_s` goes with the one
    before or after it, one longer than `longest_s` is parted: `preroll_s` behind a keyframe where there is
    one in the later half of a span, as whoever renders from there on has nothing to decode before, else
    evenly. `longest_s` is kept wherever frames allow it (one frame may be longer), `shortest_s` wherever
    frames and the film's own length do.

    Raises FilmError for lengths that cannot be kept, and as the reader does."""
    cutter = _cutter(reader, longest_s, shortest_s, preroll_s)
    video = reader.info.video
    times: list[int] = reader.ticks.tolist()
    scenes = SceneFinder()
    done = 0
    for number, frame in reader.glimpses():
        for pts in times[done : number + 1]:
            yield from cutter.add(pts)
        done = number + 1
        for first in scenes.see(number, frame):
            cutter.cut(first)
        if progress is not None:
            progress(done, video.frames)
    for pts in times[done:]:
        yield from cutter.add(pts)
    yield from cutter.end(video.duration)


def even_spans(
    reader: Timed, longest_s: float, ends_s: float, shortest_s: float = 1.0, preroll_s: float = 0.0
) -> tuple[Span, ...]:
    """The film parted as `find_spans` parts a long scene, wherever its scenes change: known at once, without
    a frame decoded.

    Spans last up to `ends_s` at the film's beginning, then longer, up to `longest_s`, and no longer than
    `ends_s` at its end: who render side by side have work at once and end together. Raises FilmError for
    lengths that cannot be kept."""
    cutter = _cutter(reader, longest_s, shortest_s, preroll_s, ends_s)
    made: list[Span] = []
    for pts in reader.ticks.tolist():
        made += cutter.add(pts)
    return tuple(made + cutter.end(reader.info.video.duration))


def _cutter(
    reader: Timed, longest_s: float, shortest_s: float, preroll_s: float, ends_s: float = 0.0
) -> Cutter:
    if not 0 < 2 * shortest_s <= (ends_s or longest_s) <= longest_s:
        raise FilmError(
            f"spans from {shortest_s} to {longest_s} s, {ends_s or longest_s} at the ends: the longest must "
            "be twice the shortest at least, and those at the ends between them"
        )
    seams: list[int] = (reader.key_ticks + round(preroll_s * CLOCK_HZ)).tolist()
    longest, shortest, ends = (round(each * CLOCK_HZ) for each in (longest_s, shortest_s, ends_s))
    return Cutter(Lengths(longest, shortest, ends, reader.info.video.duration), seams)


class SceneFinder:
    """PySceneDetect, fed frame by frame; some may be missing. Loads it, and OpenCV, when made."""

    def __init__(self) -> None:
        import cv2
        from scenedetect import AdaptiveDetector, FrameTimecode

        self._cv2 = cv2
        self._detector = AdaptiveDetector(min_scene_len=0)  # lengths are the cutter's concern
        self._timecode: Callable[[int], FrameTimecode] = lambda number: FrameTimecode(number, _ANY_FPS)

    def see(self, number: int, frame: Frame) -> list[int]:
        """Numbers of those seen that begin another scene; found a few frames late."""
        found = self._detector.process_frame(self._timecode(number), self._small(frame))
        return [int(each.frame_num) for each in found]

    def _small(self, frame: Frame) -> U8:
        """[h, w, 3] BGR."""
        cv2 = self._cv2
        scale = min(1.0, SMALL / max(frame.width, frame.height))
        size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
        planes = []
        for plane in (frame.y, frame.v, frame.u):
            # Of a large plane every few samples are enough; the mean over all would take most of the time.
            step = max(1, max(plane.shape) // (2 * SMALL))
            planes.append(cv2.resize(plane[::step, ::step], size, interpolation=cv2.INTER_AREA))
        made: U8 = cv2.cvtColor(np.ascontiguousarray(cv2.merge(planes)), cv2.COLOR_YCrCb2BGR)
        return made


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of spans, in ticks; see `find_spans` and `even_spans`. `longest`, and `ends` but for 0, at least twice
    `shortest`."""

    longest: int
    shortest: int
    ends: int = 0
    duration: int = 0  # of the film; wanted with `ends`

    def longest_from(self, start: int) -> int:
        """Of a span that begins there."""
        if not self.ends:
            return self.longest
        return max(self.ends, min(self.longest, self.ends + start, (self.duration - start) // _OF_THE_REST))


class Cutter:
    """Frames' times and scene changes in, spans out. Holds the times of what is not yet certain, no more."""

    def __init__(self, lengths: Lengths, seams: Sequence[int] = ()) -> None:
        """`seams`: rising ticks, where a scene is best parted."""
        self._lengths, self._shortest, self._seams = lengths, lengths.shortest, seams
        self._times: list[int] = []  # of the frames from the next span's first on
        self._first = 0  # the number of that frame
        self._cut: int | None = None  # where a scene change waits for a long enough scene behind it
        self._scene = True
        self._index = 0

    def add(self, pts: int) -> list[Span]:
        """The next frame. Raises FilmError for one that is not later than the one before."""
        if (self._times and pts <= self._times[-1]) or (not self._times and self._first == 0 and pts != 0):
            raise FilmError(f"frame times must begin at 0 and rise: {pts} behind {self._times[-1:]}")
        self._times.append(pts)
        if self._cut is not None:
            return self._leave(self._cut, pts) if pts - self._time(self._cut) >= self._shortest else []
        made = []
        while pts - self._times[0] >= 2 * self._longest and len(self._times) > 1:
            made.append(self._take(self._part(self._times[0] + self._longest, len(self._times) - 1)))
        return made

    def cut(self, number: int) -> None:
        """A scene begins at frame `number`, one of those added. Too near to another: left out."""
        if number <= self._first or self._cut is not None:
            return
        if self._time(number) - self._times[0] >= self._shortest:
            self._cut = number

    def end(self, duration: int) -> list[Span]:
        """What remains, at the end of the film."""
        if not self._times:
            raise FilmError("a film without a frame cannot be cut: send another film")
        if duration <= self._times[-1]:
            raise FilmError(f"the film ends at {duration}, before its last frame at {self._times[-1]}")
        made = self._leave(self._cut, duration) if self._cut is not None else []
        return made + self._even(len(self._times), duration)

    @property
    def _longest(self) -> int:
        """Of the next span."""
        return self._lengths.longest_from(self._times[0])

    def _time(self, number: int) -> int:
        return self._times[number - self._first]

    def _leave(self, number: int, now: int) -> list[Span]:
        """End the scene before frame `number`, if what follows is long enough up to `now`."""
        self._cut = None
        if now - self._time(number) < self._shortest:
            return []
        made = self._even(number - self._first, self._time(number))
        self._scene = True
        return made

    def _even(self, frames: int, end: int) -> list[Span]:
        """The next `frames` frames, until `end`, in as few spans of one length as may be."""
        made = []
        while frames:
            left = end - self._times[0]
            parts = -(-left // self._longest)
            if parts == 1 or frames == 1:
                made.append(self._take(frames, end))
                break
            count = self._part(self._times[0] + left // parts, frames - 1)
            made.append(self._take(count))
            frames -= count
        return made

    def _part(self, until: int, most: int) -> int:
        """How many of the next frames end by `until`: at least one, at most `most`; fewer, down to half or
        the shortest, where a seam is."""
        frames = max(1, min(bisect_right(self._times, until) - 1, most))
        earliest = self._times[0] + max((until - self._times[0]) // 2, self._shortest)
        seam = bisect_right(self._seams, self._times[frames]) - 1
        if seam >= 0 and self._seams[seam] >= earliest:
            frames = max(1, min(frames, bisect_left(self._times, self._seams[seam])))
        return frames

    def _take(self, frames: int, end: int | None = None) -> Span:
        start = self._times[0]
        made = Span(
            self._index, self._first, frames, start, self._times[frames] if end is None else end, self._scene
        )
        del self._times[:frames]
        self._first += frames
        self._index += 1
        self._scene = False
        return made
