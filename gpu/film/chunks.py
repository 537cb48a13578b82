"""In which order the samples of a film lie in its file. Knows sizes and times, no bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gpu.film.boxes import Run
from gpu.film.segment import VIDEO_TRACK
from gpu.film.sound import Sound
from gpu.types import CLOCK_HZ

SOUND_TRACK = 2
_RUN = CLOCK_HZ  # pictures and sound lie in turns of a second


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples of one track that lie together: in segment `segment` (the sound: -1) at byte `at`."""

    track: int
    samples: int
    bytes: int
    segment: int
    at: int


def chunks_of(runs: Sequence[Run], sound: Sound | None) -> Iterator[Chunk]:
    """In the order of the file: a second of pictures, then the sound until its end."""
    cursor = _Cursor(sound)
    for segment, run in enumerate(runs):
        samples = count = 0
        time, at, until = run.start, run.data_at, run.start + _RUN
        for length, size in zip(run.durations, run.sizes, strict=True):
            samples, count, time = samples + 1, count + size, time + length
            if time >= until:
                yield Chunk(VIDEO_TRACK, samples, count, segment, at)
                yield from cursor.until(time)
                samples, at, count, until = 0, at + count, 0, time + _RUN
        if samples:
            yield Chunk(VIDEO_TRACK, samples, count, segment, at)
            yield from cursor.until(time)
    yield from cursor.until(None)


class _Cursor:
    """Goes through the sound's packets."""

    def __init__(self, sound: Sound | None) -> None:
        self._sound = sound
        self._number = self._at = 0
        self._position = 0  # samples

    def until(self, time: int | None) -> Iterator[Chunk]:
        """Those that begin before `time` (ticks; None: all) and were not given yet: one chunk, or none."""
        sound = self._sound
        if sound is None:
            return
        first, begun = self._number, self._at
        last = None if time is None else Fraction(time * sound.rate, CLOCK_HZ) - sound.begins
        while self._number < len(sound.sizes) and (last is None or self._position < last):
            self._at += sound.sizes[self._number]
            self._position += sound.durations[self._number]
            self._number += 1
        if self._number > first:
            yield Chunk(SOUND_TRACK, self._number - first, self._at - begun, -1, begun)
