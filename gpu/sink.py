"""Who hears of a stream, and how often. Knows what is said, not what happens in the stream."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from gpu.errors import FrameError, RelensError
from gpu.ladder import Ladder
from gpu.stats import Meter
from gpu.types import EncodedFrame

logger = logging.getLogger(__name__)

_ASK_KEYFRAME_NS = 400_000_000  # a sender needs a round trip and an intra frame's time to answer
_LOG_NS = 1_000_000_000


class PipelineSink(Protocol):
    """Takes what a stream gives. Called on the stream's threads; must not block.

    `on_error` with a FrameError (an edit that is refused) is news of a stream that goes on; with any other
    error it is the stream's last word."""

    def on_frame(self, frame: EncodedFrame) -> None: ...
    def on_applied(self, revision: int, pts: int) -> None: ...
    def on_keyframe_needed(self) -> None: ...
    def on_degraded(self, level: int, message: str) -> None: ...
    def on_error(self, exc: RelensError) -> None: ...


class Reporter:
    """Stands between a stream and its sink: counts, says things once, survives a sink that throws."""

    def __init__(self, sink: PipelineSink, meter: Meter) -> None:
        self._sink, self._meter = sink, meter
        self._ladder = Ladder()
        self._lock = threading.Lock()
        self._silent = False
        self._asked_ns = self._logged_ns = -_LOG_NS
        self.applied = 0  # the revision last said to be in force

    @property
    def level(self) -> int:
        return self._ladder.level

    def frame(self, out: EncodedFrame, now_ns: int) -> None:
        self._meter.rate("out", now_ns, len(out.data))
        self._meter.count("frames_out")
        if out.arrived_ns:
            self._meter.time("total", now_ns, now_ns - out.arrived_ns)
        self._tell(self._sink.on_frame, out)

    def in_force(self, revision: int, pts: int) -> None:
        self.applied = revision
        self._tell(self._sink.on_applied, revision, pts)

    def lost(self, exc: Exception, frames: int) -> None:
        """Frames did not make it: counted, and logged at most once a second."""
        self._meter.count("frame_errors")
        self._meter.count("dropped", frames)
        self._log(exc)

    def ask_keyframe(self, at_once: bool = False) -> None:
        """Ask the sender for a keyframe; requests close together are one, unless `at_once`."""
        now_ns = time.monotonic_ns()
        with self._lock:
            if not at_once and now_ns - self._asked_ns < _ASK_KEYFRAME_NS:
                return
            self._asked_ns = now_ns
        self._meter.count("keyframes_asked")
        self._tell(self._sink.on_keyframe_needed)

    def judge_pace(self) -> None:
        """Hold the output's rate against the input's; says only what lasts."""
        now_ns = time.monotonic_ns()
        with self._lock:
            said = self._ladder.observe(now_ns / 1e9, *self._meter.fps(now_ns))
        if said:
            self._tell(self._sink.on_degraded, *said)

    def stuck(self, step_s: float) -> None:
        """The watchdog's: a step takes very long. Said once."""
        with self._lock:
            said = self._ladder.stuck(step_s)
        if said:
            logger.error("a model step has been running for %.1f s", step_s)
            self._tell(self._sink.on_degraded, *said)

    def refused(self, exc: FrameError) -> None:
        """An edit that was asked for is not put in force: who asked must hear of it."""
        self._tell(self._sink.on_error, exc)

    def fail(self, exc: RelensError) -> None:
        """The stream's last word."""
        with self._lock:
            if self._silent:
                return
            self._silent = True
        try:
            self._sink.on_error(exc)
        except Exception as defect:  # as in _tell
            self._log(defect)

    def silence(self) -> None:
        """Nothing reaches the sink after this."""
        self._silent = True

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        if self._silent:
            return
        try:
            callback(*args)
        except Exception as exc:  # the owner's defect: its stream goes on, its log tells
            self._log(exc)

    def _log(self, exc: Exception) -> None:
        now_ns = time.monotonic_ns()
        with self._lock:
            if now_ns - self._logged_ns < _LOG_NS:
                return
            self._logged_ns = now_ns
        logger.warning("stream: %s: %s", type(exc).__name__, str(exc))  # not exc: it holds pictures
