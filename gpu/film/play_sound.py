"""A film's sound at its pace, in step with its pictures: blocks of PCM, each when it is due. Knows no codec.

Owns one child and one thread. The film's clock is followed and never held up: what comes late is left out.
"""

from __future__ import annotations

import logging
import os
import threading
from fractions import Fraction
from functools import partial
from typing import Protocol

from gpu import threads
from gpu.film.pcm_reader import PcmReader
from gpu.film.pcm_wire import RATE_HZ
from gpu.film.play_clock import FilmClock
from gpu.film.types import FilmError

log = logging.getLogger(__name__)

_LATE_NS = 60_000_000  # three blocks
_JOIN_S = 5.0
_NS = 1_000_000_000


class SoundSink(Protocol):
    """Called on the sound's thread; takes no time."""

    def hear(self, block: bytes, pts: int, now_ns: int) -> None:
        """20 ms of PCM (see pcm_wire); `pts`: when its first sample is heard, 48 kHz, counted as pictures'
        are; `now_ns`: when it was found due, monotonic."""
        ...

    def fall_silent(self, why: str) -> None:
        """Once, and nothing comes any more: the film goes on without sound."""
        ...


class SoundPlayer:
    """`start` it once, `close` it."""

    def __init__(self, fd: int, zero: Fraction, clock: FilmClock) -> None:
        """`fd`: the film, open for nobody else; closed in here. `zero`: the first frame's time in the
        container's seconds."""
        self._fd = fd
        self._zero, self._clock = zero, clock
        self._lock = threading.Lock()
        self._reader: PcmReader | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self.plays = False  # pictures are to keep up with it

    def start(self, began_ns: int, sink: SoundSink) -> None:
        """`began_ns`: when time 0 of the showing was, monotonic."""
        self.plays = True
        self._thread = threading.Thread(
            target=self._run, args=(began_ns, sink), name="relens-film-sound", daemon=True
        )
        threads.start(self._thread)

    def close(self) -> None:
        """After its clock. Bounded time. Idempotent."""
        with self._lock:
            self._closed = True
            reader, fd, self._fd = self._reader, self._fd, -1
        if reader is not None:
            reader.close()
        if fd >= 0:
            os.close(fd)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _run(self, began_ns: int, sink: SoundSink) -> None:
        why = ""
        try:
            if self._clock.runs() and (reader := self._open()) is not None:  # pictures come first
                self._play(reader, began_ns, sink)
        except FilmError as error:
            why = str(error)
        except Exception:
            log.exception("a film's sound failed")
            why = "the film's sound failed, by a defect of relens: its log says more"
        self.plays = False
        if why and not self._clock.closed:
            sink.fall_silent(why)

    def _open(self) -> PcmReader | None:
        """None: closed meanwhile."""
        with self._lock:
            if self._closed:
                return None
            fd = os.dup(self._fd)
        try:
            reader = PcmReader(fd, self._zero, self._clock.duration, wanted=lambda: not self._clock.closed)
        finally:
            os.close(fd)
        with self._lock:
            if not self._closed:
                self._reader = reader
                return reader
        reader.close()
        return None

    def _play(self, reader: PcmReader, began_ns: int, sink: SoundSink) -> None:
        place = -1
        while (found := self._clock.follow(place)) is not None:
            place, wanted = found
            for at, block in reader.blocks(wanted, partial(self._clock.is_at, place)):
                film_ns = at * _NS // RATE_HZ
                reached = self._clock.reach(place, film_ns)
                if reached is None:
                    break
                now_ns, zero_ns = reached
                if now_ns - zero_ns - film_ns <= _LATE_NS:
                    sink.hear(block, at + round((zero_ns - began_ns) * RATE_HZ / _NS), now_ns)
