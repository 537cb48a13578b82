"""Finding out what a film is, in the child: every packet is counted, and its first picture decoded."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from gpu.film.index import NONE, Index, to_ticks
from gpu.film.shape import Shape, is_full_range, matrix_of, shape_of
from gpu.film.source import Source
from gpu.film.types import AudioInfo, FilmError, FilmInfo, FilmLimits, VideoInfo
from gpu.types import CLOCK_HZ

_MOST_TRIES = 300  # packets without a picture before the film is given up
_ALIVE_S = 0.5
_CHECK_EVERY = 1024  # packets


@dataclass(frozen=True, slots=True)
class First:
    """The first picture that can be shown."""

    pts: int
    shape: Shape
    size: tuple[int, int]
    full_range: bool
    bt709: bool


def decode_first(source: Source) -> First:
    """Raises FilmError when nothing can be decoded."""
    problem = "no picture came out"
    for tries, packet in enumerate(source.packets()):
        if packet.has_sidedata("encryption_info"):
            raise FilmError("the film is encrypted: send it without copy protection")
        hidden = packet.is_discard
        try:
            pictures = packet.decode()
        except MemoryError as error:
            raise FilmError(
                f"decoding needs more than {source.opening.limits.memory_bytes >> 20} MiB: send it smaller"
            ) from error
        except (av.FFmpegError, ValueError) as error:
            problem = str(getattr(error, "strerror", None) or error)
            pictures = []
        for picture in pictures:
            if not hidden and picture.pts is not None:
                return _first(source, picture)
        if tries >= _MOST_TRIES:
            break
    raise FilmError(f"not one picture of the film can be decoded ({problem}): it is damaged; send it again")


def _first(source: Source, picture: Any) -> First:
    limits = source.opening.limits
    if picture.width * picture.height > limits.most_pixels:
        raise FilmError(
            f"pictures of {picture.width}x{picture.height} are larger than the {limits.most_pixels} pixels "
            "that are taken: send the film smaller"
        )
    aspect = source.video.sample_aspect_ratio or source.video.codec_context.sample_aspect_ratio
    shape = shape_of(picture, float(aspect) if aspect else 1.0, limits.most_pixels)
    return First(
        picture.pts,
        shape,
        (picture.width, picture.height),
        is_full_range(picture),
        matrix_of(picture).name == "ITU709",
    )


def count(source: Source, first_pts: int, alive: Callable[[], None]) -> tuple[Index, AudioInfo | None]:
    """Reads the whole film, from where `source` stands: its beginning. Raises FilmError beyond the limits."""
    counted = _Counted(source)
    said = time.monotonic()
    for number, packet in enumerate(source.packets(sound=True)):
        if packet.size:
            counted.add(packet)
        if number % _CHECK_EVERY == 0:
            counted.check()
            if time.monotonic() - said > _ALIVE_S:
                alive()
                said = time.monotonic()
    source.check_unchanged()
    counted.check()
    index = counted.index(first_pts)
    _check_rate(index, source.opening.limits)
    return index, counted.sound(index)


def describe(source: Source, container: str, first: First, index: Index, audio: AudioInfo | None) -> FilmInfo:
    duration = int(to_ticks(np.array([index.end - index.pts[0]], np.int64), index.unit)[0])
    mean = Fraction(len(index.pts)) / ((index.end - int(index.pts[0])) * index.unit)
    said = source.video.average_rate
    if said and abs(said / mean - 1) < Fraction(1, 1000):
        mean = Fraction(said)  # without the container's rounding of times
    video = VideoInfo(
        codec=source.video.name,
        width=first.shape.width,
        height=first.shape.height,
        frames=len(index.pts),
        fps=mean.limit_denominator(1_000_000),
        duration=duration,
        turned=first.shape.turned,
        full_range=first.full_range,
        bt709=first.bt709,
    )
    return FilmInfo(container, video, audio, os.fstat(source.opening.fd).st_size)


class _Counted:
    """What the packets said, in the units of their tracks."""

    def __init__(self, source: Source) -> None:
        self._limits = source.opening.limits
        self._video, self._audio = source.video, source.audio
        self._shows = _SHOWS.get(source.video.codec_context.codec.name, _shows)
        self._pts, self._keys = array("q"), array("q")
        self._last = (NONE, 0)  # pts and duration of the packet shown last
        self._sound_start: int | None = None
        self._sound_end = 0

    def add(self, packet: Any) -> None:
        if packet.stream_index != self._video.index:
            self._add_sound(packet)
            return
        pts = pts_of(packet, self._last)
        if packet.is_keyframe:
            self._keys.extend((pts, NONE if packet.dts is None else packet.dts))
        if packet.is_corrupt or packet.is_discard or not self._shows(packet):
            return
        self._pts.append(pts)
        if pts >= self._last[0]:
            self._last = pts, packet.duration or 0

    def check(self) -> None:
        limits = self._limits
        if len(self._pts) > limits.most_frames:
            raise FilmError(f"the film has more than {limits.most_frames} frames: cut it into parts")
        if self._pts and (self._last[0] - self._pts[0]) * self._video.time_base > limits.longest_s:
            raise FilmError(f"the film is longer than {limits.longest_s:.0f} s: cut it into parts")

    def index(self, first_pts: int) -> Index:
        unit = Fraction(self._video.time_base)
        if unit <= 0:
            raise FilmError("the film has no unit of time: it is damaged; convert it first")
        pts = np.sort(np.frombuffer(self._pts, np.int64))  # np.unique would load more of NumPy
        pts = pts[pts >= first_pts]
        if not len(pts) or not len(self._keys):
            raise FilmError("the film has no frame to begin decoding at: it is damaged; convert it first")
        if abs(int(pts[-1])) * 2 * CLOCK_HZ * unit.numerator >= 1 << 62:
            raise FilmError("the film's times are out of reach: it is damaged; convert it first")
        ticks = to_ticks(pts - pts[0], unit)
        pts = pts[np.concatenate([[True], np.diff(ticks) > 0])]  # one frame a tick
        keys = np.frombuffer(self._keys, np.int64).reshape(-1, 2)
        keys = keys[np.argsort(keys[:, 0], kind="stable")]
        return Index(pts, keys, self._end(pts), unit)

    def sound(self, index: Index) -> AudioInfo | None:
        if self._audio is None or self._sound_start is None:
            return None
        first = index.pts[0] * index.unit
        unit = Fraction(self._audio.time_base)
        start, end = (
            round((each * unit - first) * CLOCK_HZ) for each in (self._sound_start, self._sound_end)
        )
        context = self._audio.codec_context
        rate, channels = (context.sample_rate, context.channels) if context is not None else (0, 0)
        return AudioInfo(self._audio.name or "unknown", rate or 0, channels or 0, start, end - start)

    def _add_sound(self, packet: Any) -> None:
        if packet.pts is None or packet.is_discard:
            return
        start, end = packet.pts, packet.pts + (packet.duration or 0)
        if packet.has_sidedata("skip_samples"):  # samples at its begin and end that are not played
            before, after = np.frombuffer(bytes(packet.get_sidedata("skip_samples")), "<u4", 2).tolist()
            unit = 1 / (Fraction(self._audio.codec_context.sample_rate or 1) * self._audio.time_base)
            start, end = start + round(before * unit), end - round(after * unit)
        if self._sound_start is None:
            self._sound_start = start
        self._sound_end = max(self._sound_end, end)

    def _end(self, pts: Any) -> int:
        """Behind the last frame, which lasts as long as it says, or as the frames do in the mean."""
        last = int(pts[-1])
        if self._last[0] == last and self._last[1] > 0:
            return last + self._last[1]
        rate = self._video.average_rate
        guessed = 1 / (rate * self._video.time_base) if rate else Fraction(0)
        mean = round((last - int(pts[0])) / (len(pts) - 1)) if len(pts) > 1 else round(guessed)
        return last + max(1, mean)


def pts_of(packet: Any, last: tuple[int, int]) -> int:
    """When it is shown, also where it does not say. `last`: pts and duration of the one before."""
    if packet.pts is not None:
        return int(packet.pts)
    if packet.dts is not None:
        return int(packet.dts)
    return last[0] + max(1, last[1]) if last[0] != NONE else 0


def _check_rate(index: Index, limits: FilmLimits) -> None:
    seconds = (index.end - int(index.pts[0])) * index.unit
    if len(index.pts) / seconds > limits.most_fps:
        rate = float(len(index.pts) / seconds)
        raise FilmError(f"the film has {rate:.0f} frames a second: at most {limits.most_fps:.0f} are taken")
    if seconds > limits.longest_s:
        raise FilmError(f"the film is longer than {limits.longest_s:.0f} s: cut it into parts")


def _shows(packet: Any) -> bool:
    return True


def _shows_vp8(packet: Any) -> bool:
    return bool(memoryview(packet)[0] >> 4 & 1)  # show_frame (RFC 6386 §9.1)


def _shows_vp9(packet: Any) -> bool:
    data = memoryview(packet)
    if data[-1] & 0xE0 == 0xC0:  # a superframe: its last frame is shown (VP9 bitstream, annex B)
        return True
    bits = data[0]
    profile = (bits >> 5 & 1) | (bits >> 4 & 1) << 1  # §6.2: marker, profile, show_existing, type, show
    at = 2 if profile == 3 else 3
    return bool(bits >> at & 1 or bits >> (at - 2) & 1) if at > 2 else True


_SHOWS: dict[str, Callable[[Any], bool]] = {"vp8": _shows_vp8, "vp9": _shows_vp9}
