"""Whether a frame may go to a target, or the target is too slow and waits for a keyframe. Pure.

Sent late is worse than not sent: a target that falls behind loses pictures up to a keyframe, and sound with
them, and never makes the server grow.
"""

from __future__ import annotations

MOST_BYTES = 4 << 20  # waiting in the server
MOST_TICKS = 3 * 90_000  # sent and not written yet, of the stream's time
_GOOD_TICKS = 90_000  # it has caught up


class Backlog:
    """One target's. Times of video in 90 kHz ticks."""

    def __init__(self) -> None:
        self.dropping = False
        self.wants_keyframe = False  # it has caught up, and goes on from the next one
        self.dropped = 0  # frames
        self._sent: int | None = None
        self._written: int | None = None

    @property
    def behind_ticks(self) -> int:
        """Of the stream's time, between what was sent and what was written."""
        if self._sent is None or self._written is None:
            return 0
        return max(0, self._sent - self._written)

    def written(self, pts: int) -> None:
        self._written = pts

    def begin(self, pts: int) -> None:
        """From this keyframe on."""
        self._sent = self._written = pts
        self.dropping = False

    def video(self, pts: int, is_keyframe: bool, waiting_bytes: int) -> bool:
        """Whether it is sent."""
        if self.dropping:
            self.wants_keyframe = waiting_bytes < MOST_BYTES // 4 and self.behind_ticks < _GOOD_TICKS
            self.dropping = not (is_keyframe and self.wants_keyframe)
        elif waiting_bytes > MOST_BYTES or self.behind_ticks > MOST_TICKS:
            self.dropping = True
        if self.dropping:
            self.dropped += 1
            return False
        self.wants_keyframe = False
        self._sent = pts
        return True
