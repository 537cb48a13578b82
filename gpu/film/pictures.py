"""Pictures of a film from any frame on, those that reading from its beginning gives. In the child only.

Decoding begins at the last keyframe not shown after the frame that is wanted: pictures shown from a keyframe
on never need what came before it. It runs on all threads it may have and takes damage for an error; the first
one restarts it on one thread with libav's own repair, which makes the same picture whatever the machine. A
frame that even so does not come out is shown as the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import av

from gpu.film.index import NONE, Index
from gpu.film.probe import pts_of
from gpu.film.source import Source
from gpu.film.types import FilmError

_MOST_BACK = 4  # keyframes further back tried for a frame that did not come out after a seek


@dataclass(frozen=True, slots=True)
class Shown:
    """`repeated`: it stands in for a frame that could not be decoded; `damaged`: libav says it is."""

    number: int
    picture: Any
    repeated: bool = False
    damaged: bool = False


class _Damaged(Exception):
    """Something could not be decoded on the fast way."""


class Pictures:
    """Owns the source."""

    def __init__(self, source: Source, index: Index) -> None:
        self._source = source
        self._index = index

    def between(self, start: int, end: int) -> Iterator[Shown | None]:
        """Frames number start <= n < end, each exactly once; None now and then while work goes on. Raises
        FilmError when nothing can be shown, or the file changed."""
        if self._source.opening.rough:
            self._reopen(self._source.opening.careful)
        at, key, back = start, self._index.key_before(start), 0
        while at < end:
            try:
                for step in self._run(key, at, end):
                    if step is not None:
                        at = step.number + 1
                    yield step
                if at >= end:
                    return
            except _Damaged:
                if self._source.opening.careful:
                    if key == 0 or back >= _MOST_BACK:
                        raise FilmError(
                            f"frame {at} cannot be decoded, nor any before: it is damaged; send it again"
                        ) from None
                    key, back = max(0, key - (1 << back)), back + 1
                    continue
                self._be_careful()
                key = self._index.key_before(at)

    def glimpses(self) -> Iterator[Shown | None]:
        """Frames as they are decoded soonest, from the film's beginning: in order, a little rough, and what
        cannot be decoded is left out; None now and then. Raises FilmError when the file changed."""
        at = 0
        for careful in (self._source.opening.careful, True):
            self._reopen(careful, rough=True)
            try:
                for picture in self._decode(0):
                    number = None if picture is None else self._index.number(_pts(picture))
                    if number is None or number < at:
                        yield None
                        continue
                    yield Shown(number, picture)
                    at = number + 1
                return
            except _Damaged:
                continue

    def close(self) -> None:
        self._source.close()

    def _run(self, key: int, at: int, end: int) -> Iterator[Shown | None]:
        """From one keyframe on. Raises _Damaged before a frame that it has nothing for."""
        before: Any = None
        careful = self._source.opening.careful
        for picture in self._decode(key):
            number = None if picture is None else self._index.number(_pts(picture))
            if number is None:
                yield None
                continue
            if number < at:
                before = picture
                yield None
                continue
            while at < min(number, end):
                if not careful or (before is None and key > 0):
                    raise _Damaged
                yield Shown(at, picture if before is None else before, repeated=True)
                at += 1
            if at >= end:
                return
            yield Shown(at, picture, damaged=bool(picture.is_corrupt))
            before, at = picture, at + 1
            if at >= end:
                return
        self._source.check_unchanged()
        while at < end:
            if not careful or before is None:
                raise _Damaged
            yield Shown(at, before, repeated=True)
            at += 1

    def _decode(self, key: int) -> Iterator[Any]:
        """libav's pictures in shown order; None for a packet that gave none."""
        careful = self._source.opening.careful
        for packet in self._packets(key):
            try:
                pictures = packet.decode()
            except MemoryError as error:
                limit = self._source.opening.limits.memory_bytes >> 20
                raise FilmError(f"decoding the film needs more than {limit} MiB: send it smaller") from error
            except (av.FFmpegError, ValueError) as error:
                if not careful:
                    raise _Damaged from error
                pictures = []
            if not careful and any(picture.is_corrupt for picture in pictures):
                raise _Damaged
            yield from pictures or (None,)

    def _packets(self, key: int) -> Iterator[Any]:
        """Exactly those from a keyframe on. Where the container cannot seek there, all before it are read."""
        pts = int(self._index.keys[key, 0])
        for target in self._targets(key):
            if target is None:
                self._reopen(self._source.opening.careful, self._source.opening.rough)
            elif not self._source.seek(target):
                continue
            found = False
            last = NONE, 0
            for packet in self._source.packets():
                if packet.size:
                    packet.pts = pts_of(packet, last)
                    last = packet.pts, packet.duration or 0
                    if not found and packet.is_keyframe:
                        if packet.pts > pts:
                            break  # too far
                        found = packet.pts == pts
                if found:
                    yield packet
            if found:
                return
        self._source.check_unchanged()
        raise _Damaged

    def _targets(self, key: int) -> Iterator[int | None]:
        """Where to seek to, best first; None: open the film anew and read from its beginning."""
        if key == 0 and self._source.fresh:
            yield None
            return
        pts, dts = (int(each) for each in self._index.keys[key])
        by_dts = dts if dts != NONE else pts
        # MP4 finds samples by decoding time, Matroska blocks by the time they are shown.
        yield by_dts if self._source.opening.demuxer == "mov" else pts
        yield min(pts, by_dts)
        if key > 0:
            yield int(min(self._index.keys[key - 1]) if dts != NONE else self._index.keys[key - 1][0])
        yield None

    def _be_careful(self) -> None:
        self._reopen(careful=True)

    def _reopen(self, careful: bool, rough: bool = False) -> None:
        opening = replace(self._source.opening, careful=careful, rough=rough)
        if self._source.fresh and opening == self._source.opening:
            return
        self._source.check_unchanged()
        self._source.close()
        self._source = Source(opening)


def _pts(picture: Any) -> int:
    return int(picture.pts) if picture.pts is not None else NONE
