"""Opening somebody's film and reading its frames, by a child process. Knows no codec, loads no libav."""

from __future__ import annotations

import json
import os
import stat
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

from gpu.film.child_reader import ChildReader
from gpu.film.index import I64, Index, to_ticks, unpack_index
from gpu.film.known import Known
from gpu.film.ring import Ring, make_memory, size_memory
from gpu.film.signature import Signature, read_signature
from gpu.film.types import AudioInfo, FilmError, FilmInfo, FilmLimits, VideoInfo
from gpu.film.wire import Ask, Late, Mark, Message, Say
from gpu.types import Frame

LIMITS = FilmLimits()
_known = Known()
_MOST_HEAD = 1 << 16
_PATIENCE = 30.0  # times `stall_s`, while work goes on: counting, or the way to a frame far off a keyframe


@dataclass(slots=True)
class ReadStats:
    """Counted over a reader's life."""

    frames: int = 0
    repeated: int = 0  # could not be decoded: shown as the one before
    damaged: int = 0  # decoded, and repaired by the decoder
    rescaled: int = 0  # of another size than the film


def open_film(path: Path, limits: FilmLimits = LIMITS) -> FilmReader:
    """Probed: every packet has been counted when this returns. Close it.

    Raises FilmError for what is no film, is damaged, or is beyond the limits."""
    fd = open_file(path, limits)
    try:
        return FilmReader(fd, read_signature(fd), limits)
    finally:
        os.close(fd)


class FilmReader(ChildReader):
    """A film's pictures. Iterators one after another; a new one ends the one before."""

    def __init__(self, fd: int, signature: Signature, limits: FilmLimits) -> None:
        """`fd`: only used in here. Raises FilmError."""
        super().__init__(limits, "the film")
        self._lock = threading.Lock()
        self.stats = ReadStats()
        self._ring: Ring | None = None
        try:
            self.info, self._index = self._probe(fd, signature)
            self._ticks = self._index.ticks
            self._ring = self._share()
        except BaseException:
            self.close()
            raise

    @property
    def ticks(self) -> I64:
        """[N]: when each frame is shown, from 0."""
        return self._ticks

    @property
    def zero(self) -> Fraction:
        """The first frame's time as the container counts it, seconds."""
        return int(self._index.pts[0]) * self._index.unit

    @property
    def key_ticks(self) -> I64:
        """[K]: when the keyframes are shown, as `ticks`."""
        return to_ticks(self._index.keys[:, 0] - self._index.pts[0], self._index.unit)

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """Frames with start <= pts < end, in shown order. Whoever takes them slowly holds the child back.

        Raises FilmError when the film cannot be read further."""
        generation = self._begin()
        first = int(np.searchsorted(self._ticks, start))
        last = len(self._ticks) if end is None else int(np.searchsorted(self._ticks, end))
        return self._frames(generation, first, last)

    def glimpses(self) -> Iterator[tuple[int, Frame]]:
        """(number, frame) as they are decoded soonest, in shown order, from the film's beginning: with edges
        between blocks, and what is damaged left out. For who looks for scenes.

        Raises FilmError when the film cannot be read further."""
        return self._glimpses(self._begin())

    def close(self) -> None:
        """As a ChildReader's; the memory shared with it is let go, too."""
        super().close()
        with self._lock:
            if self._ring is not None:
                self._ring.close()
                self._ring = None

    def __enter__(self) -> FilmReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _frames(self, generation: int, first: int, last: int) -> Iterator[Frame]:
        asked = False
        for number in range(first, last):
            with self._lock:
                if generation != self._generation:
                    return
                if not asked:
                    self._send(Say.READ, a=generation, b=first, body=struct.pack("<q", last))
                    asked = True
                frame = self._next(generation, number)
            yield frame

    def _glimpses(self, generation: int) -> Iterator[tuple[int, Frame]]:
        at = 0
        while True:
            with self._lock:
                if generation != self._generation:
                    return
                if at == 0:
                    last = struct.pack("<q", len(self._ticks))
                    self._send(Say.READ, flags=Ask.GLIMPSES, a=generation, body=last)
                message = self._said(generation)
                if message.kind == Say.END:
                    return
                if not at <= message.b < len(self._ticks):
                    raise self._fail(f"the reader gave frame {message.b} behind {at - 1}: a defect; say so")
                at, frame = message.b + 1, self._take(message)
            yield at - 1, frame

    def _begin(self) -> int:
        with self._lock:
            self._generation += 1
            return self._generation

    def _next(self, generation: int, number: int) -> Frame:
        message = self._said(generation)
        if message.kind != Say.FRAME or message.b != number:
            raise self._fail(f"the reader gave frame {message.b} for {number}: a defect; say so")
        return self._take(message)

    def _said(self, generation: int) -> Message:
        """The next frame of a reading, or its end."""
        until = self._until()
        while True:
            message = self._receive(_MOST_HEAD, until)
            if message.kind in (Say.FRAME, Say.END) and message.a == generation:
                return message

    def _take(self, message: Message) -> Frame:
        number = message.b
        if self._ring is None or message.slot >= self._ring.slots:
            raise self._fail(f"the reader gave slot {message.slot}: a defect; say so")
        frame = self._ring.frame(message.slot, int(self._ticks[number]))
        self._send(Say.FREE, a=message.a)
        self.stats.frames += 1
        self.stats.repeated += bool(message.flags & Mark.REPEATED)
        self.stats.rescaled += bool(message.flags & Mark.RESCALED)
        self.stats.damaged += bool(message.flags & Mark.DAMAGED)
        return frame

    def _probe(self, fd: int, signature: Signature) -> tuple[FilmInfo, Index]:
        order = {
            "limits": asdict(self._limits),
            "demuxer": signature.demuxer,
            "container": signature.container,
        }
        text = json.dumps(order).encode()
        known = _known.find(fd, self._limits)
        table = b"" if known is None else known[1].pack()
        self._send(Say.OPEN, body=struct.pack("<I", len(text)) + text + table, fd=fd)
        if known is not None:
            return known
        index = unpack_index(self._wanted(Say.INDEX, 1024 + 24 * (self._limits.most_frames + 1)).body)
        info = _read_info(self._wanted(Say.INFO, _MOST_HEAD).body)
        if len(index.pts) != info.video.frames:
            raise FilmError("what is said of the film contradicts itself: open it again")
        _known.add(fd, self._limits, (info, index))
        return info, index

    def _share(self) -> Ring:
        memory = make_memory()
        try:
            width, height = self.info.video.width, self.info.video.height
            size_memory(memory, width, height)
            ring = Ring(memory, width, height)
            self._send(Say.RING, fd=memory)
            return ring
        finally:
            os.close(memory)

    def _wanted(self, kind: Say, most_bytes: int) -> Message:
        until = self._until()
        while True:
            message = self._receive(most_bytes, until)
            if message.kind == kind:
                return message

    def _receive(self, most_bytes: int, until: float) -> Message:
        """`until`: by time.monotonic(), whatever signs of life there are."""
        stall_s = min(self._limits.stall_s, max(0.0, until - time.monotonic()))
        try:
            return self._hear(stall_s, most_bytes)
        except Late as error:
            raise self._fail(
                f"the film gave no frame for {self._limits.stall_s:.0f} s, or {_PATIENCE:.0f} times that "
                "while work went on: damaged or without keyframes; convert it"
            ) from error

    def _until(self) -> float:
        return time.monotonic() + _PATIENCE * self._limits.stall_s


