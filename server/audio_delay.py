"""Holds audio back by what the video pipeline takes, so that lips and words meet. Knows nothing of RTP.

The delay follows the measured video latency: up quickly, down slowly, and the order of packets never
changes. Bounded in packets; in normal use (delays under the bound) nothing is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from server.peer.types import EncodedAudio

MAX_DELAY_S = 1.0  # a video path slower than this is out of step anyway
MAX_PACKETS = 128  # 20 ms Opus packets (RFC 7587 §4.2): 2.5 s, more than twice MAX_DELAY_S
RISE, FALL = 0.2, 0.02  # weight of one measured frame: steady within 0.2 s up, 2 s down at 24 fps


class AudioDelay:
    """A bounded delay line. Loop thread only."""

    def __init__(self, send: Callable[[EncodedAudio], None]) -> None:
        self._send = send
        self._packets: deque[tuple[int, EncodedAudio]] = deque()  # (taken at, monotonic ns)
        self._timer: asyncio.TimerHandle | None = None
        self.delay_s = 0.0
        self.dropped = 0

    def video_latency(self, seconds: float) -> None:
        """One video frame left `seconds` after it had arrived."""
        target = min(max(seconds, 0.0), MAX_DELAY_S)
        self.delay_s += (target - self.delay_s) * (RISE if target > self.delay_s else FALL)

    def push(self, packet: EncodedAudio) -> None:
        """Take a packet; it is sent `delay_s` after its arrival. Over the bound the oldest is dropped."""
        if len(self._packets) >= MAX_PACKETS:
            self._packets.popleft()
            self.dropped += 1
        self._packets.append((packet.arrived_ns or time.monotonic_ns(), packet))
        if self._timer is None:
            self._release()

    def _release(self) -> None:
        self._timer = None
        now_ns = time.monotonic_ns()
        while self._packets:
            wait_s = self.delay_s - (now_ns - self._packets[0][0]) / 1e9
            if wait_s > 0.001:  # one tick of the loop's timers
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._release)
                return
            self._send(self._packets.popleft()[1])

    def clear(self) -> None:
        """Forget what is held (pause, close)."""
        self._packets.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
