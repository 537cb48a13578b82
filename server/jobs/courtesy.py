"""Live streams come first: while any is served, rendering rests as long as it worked."""

from __future__ import annotations

import time
from collections.abc import Callable

from server.jobs.patience import Signal

LIVE_S = 0.5  # since a stream's last turn: it is still being served
MOST_REST_S = 2.0  # at once: a step that took minutes (it compiled) is not paid back at once


class Courtesy:
    """One for each thread that works. With it the thread works at most half of the time that streams are
    served; without a stream it does not rest at all."""

    def __init__(
        self, live: Callable[[], bool], aborted: Signal, note: Callable[[float], None] = lambda seconds: None
    ) -> None:
        """`live()`: whether a stream is being served; `note` is told how long it rested. Work begins here."""
        self._live, self._aborted, self._note = live, aborted, note
        self._since_s = time.monotonic()

    def rest(self) -> None:
        """Between two pieces of work; returns when the next may begin."""
        if self._live():
            worked_s = min(time.monotonic() - self._since_s, MOST_REST_S)
            began_s = time.monotonic()
            self._aborted.wait(worked_s)
            self._note(time.monotonic() - began_s)
        self._since_s = time.monotonic()
