"""One clock for what a peer sends: its picture and its sound count from random origins, each from its own.

Sender reports say what belongs together (RFC 3550 §6.4.1); until both came, what arrives together does. Once
running, sound keeps its steps, for a gap of a few samples is heard, and the picture's times glide.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from gpu.types import CLOCK_HZ

from .types import AUDIO_HZ, SenderReport

Kind = Literal["video", "audio"]
HZ: dict[Kind, int] = {"video": CLOCK_HZ, "audio": AUDIO_HZ}
JUMP_S = 1.0  # of one of them: it began to count anew
STALL_S = 2.0  # late for longer than this: its count stood still, it is not the network
DISBELIEF_S = 2.0  # reports this far from what arrives together are made up
GLIDE = 0.05  # of the time from picture to picture
SURE_S, ROUGH_S = 0.001, 0.02  # off by less is left alone: by reports, by arrival
WEIGHT = 0.25  # of a new report: some pair the time with a packet a frame old
LEAK = 0.001  # seconds a second, by which an early arrival is forgotten


class _Side:
    """The picture or the sound of a peer: seconds by its own count."""

    def __init__(self, hz: int) -> None:
        self.hz = hz
        self.seen = False
        self.lead = 0.0  # its time less ours, of what came the least late
        self.shift = 0.0  # to the common clock
        self._seen_s = 0.0
        self._late_since_s: float | None = None
        self._newest = 0
        self.report: SenderReport | None = None
        self.origin: float | None = None  # its time less NTP, as the last report says

    def see(self, pts: int, now_s: float) -> bool:
        """Whether it counts anew from here on."""
        lead = pts / self.hz - now_s
        if lead > self.lead - JUMP_S:
            self._late_since_s = None
        elif self._late_since_s is None:
            self._late_since_s = now_s
        jumped = (
            not self.seen
            or lead > self.lead + JUMP_S
            or pts < self._newest - JUMP_S * self.hz
            or (self._late_since_s is not None and now_s - self._late_since_s > STALL_S)
        )
        if jumped:
            self.seen, self.lead, self.origin, self._late_since_s = True, lead, None, None
        else:
            self.lead = max(lead, self.lead - (now_s - self._seen_s) * LEAK)
        self._seen_s, self._newest = now_s, pts
        return jumped

    def hear(self, report: SenderReport | None) -> bool:
        """Whether it is a new one."""
        if report is None or report is self.report or not report.ntp_s:
            return False
        self.report = report
        behind = (self._newest - report.timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
        self.origin = (self._newest - behind) / self.hz - report.ntp_s
        return True


class PeerClock:
    """Loop thread only. `report` gives the newest sender report of a kind, the same object while there is no
    newer one."""

    def __init__(
        self, report: Callable[[Kind], SenderReport | None], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._report, self._now_s = report, now_s
        self._video, self._audio = _Side(CLOCK_HZ), _Side(AUDIO_HZ)
        self._apart: float | None = None  # video's time less audio's at one instant, by reports
        self._last: int | None = None  # pts of the picture before

    def video(self, pts: int) -> int:
        """A picture that came now: its time on the common clock. 90 kHz, both unwrapped."""
        jumped = self._video.see(pts, self._now_s())
        self._hear()
        if self._audio.seen:
            wanted = self._audio.shift - self._between()
            if jumped:
                self._video.shift = wanted
            elif self._last is not None:
                self._glide(wanted, (pts - self._last) / CLOCK_HZ)
        self._last = pts
        return pts + round(self._video.shift * CLOCK_HZ)

    def audio(self, pts: int) -> int:
        """A packet of sound that came now: its time on the common clock. 48 kHz, both unwrapped."""
        jumped = self._audio.see(pts, self._now_s())
        self._hear()
        if jumped and self._video.seen:
            self._audio.shift = self._video.shift + self._between()
        return pts + round(self._audio.shift * AUDIO_HZ)

    def _hear(self) -> None:
        new = [side.hear(self._report(kind)) for kind, side in self._sides()]
        video, audio = self._video, self._audio
        if not any(new):
            return
        if video.origin is None or audio.origin is None:
            self._apart = None
            return
        apart = video.origin - audio.origin
        if self._apart is None or abs(apart - self._apart) > JUMP_S:
            self._apart = apart
        else:
            self._apart += (apart - self._apart) * WEIGHT

    def _sides(self) -> tuple[tuple[Kind, _Side], tuple[Kind, _Side]]:
        return ("video", self._video), ("audio", self._audio)

    def _between(self) -> float:
        """Video's time less audio's at one instant."""
        reported = self._reported()
        return self._arrived() if reported is None else reported

    def _arrived(self) -> float:
        return self._video.lead - self._audio.lead

    def _reported(self) -> float | None:
        if self._video.origin is None or self._audio.origin is None or self._apart is None:
            return None
        return self._apart if abs(self._apart - self._arrived()) < DISBELIEF_S else None

    def _glide(self, wanted: float, step_s: float) -> None:
        ahead = wanted - self._video.shift
        if abs(ahead) > (ROUGH_S if self._reported() is None else SURE_S):
            most = max(0.0, min(step_s, JUMP_S)) * GLIDE
            self._video.shift += min(max(ahead, -most), most)
