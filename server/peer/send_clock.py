"""What a peer's sender reports say: picture and sound of one instant leave at one NTP time. Knows no packets.

A receiver lines up two streams by their reports (RFC 3550 §6.4.1). A report that pairs now with the packet
sent last is up to a frame wrong; here both streams' timestamps are read off one clock as the report is made.
"""

from __future__ import annotations

import time

NTP_EPOCH_S = 2_208_988_800  # from 1900 to 1970 (RFC 5905 §6)
JUMP_S = 3.0  # further off is another time, not a late packet
DRIFT = 2e-4  # how fast the other side's clock is followed: twice what crystals are apart


class SendClock:
    """One of a peer: media seconds as they pass, from the packets that leave. Loop thread only."""

    def __init__(self) -> None:
        self._wall_s = time.time() - time.monotonic()  # steps of the wall clock are nobody's business
        self._lag_s: float | None = None  # monotonic less media
        self._followed_s = 0.0

    def left(self, media_s: float) -> None:
        """Something of this time leaves now."""
        now_s = time.monotonic()
        lag_s = now_s - media_s
        if self._lag_s is None or abs(lag_s - self._lag_s) > JUMP_S:
            self._lag_s = lag_s
        else:
            most = (now_s - self._followed_s) * DRIFT
            self._lag_s += min(max(lag_s - self._lag_s, -most), most)
        self._followed_s = now_s

    def read(self, hz: int) -> tuple[int, int] | None:
        """-> (NTP timestamp, 64 bits, RTP timestamp at `hz`) of now; None before anything left."""
        if self._lag_s is None:
            return None
        now_s = time.monotonic()
        ntp = round((now_s + self._wall_s + NTP_EPOCH_S) * (1 << 32))
        return ntp & ((1 << 64) - 1), round((now_s - self._lag_s) * hz) & 0xFFFFFFFF
