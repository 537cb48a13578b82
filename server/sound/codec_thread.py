"""A thread of one live transcoder: packets in and out in order, both on the event loop. Knows no codec.

Bounded both ways; where it cannot keep up the newest win, and what was dropped is counted.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from gpu import threads

log = logging.getLogger(__name__)

MAX_WAITING = 50  # one second of packets: sound later than that is of no use
MAX_DONE = 4 * MAX_WAITING  # results may be smaller than what they were made of
In = TypeVar("In")
Out = TypeVar("Out")


def _nothing(_: object) -> tuple[()]:
    """In place of what is not called any more."""
    return ()


class CodecThread(Generic[In, Out]):
    """`work` runs on the thread, `on_result` on the loop that made this; nothing is told after `close`."""

    def __init__(
        self, name: str, work: Callable[[In], Sequence[Out]], on_result: Callable[[Out], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        self._on_result: Callable[[Out], object] = on_result
        self._changed = threading.Condition()
        self._waiting: deque[In] = deque()
        self._done: deque[Out] = deque()
        self._awake = self._closed = False
        self.dropped = 0  # of both sides
        self.failed = 0  # what `work` raised at
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        threads.start(self._thread)

    def push(self, item: In) -> None:
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(item)
            self._changed.notify()

    def close(self) -> None:
        """Idempotent; does not wait: the thread ends behind the packet it has in hand."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._done.clear()
            self._on_result = _nothing
            self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread is gone within this time; not for the loop's thread."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._take_turns()
        finally:  # else whose work it is, and its codecs' threads, would wait in a circle for the collector
            self._work = _nothing

    def _take_turns(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                item = self._waiting.popleft()
            try:
                results = self._work(item)
            except Exception:  # a packet of its own: the next one may be well
                self.failed += 1
                if self.failed in (1, 10, 100, 1000):
                    log.warning("sound: a packet was not taken (%d so far)", self.failed, exc_info=True)
                continue
            if results:
                self._give(results)

    def _give(self, results: Sequence[Out]) -> None:
        with self._changed:
            if self._closed:
                return
            self._done.extend(results)
            while len(self._done) > MAX_DONE:
                self._done.popleft()
                self.dropped += 1
            if self._awake:
                return
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop is closed: there is nobody left to tell
                self._closed = True
            else:
                self._awake = True

    def _deliver(self) -> None:
        with self._changed:
            self._awake = False
            results, self._done = self._done, deque()
        for result in results:
            if self._closed:
                return
            self._on_result(result)
