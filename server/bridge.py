"""Carries what a pipeline says from its threads to the event loop. Knows neither peers nor messages.

One wake-up of the loop carries everything that came meanwhile. Bounded: when the loop does not come
round, frames are dropped down to a keyframe (inter-coded ones cannot be dropped one by one).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Protocol

from gpu.errors import RelensError
from gpu.types import EncodedFrame

MAX_FRAMES = 32  # more than a second at 30 fps: a loop that late has lost the stream anyway
MAX_EVENTS = 256  # applied, degraded and errors; the oldest goes first


class BridgeListener(Protocol):
    """The pipeline's sink again, on the loop's thread."""

    def on_edited(self, frame: EncodedFrame) -> None: ...
    def on_applied(self, revision: int, pts: int) -> None: ...
    def on_source_keyframe_needed(self) -> None: ...
    def on_degraded(self, level: int, message: str) -> None: ...
    def on_error(self, exc: RelensError) -> None: ...
    def on_frames_lost(self, count: int) -> None: ...


class LoopBridge:
    """A `gpu.pipeline.PipelineSink` whose calls arrive at `listener` on `loop`, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: BridgeListener) -> None:
        self._loop = loop
        self._listener = listener
        self._lock = threading.Lock()
        self._frames: deque[EncodedFrame] = deque()
        self._applied: deque[tuple[int, int]] = deque(maxlen=MAX_EVENTS)
        self._degraded: tuple[int, str] | None = None
        self._errors: deque[RelensError] = deque(maxlen=MAX_EVENTS)
        self._keyframe_needed = False
        self._lost = 0
        self._broken = False  # frames were dropped and no keyframe came since
        self._awake = False
        self._closed = False

    def on_frame(self, frame: EncodedFrame) -> None:
        with self._lock:
            if len(self._frames) >= MAX_FRAMES:
                self._lost += len(self._frames)
                self._frames.clear()
                self._broken = True
            self._broken = self._broken and not frame.is_keyframe
            if self._broken:
                self._lost += 1
            else:
                self._frames.append(frame)
            self._wake()

    def on_applied(self, revision: int, pts: int) -> None:
        with self._lock:
            self._applied.append((revision, pts))
            self._wake()

    def on_keyframe_needed(self) -> None:
        with self._lock:
            self._keyframe_needed = True
            self._wake()

    def on_degraded(self, level: int, message: str) -> None:
        with self._lock:
            self._degraded = (level, message)  # only the newest level matters
            self._wake()

    def on_error(self, exc: RelensError) -> None:
        with self._lock:
            self._errors.append(exc)
            self._wake()

    def close(self) -> None:
        """Nothing reaches the listener from now on."""
        with self._lock:
            self._closed = True
            self._frames.clear()

    def _wake(self) -> None:
        if self._awake or self._closed:
            return
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: there is nobody left to tell
            self._closed = True
        else:
            self._awake = True

    def _deliver(self) -> None:
        with self._lock:
            self._awake = False
            if self._closed:
                return
            frames, self._frames = self._frames, deque()
            applied = list(self._applied)
            errors = list(self._errors)
            degraded, self._degraded = self._degraded, None
            keyframe_needed, self._keyframe_needed = self._keyframe_needed, False
            lost, self._lost = self._lost, 0
            self._applied.clear()
            self._errors.clear()
        for frame in frames:
            self._listener.on_edited(frame)
        for revision, pts in applied:
            self._listener.on_applied(revision, pts)
        if degraded is not None:
            self._listener.on_degraded(*degraded)
        if keyframe_needed:
            self._listener.on_source_keyframe_needed()
        if lost:
            self._listener.on_frames_lost(lost)
        for error in errors:
            self._listener.on_error(error)
