"""That a test ends: limits for what pytest-timeout leaves open, which guards no teardown behind a failure and
no second try of a test.
Above all a thread of an event loop's executor: until Python 3.12 the loop waits for it without end."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import signal
import sys
import time
from asyncio.base_events import BaseEventLoop
from collections.abc import Iterator
from typing import Any

import pytest

TEARDOWN_S = 60.0  # for a teardown behind a test that failed
EXECUTOR_S = 30.0  # for the threads of a loop's executor, once the loop ends
EXIT_S = 60.0  # for the interpreter, once all is said


@contextlib.contextmanager
def phase_limit(limit_s: float, what: str) -> Iterator[None]:
    """Sets an alarm where pytest-timeout's is gone: it went off, or the test failed, which ends it."""
    if sys.platform == "win32" or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def over(*_: object) -> None:
        pytest.fail(f"Timeout (>{limit_s} s) of {what}")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def _end_executor(loop: Any, *_: object) -> None:
    """In the place of BaseEventLoop.shutdown_default_executor. Raises TimeoutError naming what goes on."""
    loop._executor_shutdown_called = True
    executor = loop._default_executor
    if executor is None:
        return
    executor.shutdown(wait=False, cancel_futures=True)
    until = time.monotonic() + EXECUTOR_S
    while busy := [thread.name for thread in executor._threads if thread.is_alive()]:
        if time.monotonic() > until:
            raise TimeoutError(f"the test's loop is over, its threads are not: {', '.join(busy)}")
        await asyncio.sleep(0.005)


def bound_executors() -> None:
    """For every loop of asyncio's own in this process."""
    BaseEventLoop.shutdown_default_executor = _end_executor  # type: ignore[method-assign, assignment]


def bound_exit() -> None:
    """The interpreter waits for every thread of every executor: without end for one that hangs."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(EXIT_S, exit=True, file=sys.__stderr__)


def _own_limit(item: pytest.Item) -> float:
    """What a test's mark says, in seconds; 0 where none does."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker is not None and marker.args else 0.0


def call_limit(item: pytest.Item) -> float:
    """Seconds until a try of a test is taken for failed; 0: never."""
    return _own_limit(item) or float(item.config.getini("timeout") or 0)


def item_limit(item: pytest.Item) -> float:
    """Seconds until a test is ended together with the interpreter; 0: never."""
    if not item.config.getini("faulthandler_exit_on_timeout"):
        return 0.0
    own_s = _own_limit(item)
    own_s += 2 * TEARDOWN_S if own_s else 0.0
    return max(own_s, float(item.config.getini("faulthandler_timeout") or 0))
