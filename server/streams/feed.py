"""What one publisher gives a stream: its frames from a keyframe on, and its sound, on the stream's clock.

Knows no pipeline. A publisher that throws is taken for one that did as it was told.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from gpu.types import EncodedFrame
from server.peer.types import EncodedAudio
from server.streams.timebase import Timebase
from server.streams.types import Publisher

log = logging.getLogger(__name__)

ASK_EVERY_S = 0.5  # for a keyframe, at most


class Feed:
    """Loop thread only."""

    def __init__(self, publisher: Publisher, timebase: Timebase) -> None:
        """`timebase`: the stream's; this publisher's first picture goes on from there."""
        self.publisher = publisher
        self._timebase = timebase
        timebase.expect()
        self.began_s = self._media_s = time.monotonic()
        self._needs_keyframe = True
        self._asked_s = -ASK_EVERY_S

    @property
    def idle_s(self) -> float:
        """Since its last frame."""
        return time.monotonic() - self._media_s

    def begin(self) -> None:
        """From now on its frames are used."""
        self.began_s = self._media_s = time.monotonic()
        if self._needs_keyframe:
            self.ask_keyframe()

    def video(self, frame: EncodedFrame) -> EncodedFrame | None:
        """The same at the stream's time; None before its first keyframe, which is asked for."""
        self._media_s = now_s = time.monotonic()
        if self._needs_keyframe and not frame.is_keyframe:
            self.ask_keyframe()
            return None
        self._needs_keyframe = False
        pts = self._timebase.video(frame.pts, now_s)
        return replace(frame, pts=pts, arrived_ns=frame.arrived_ns or time.monotonic_ns())

    def audio(self, packet: EncodedAudio) -> EncodedAudio | None:
        """The same at the stream's time; None where it has no place there."""
        pts = self._timebase.audio(packet.pts, time.monotonic())
        return replace(packet, pts=pts) if pts is not None else None

    def ask_keyframe(self) -> None:
        """Where its protocol can; requests close together are one."""
        now_s = time.monotonic()
        if now_s - self._asked_s < ASK_EVERY_S:
            return
        self._asked_s = now_s
        try:
            self.publisher.request_keyframe()
        except Exception:
            log.exception("a publisher by %s could not be asked for a keyframe", self.publisher.kind)

    def end(self, code: str, message: str) -> None:
        try:
            self.publisher.end(code, message)
        except Exception:
            log.exception("a publisher by %s could not be ended", self.publisher.kind)
