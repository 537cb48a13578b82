"""A stream's way out: edited pictures are encoded on a thread of their own and handed on, with receipts.

Live, those of a chunk leave as far apart as they came (gpu/spread.py); a file's leave at once.
Knows one stream from its pictures on; nothing of decoders or edits. A thread of its own, because on two cores
the next step can run while the last picture is encoded, and several streams share the worker's thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from gpu.codec.base import EncoderConfig
from gpu.editor import Edited
from gpu.errors import DeviceError, FrameError
from gpu.mailbox import Outbox
from gpu.path import MediaPath
from gpu.sink import Reporter
from gpu.spread import due_ns
from gpu.stats import Meter
from gpu.types import CLOCK_HZ

_POLL_S = 0.5
_CHUNKS = 2  # one being encoded, one edited meanwhile
REFUSED_RUN = 60  # an encoder that has refused so many pictures in a row takes none any more
_KEYFRAME_FLOOR_TICKS = CLOCK_HZ // 4  # keyframes on request: at most four a second


class Outlet:
    """`run` is the encode thread; everything else from any thread. `wake` says: there is room again."""

    def __init__(
        self,
        config: EncoderConfig,
        path: MediaPath,
        chunk_frames: int,
        meter: Meter,
        reporter: Reporter,
        wake: Callable[[], None],
        live: bool = False,
    ) -> None:
        self._encoder = path.open_encoder(config)
        self._chunk_frames = chunk_frames
        self._meter, self._reporter, self._wake = meter, reporter, wake
        self._live = live
        self._outbox: Outbox[tuple[int, Edited[Any]]] = Outbox(_CHUNKS * chunk_frames)
        self._lock = threading.Lock()
        self._keyframe_wanted = False
        self._keyframe_pts: int | None = None
        self._owed: int | None = None  # a revision in force whose first picture has not been delivered
        self._refused = 0  # pictures in a row
        self._closed = threading.Event()

    @property
    def has_room(self) -> bool:
        """Room for a whole chunk."""
        return self._outbox.has_room(self._chunk_frames)

    @property
    def target_bps(self) -> int:
        return self._encoder.target_bps

    @property
    def encoded_by(self) -> str:
        """What encodes."""
        return self._encoder.name

    def put(self, edited: list[Edited[Any]]) -> None:
        """A chunk there was room for. Raises DeviceError where the encoder cannot begin with it."""
        now_ns = time.monotonic_ns()
        for one in edited:
            self._encoder.begin(one.frame)
        due = due_ns([one.frame.pts for one in edited], now_ns) if self._live else [now_ns] * len(edited)
        self._outbox.put(list(zip(due, edited, strict=True)))

    def set_bitrate(self, bps: int) -> None:
        self._encoder.set_bitrate(bps)

    def force_keyframe(self) -> None:
        with self._lock:
            self._keyframe_wanted = True

    def close(self) -> None:
        self._closed.set()
        self._outbox.close()

    def run(self) -> None:
        """Encode until closed. Raises DeviceError when there is no encoder, or it takes nothing any more."""
        while not self._closed.is_set():
            self._next()

    def release(self) -> None:
        """Give the encoder back, after `run`; that may take seconds where a GPU hangs."""
        self._encoder.close()

    def _next(self) -> None:
        """On its own, so that nothing holds a picture while the next one is waited for."""
        waiting = self._outbox.get(_POLL_S)
        if waiting is not None:
            self._wake()
            due, edited = waiting
            del waiting
            wait_s = (due - time.monotonic_ns()) / 1e9
            if wait_s <= 0 or not self._closed.wait(wait_s):
                self._encode(edited)

    def _encode(self, edited: Edited[Any]) -> None:
        if edited.applied is not None:
            self._owed = edited.applied
        began_ns = time.monotonic_ns()
        try:
            encoded = self._encoder.encode(edited.frame, self._take_keyframe(edited.frame.pts))
        except FrameError as exc:
            self._reporter.lost(exc, 1)
            self.force_keyframe()
            self._refused += 1
            if self._refused >= REFUSED_RUN:
                raise DeviceError(
                    f"{self.encoded_by} takes no picture any more: {exc}; open the session again"
                ) from exc
            return
        self._refused = 0
        now_ns = time.monotonic_ns()
        self._meter.time("encode", now_ns, now_ns - began_ns)
        for out in encoded:
            if out.is_keyframe:
                self._keyframe_pts = out.pts
                self._meter.count("keyframes_sent")
            self._reporter.frame(out, now_ns)
            if self._owed is not None:
                self._reporter.in_force(self._owed, out.pts)
                self._owed = None

    def _take_keyframe(self, pts: int) -> bool:
        """Whether this picture is to be a keyframe; a request too soon after the last keyframe stays open."""
        with self._lock:
            last = self._keyframe_pts
            if last is not None and 0 <= pts - last < _KEYFRAME_FLOOR_TICKS:
                return False
            wanted, self._keyframe_wanted = self._keyframe_wanted, False
            return wanted
