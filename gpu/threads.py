"""Threads that `top -H` and profilers call by their names: before Python 3.14 those are Python's alone."""

from __future__ import annotations

import sys
import threading

_MOST_BYTES = 15  # TASK_COMM_LEN of linux/sched.h, without the zero
_OURS = "relens-"  # the process says that already


def start(thread: threading.Thread) -> None:
    """Start it under its name. Raises RuntimeError as Thread.start does."""
    thread.start()
    _name(thread)


def name_this() -> None:
    """Name the thread that calls: for executors, as their initializer."""
    _name(threading.current_thread())


def _name(thread: threading.Thread) -> None:
    if sys.platform != "linux":
        return
    name = thread.name.removeprefix(_OURS).encode()[:_MOST_BYTES]
    try:
        with open(f"/proc/self/task/{thread.native_id}/comm", "wb") as comm:
            comm.write(name)
    except OSError:  # it is gone already, or /proc is not there: a name is worth no failure
        pass
