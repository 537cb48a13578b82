"""When sent packets leave: in bursts small enough for home routers, late by less than half a frame. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

BURST_BYTES = 15_000  # leaves at once: an ordinary frame is not delayed at all
LEAST_RATE = 1_250_000.0  # bytes/s
SHARE = 1 / 3  # of a frame's time in which what is queued must be gone


@dataclass(slots=True)
class _Unit:
    payloads: deque[bytes]
    timestamp: int
    size: int
    begun: bool = False


class Pacer:
    """A bounded queue of frames behind a token bucket. Call `pop` until it gives None, then wait `delay`."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._units: deque[_Unit] = deque()
        self._tokens = float(BURST_BYTES)
        self._rate = LEAST_RATE
        self._filled: float | None = None
        self._interval = 1 / 30
        self._last_pts: int | None = None
        self.queued_bytes = 0

    def push(self, payloads: list[bytes], pts: int) -> bool:
        """False where there is no room: the frame is not taken."""
        size = sum(map(len, payloads))
        if self.queued_bytes + size > self._max:
            return False
        if self._last_pts is not None and 0 < pts - self._last_pts < 90_000:
            step = min(max((pts - self._last_pts) / 90_000, 0.01), 0.1)
            self._interval += (step - self._interval) / 8
        self._last_pts = pts
        self._units.append(_Unit(deque(payloads), pts & 0xFFFFFFFF, size))
        self.queued_bytes += size
        self._rate = max(LEAST_RATE, self.queued_bytes / (self._interval * SHARE))
        return True

    def flush(self) -> int:
        """Drops what has not begun to leave, a frame that has is finished; -> how many were dropped."""
        dropped = 0
        while self._units and not self._units[-1].begun:
            self.queued_bytes -= self._units.pop().size
            dropped += 1
        return dropped

    def pop(self, now: float) -> tuple[bytes, int, bool] | None:
        """-> (payload, RTP timestamp, marker), or None: nothing may leave now."""
        if self._filled is not None:
            self._tokens = min(self._tokens + (now - self._filled) * self._rate, BURST_BYTES)
        self._filled = now
        if not self._units or self._tokens <= 0:
            return None
        unit = self._units[0]
        payload = unit.payloads.popleft()
        unit.begun = True
        unit.size -= len(payload)
        self.queued_bytes -= len(payload)
        self._tokens -= len(payload)
        if not unit.payloads:
            self._units.popleft()
        return payload, unit.timestamp, not unit.payloads

    def delay(self) -> float | None:
        """Seconds until `pop` gives something; None where nothing is queued."""
        if not self._units:
            return None
        return max(0.001, (2_400 - self._tokens) / self._rate)  # two packets a turn: fewer wake-ups
