"""Live streams come first: while any is served, rendering rests at least as long as it worked.

Longer, where a stream waits for its turn even then: the render has half of the time where there is room
beside the streams, and a fifth where there is none. Of those who render side by side one goes on, and the
others stand still.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from server.jobs.patience import Signal

LIVE_S = 0.5  # since a stream's last turn: it is still being served
MOST_REST_S = 2.0  # for one piece of work: a step that compiled for minutes is not paid back
PRESSED = 3  # times the work, that is waited at most where streams are behind
_POLL_S = 0.004
_STAND_S = 0.25  # between looks whether the streams have gone


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
        self, streams: Streams, aborted: Signal, note: Callable[[float], None] = lambda seconds: None,
        alone: threading.Lock | None = None,
    ) -> None:  # fmt: skip
        """`note` is told how long it rested. `alone`: of all that share it, one works while streams are
        served. Work begins here, and must be ended."""
        self._streams, self._aborted, self._note, self._alone = streams, aborted, note, alone
        self._goes_on = False  # it holds `alone`
        self._since_s = time.monotonic()

    def rest(self) -> None:
        """Between two pieces of work; returns when the next may begin."""
        worked_s = min(time.monotonic() - self._since_s, MOST_REST_S)
        if self._streams.serving(LIVE_S) and self._may_go_on():
            began_s = time.monotonic()
            self._aborted.wait(worked_s)
            until_s = time.monotonic() + PRESSED * worked_s
            while time.monotonic() < until_s and self._streams.busy() and not self._aborted.wait(_POLL_S):
                pass
            self._note(time.monotonic() - began_s)
        else:
            self.end()
        self._since_s = time.monotonic()

    def end(self) -> None:
        """Another may go on. Idempotent; on the thread that rested."""
        if self._goes_on and self._alone is not None:
            self._alone.release()
        self._goes_on = False

    def _may_go_on(self) -> bool:
        """Waits for that while others do; False where it is not wanted any more, or no stream is served."""
        if self._alone is None or self._goes_on:
            return True
        while not self._alone.acquire(timeout=_STAND_S):
            if self._aborted.is_set() or not self._streams.serving(LIVE_S):
                return False
        self._goes_on = True
        return True
