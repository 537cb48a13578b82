"""Joins the times of one publisher to those of the next, and of one that begins to count anew, to one clock.

Knows numbers, not frames. The stream's clock goes on with the wall clock between two publishers; picture and
sound of one publisher are moved by one and the same span.
"""

from __future__ import annotations

from gpu.types import CLOCK_HZ

AUDIO_HZ = 48_000
FIRST_TICKS = CLOCK_HZ  # where the stream's clock begins: sound a little older than the picture has room
FRAME_TICKS = CLOCK_HZ // 30
BACK_TICKS = CLOCK_HZ  # pictures out of order, sound that lags behind its picture; more is another origin
AHEAD_TICKS = 2 * CLOCK_HZ  # beyond what the wall clock went on
LATE_TICKS = BACK_TICKS + AHEAD_TICKS  # sound that lags so far is late, and of no other origin
_STEP = 15  # ticks of 90 kHz that are a whole number (8) of ticks of 48 kHz


class Timebase:
    """One stream's. Times of video in 90 kHz, of audio in 48 kHz ticks, the wall clock in seconds."""

    def __init__(self) -> None:
        self._offset: int | None = None  # ticks of 90 kHz; None: the next picture says where it begins
        self._before: int | None = None  # the offset before: what comes late may still be of it
        self._newest: int | None = None  # the stream's latest time, of picture or sound
        self._newest_s = 0.0
        self._picture: int | None = None  # the latest of a picture: what others are early or late by
        self._picture_s = 0.0
        self._last_audio: int | None = None

    def expect(self) -> None:
        """Another publisher: its first picture goes on from here."""
        self._offset = self._before = None

    def video(self, pts: int, now_s: float) -> int:
        """The stream's time of a picture."""
        at = self._place(pts, now_s)
        if at is None:
            at = self._join(pts, now_s)
        self._saw(at, now_s)
        if self._picture is None or at > self._picture:
            self._picture, self._picture_s = at, now_s
        return at

    def audio(self, pts: int, now_s: float) -> int | None:
        """The stream's time of a packet of sound; None for one that has no place in it: before the first
        picture, or not after the sound before."""
        if self._offset is None:
            return None
        ticks = pts * CLOCK_HZ // AUDIO_HZ
        placed = self._place(ticks, now_s)
        if placed is None:
            placed = self._late(ticks)
        if placed is None:
            placed = self._join(ticks, now_s)
        at = pts + (placed - ticks) * AUDIO_HZ // CLOCK_HZ
        if at < 0 or (self._last_audio is not None and at <= self._last_audio):
            return None
        self._last_audio = at
        self._saw(placed, now_s)
        return at

    def _place(self, ticks: int, now_s: float) -> int | None:
        """By the offset in force, or the one before; None where neither fits."""
        picture = self._picture
        if self._offset is None or picture is None:
            return None
        ahead = AHEAD_TICKS + int(max(0.0, now_s - self._picture_s) * CLOCK_HZ)
        for offset in (self._offset, self._before):
            if offset is not None and -BACK_TICKS <= ticks + offset - picture <= ahead:
                return ticks + offset
        return None

    def _late(self, ticks: int) -> int | None:
        """By the offset in force, for sound that comes late all the time: joined, it would move the picture
        on, be late again, and so on."""
        if self._offset is None or self._picture is None:
            return None
        at = ticks + self._offset
        return at if -LATE_TICKS <= at - self._picture < 0 else None

    def _join(self, ticks: int, now_s: float) -> int:
        """From here on another offset: this is as much later as the wall clock says, a picture at least."""
        if self._newest is None:
            at = FIRST_TICKS
        else:
            at = self._newest + max(FRAME_TICKS, int((now_s - self._newest_s) * CLOCK_HZ))
        offset = at - ticks
        offset += -offset % _STEP
        self._before, self._offset = self._offset, offset
        return ticks + offset

    def _saw(self, at: int, now_s: float) -> None:
        if self._newest is None or at > self._newest:
            self._newest, self._newest_s = at, now_s
