"""What is known of jobs in this process alone: frames of spans in work, pace, why one waits, who cancelled.

Any thread. Knows neither database nor models."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Literal

Stage = Literal["", "cutting", "rendering", "assembling"]
PACE_S = 10.0  # over which frames a second are counted


@dataclass(frozen=True, slots=True)
class Progress:
    """`frames`: edited in spans that are not done yet; `share`: of the film that is cut, while it is."""

    stage: Stage = ""
    frames: int = 0
    fps: float = 0.0
    share: float = 0.0
    waiting: str = ""


@dataclass(slots=True)
class Totals:
    """Counted since the process began."""

    frames: int = 0
    rendered: int = 0  # segments
    reused: int = 0
    done: int = 0  # jobs
    failed: int = 0
    cancelled: int = 0
    rested_s: float = 0.0  # while live streams were served


@dataclass(slots=True)
class _Entry:
    stage: Stage = ""
    share: float = 0.0
    waiting: str = ""
    running: dict[int, int] = field(default_factory=dict)
    pace: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=int(PACE_S) + 2))
    abandoned: threading.Event = field(default_factory=threading.Event)


class Board:
    """Entries live from `begin` to `end`; of others nothing is known."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._totals = Totals()

    def begin(self, job_id: str) -> threading.Event:
        """What is set when the job is abandoned."""
        with self._lock:
            return self._entries.setdefault(job_id, _Entry()).abandoned

    def end(self, job_id: str) -> None:
        with self._lock:
            self._entries.pop(job_id, None)

    def abandoned(self, job_id: str) -> threading.Event:
        """Of a job that is begun here, what `begin` gave; of another, one that nobody sets."""
        with self._lock:
            entry = self._entries.get(job_id)
        return entry.abandoned if entry is not None else threading.Event()

    def abandon(self, job_id: str) -> None:
        """Whoever works for it stops within a frame."""
        with self._lock:
            entry = self._entries.get(job_id)
        if entry is not None:
            entry.abandoned.set()

    def stage(self, job_id: str, stage: Stage, share: float = 0.0) -> None:
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is not None:
                entry.stage, entry.share = stage, share

    def waits(self, job_id: str, why: str) -> None:
        """For something outside that is away or full; "": no more."""
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is not None:
                entry.waiting = why

    def frame(self, job_id: str, index: int, done: int) -> None:
        """A frame more of segment `index`: `done` of it are edited."""
        second = int(time.monotonic())
        with self._lock:
            self._totals.frames += 1
            entry = self._entries.get(job_id)
            if entry is None:
                return
            entry.running[index] = done
            if entry.pace and entry.pace[-1][0] == second:
                entry.pace[-1] = (second, entry.pace[-1][1] + 1)
            else:
                entry.pace.append((second, 1))

    def leave(self, job_id: str, index: int, *, rendered: int = 0, reused: int = 0) -> None:
        """Segment `index` is in work no more."""
        with self._lock:
            self._totals.rendered += rendered
            self._totals.reused += reused
            entry = self._entries.get(job_id)
            if entry is not None:
                entry.running.pop(index, None)

    def rested(self, seconds: float) -> None:
        """Work stood still so long, so that live streams could be served."""
        with self._lock:
            self._totals.rested_s += seconds

    def over(self, *, done: int = 0, failed: int = 0, cancelled: int = 0) -> None:
        """Jobs that ended."""
        with self._lock:
            self._totals.done += done
            self._totals.failed += failed
            self._totals.cancelled += cancelled

    def counted(self) -> Totals:
        """A copy of the totals."""
        with self._lock:
            return replace(self._totals)

    def now(self) -> tuple[int, int]:
        """(jobs in work, those of them that wait for something outside)."""
        with self._lock:
            return len(self._entries), sum(bool(entry.waiting) for entry in self._entries.values())

    def progress(self, job_id: str) -> Progress:
        now_s = time.monotonic()
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is None:
                return Progress()
            seen = sum(count for second, count in entry.pace if now_s - second <= PACE_S)
            first_s = entry.pace[0][0] if entry.pace else now_s
            span_s = max(1.0, min(PACE_S, now_s - first_s))
            frames = sum(entry.running.values())
            return Progress(entry.stage, frames, round(seen / span_s, 2), entry.share, entry.waiting)
