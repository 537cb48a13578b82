"""Live streams come first: while any is served, rendering rests at least as long as it worked.

Longer, where a stream waits for its turn even then: the render has half of the time where there is room
beside the streams, and a fifth where there is none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from server.jobs.patience import Signal

LIVE_S = 0.5  # since a stream's last turn: it is still being served
MOST_REST_S = 2.0  # for one piece of work: a step that compiled for minutes is not paid back
PRESSED = 3  # times the work, that is waited at most where streams are behind
_POLL_S = 0.004


class Streams(Protocol):
    """What is asked of the models' workers; any thread."""

    def serving(self, within_s: float) -> bool:
        """Whether a stream had its turn so lately."""
        ...

    def busy(self) -> bool:
        """Whether a stream has its turn, or waits for it."""
        ...


class Courtesy:
    """One for each thread that works. Without a stream it does not rest at all."""

    def __init__(
        self, streams: Streams, aborted: Signal, note: Callable[[float], None] = lambda seconds: None
    ) -> None:
        """`note` is told how long it rested. Work begins here."""
        self._streams, self._aborted, self._note = streams, aborted, note
        self._since_s = time.monotonic()

    def rest(self) -> None:
        """Between two pieces of work; returns when the next may begin."""
        if self._streams.serving(LIVE_S):
            began_s = time.monotonic()
            worked_s = min(began_s - self._since_s, MOST_REST_S)
            self._aborted.wait(worked_s)
            until_s = time.monotonic() + PRESSED * worked_s
            while time.monotonic() < until_s and self._streams.busy() and not self._aborted.wait(_POLL_S):
                pass
            self._note(time.monotonic() - began_s)
        self._since_s = time.monotonic()
