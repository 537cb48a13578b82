"""Holds sound back until the picture of its time leaves, so that lips and words meet. Knows nothing of RTP.

Picture and sound carry times of one clock. What is measured is when pictures leave against their times;
sound follows, later quickly, earlier slowly, and its order never changes. Bounded in packets and in delay; in
normal use (delays under the bound) nothing is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from statistics import median

from gpu.types import CLOCK_HZ
from server.peer.types import AUDIO_HZ, EncodedAudio

MAX_DELAY_S = 2.5  # a video path slower than this is out of step anyway
MAX_PACKETS = 192  # 20 ms Opus packets (RFC 7587 §4.2): 3.8 s, one and a half times MAX_DELAY_S
MEASURED, FEWEST = 15, 3  # pictures whose median counts: one that is late by itself moves nothing
MEASURED_S = 0.5  # and older ones no more than the fewest
RISE, FALL = 0.2, 0.1  # weight of one picture at 30 fps: steady within 0.6 s later, 1 s earlier
PICTURE_S, FAR_S = 1 / 30, 0.25  # farther apart each weighs more, up to that
# A film's first picture has waited for all that a stream begins with: how late pictures are is known by those
# behind it.
BEGIN_S = 0.25
JUMP_S = 3.0  # off by more than this is another time, not another delay
PASSED_S = 0.03  # a packet and a half; what is over by more when a film's sound begins is not heard at all
STALE_S = 10.0  # without a picture for so long there is nothing to wait for


class HoldBack:
    """A bounded delay line. Loop thread only."""

    def __init__(self, send: Callable[[EncodedAudio], None], waits: bool = False) -> None:
        """`waits`: for the first pictures, too, and what is older than those is left out: of a film there is
        nothing to hear before there is something to see. Else it leaves at once where nothing is known."""
        self._send, self._waits = send, waits
        self._packets: deque[tuple[float, EncodedAudio]] = deque()  # (taken at, monotonic seconds)
        self._timer: asyncio.TimerHandle | None = None
        self._lags: deque[tuple[float, float]] = deque(maxlen=MEASURED)  # (seen at, seconds)
        self._begins_s: float | None = None  # when a film's sound may begin; None: it has begun
        self._offset: float | None = None  # monotonic seconds at which the picture of time 0 would leave
        self._seen_s = 0.0
        self.delay_s = 0.0  # what the last packet was held
        self.dropped = 0

    def video_left(self, pts: int) -> None:
        """The picture of this time, 90 kHz, leaves now."""
        now_s = time.monotonic()
        apart_s, self._seen_s = min(now_s - self._seen_s, FAR_S), now_s
        lag = now_s - pts / CLOCK_HZ
        known = self._offset
        if known is None or abs(lag - known) > JUMP_S:
            self._lags.clear()
            self._begins_s = now_s + BEGIN_S if self._waits else None
            known = None
        self._lags.append((now_s, lag))
        if known is None:
            self._offset = lag
            self._release()
        elif self._begins_s is None:
            self._offset = self._followed(known, apart_s)
        else:
            self._offset = min(known, lag)
            if len(self._lags) >= FEWEST:
                self._begins_s = now_s
                self._release()

    def _followed(self, offset: float, apart_s: float) -> float:
        """`apart_s`: since the picture before."""
        while len(self._lags) > FEWEST and self._seen_s - self._lags[0][0] > MEASURED_S:
            self._lags.popleft()
        ahead = median(lag for _, lag in self._lags) - offset
        kept = 1 - (RISE if ahead > 0 else FALL)
        still: float = kept ** max(1.0, apart_s / PICTURE_S)
        return offset + ahead * (1 - still)

    def push(self, packet: EncodedAudio) -> None:
        """Take a packet; it is sent when the picture of its time leaves. Over the bound the oldest is
        dropped."""
        if len(self._packets) >= MAX_PACKETS:
            self._packets.popleft()
            self.dropped += 1
        now_s = time.monotonic()
        self._packets.append((packet.arrived_ns / 1e9 if packet.arrived_ns else now_s, packet))
        if self._timer is None:
            self._release()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = time.monotonic()
        if self._offset is not None and now_s - self._seen_s > STALE_S:
            self._offset = None
        if self._waits and not self._may_begin(now_s):
            return
        while self._packets:
            taken_s, packet = self._packets[0]
            wait_s = self._due_s(taken_s, packet) - now_s
            if wait_s > 0.001:  # one tick of the loop's timers
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._release)
                return
            self._packets.popleft()
            self.delay_s = now_s - taken_s
            self._send(packet)

    def _may_begin(self, now_s: float) -> bool:
        if self._offset is None:
            return False
        if self._begins_s is not None:
            if self._begins_s > now_s:
                left_s = self._begins_s - now_s
                self._timer = asyncio.get_running_loop().call_later(left_s, self._release)
                return False
            self._begins_s = None
            self._leave_out(now_s - self._offset - PASSED_S)
        return True

    def _due_s(self, taken_s: float, packet: EncodedAudio) -> float:
        if self._offset is None:
            return taken_s
        return min(self._offset + packet.pts / AUDIO_HZ, taken_s + MAX_DELAY_S)

    def _leave_out(self, until_s: float) -> None:
        while self._packets and self._packets[0][1].pts / AUDIO_HZ < until_s:
            self._packets.popleft()

    def clear(self) -> None:
        """Forget what is held, and what was measured (pause, close)."""
        self._offset = None
        self._lags.clear()
        self.skip()

    def skip(self) -> None:
        """Forget what is held; pictures go on leaving as late as they do (a film is sought in)."""
        self._packets.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
