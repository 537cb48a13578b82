"""What the threads that work for jobs share in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from gpu.film.index import I64
from gpu.film.types import FilmInfo
from gpu.types import Frame
from server.jobs.board import Board
from server.jobs.courtesy import Courtesy, Streams
from server.jobs.heart import Heart
from server.jobs.patience import Signal
from server.jobs.plan import Plans
from server.kept.kept import Kept


class InWork:
    """Work keys being rendered here: of two jobs that ask for the same, one waits for the other."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._keys: set[str] = set()

    @contextmanager
    def of(self, key: str, aborted: Signal) -> Iterator[None]:
        """Raises Abandoned."""
        with self._changed:
            while key in self._keys:
                aborted.check()
                self._changed.wait(0.25)
            self._keys.add(key)
        try:
            yield
        finally:
            with self._changed:
                self._keys.discard(key)
                self._changed.notify_all()


@dataclass(slots=True)
class Tools:
    """`nudged`: there may be work; `stop`: the process ends; `alone`: held by the one renderer that goes on
    while streams are served."""

    kept: Kept
    plans: Plans
    heart: Heart
    streams: Streams
    board: Board = field(default_factory=Board)
    in_work: InWork = field(default_factory=InWork)
    nudged: threading.Condition = field(default_factory=threading.Condition)
    stop: threading.Event = field(default_factory=threading.Event)
    alone: threading.Lock = field(default_factory=threading.Lock)

    def nudge(self) -> None:
        """Who waits for work looks again."""
        with self.nudged:
            self.nudged.notify_all()

    def wait(self, seconds: float) -> None:
        """For a nudge, or the end."""
        with self.nudged:
            if not self.stop.is_set():
                self.nudged.wait(seconds)

    @contextmanager
    def gated(self, film: _Film, aborted: Signal, alone: bool = False) -> Iterator[Gated]:
        """`alone`: beside streams, of all that work so only one goes on."""
        courtesy = Courtesy(self.streams, aborted, self.board.rested, self.alone if alone else None)
        try:
            yield Gated(film, aborted, courtesy)
        finally:
            courtesy.end()


class _Film(Protocol):
    @property
    def info(self) -> FilmInfo: ...
    @property
    def ticks(self) -> I64: ...
    @property
    def key_ticks(self) -> I64: ...
    def glimpses(self) -> Iterator[tuple[int, Frame]]: ...
    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]: ...


class Gated:
    """A film whose frames come only while they are wanted, and no faster than live streams allow."""

    def __init__(self, film: _Film, aborted: Signal, courtesy: Courtesy) -> None:
        self._film, self._aborted, self._courtesy = film, aborted, courtesy

    @property
    def info(self) -> FilmInfo:
        return self._film.info

    @property
    def ticks(self) -> I64:
        return self._film.ticks

    @property
    def key_ticks(self) -> I64:
        return self._film.key_ticks

    def glimpses(self) -> Iterator[tuple[int, Frame]]:
        """As the film's. Raises Abandoned too."""
        for each in self._film.glimpses():
            self._courtesy.rest()
            self._aborted.check()
            yield each

    def frames(self, start: int = 0, end: int | None = None) -> Iterator[Frame]:
        """As the film's. Raises Abandoned too."""
        for frame in self._film.frames(start, end):
            self._courtesy.rest()
            self._aborted.check()
            yield frame