def open_file(path: Path, limits: FilmLimits) -> int:
    """Open for reading; a link is followed. Never waits for a FIFO. Raises FilmError."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise FilmError(f"{path} is no file: name a film")
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise FilmError(
            f"{path} cannot be opened ({error.strerror}): name a film that can be read"
        ) from error
    found = os.fstat(fd)
    problem = ""
    if not stat.S_ISREG(found.st_mode):
        problem = f"{path} is no file: name a film"
    elif found.st_size > limits.most_bytes:
        problem = f"the file has {found.st_size} bytes: at most {limits.most_bytes} are taken"
    if problem:
        os.close(fd)
        raise FilmError(problem)
    return fd


def held(fd: int, path: Path) -> Path:
    """A path to the file that is open, while it is, whatever becomes of its name; where the system has none,
    the name it had."""
    own = Path(f"/proc/self/fd/{fd}")
    return own if own.exists() else path


def open_again(fd: int, path: Path, limits: FilmLimits) -> int:
    """The file that is open, read from a place of its own: descriptors that are copies share theirs. Raises
    FilmError where `path` is another file by now, and the system knows the one that is open by no other."""
    again = open_file(held(fd, path), limits)
    if not os.path.sameopenfile(fd, again):
        os.close(again)
        raise FilmError("the film was replaced by another while it was opened: open it again")
    return again


def _read_info(data: bytes) -> FilmInfo:
    said = json.loads(data)
    video = VideoInfo(**{**said["video"], "fps": Fraction(*said["video"]["fps"])})
    audio = AudioInfo(**said["audio"]) if said["audio"] else None
    return FilmInfo(said["container"], video, audio, said["bytes"])
