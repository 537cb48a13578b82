"""Threads that `top -H` and profilers call by their names: before Python 3.14 those are Python's alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MOST_BYTES = 15  # TASK_COMM_LEN of linux/sched.h, without the zero
_OURS = "relens-"  # the process says that already
_starting = threading.Lock()


def start(thread: threading.Thread) -> None:
    """Start it under its name. Raises RuntimeError as Thread.start does."""
    with _starting:
        thread.start()
        _name(thread)


def name_this() -> None:
    """Name the thread that calls: for executors, as their initializer."""
    _name(threading.current_thread())


@contextmanager
def made_as(name: str) -> Iterator[None]:
    """Threads that a library makes meanwhile, on the thread that calls, have this name: they begin with their
    maker's."""
    this = threading.get_native_id()
    with _starting:  # who started this thread has named it by now
        before = _read(this)
        _write(this, name)
    try:
        yield
    finally:
        _write(this, before)


def _name(thread: threading.Thread) -> None:
    if thread.native_id is not None:
        _write(thread.native_id, thread.name.removeprefix(_OURS))


def _read(thread: int) -> str:
    try:
        with open(f"/proc/self/task/{thread}/comm", "rb") as comm:
            return comm.read().decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""


def _write(thread: int, name: str) -> None:
    if sys.platform != "linux" or not name:
        return
    try:
        with open(f"/proc/self/task/{thread}/comm", "wb") as comm:
            comm.write(name.encode()[:_MOST_BYTES])
    except OSError:  # it is gone already, or /proc is not there: a name is worth no failure
        pass
