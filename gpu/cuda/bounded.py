"""A thread that makes a library's calls, so that waiting for them has an end. Knows no library.

NVENC hands out a picture by a call that blocks until the picture is done. Of the flag that is to make it
return at once its header says two things (a pointer to bytes that are not complete, or "busy"), so it is not
used: the call blocks a thread of its own, and the caller waits for that thread as long as it likes. The hop
costs some tens of microseconds.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from gpu import threads
from gpu.cuda.driver_errors import DeviceTimeout

_Result = TypeVar("_Result")
_Job = tuple[Callable[[], Any], "Future[Any]"]


class Bounded:
    """Runs one job after another on its thread, which starts with the first and ends with `close`."""

    def __init__(self, name: str, timeout_s: float) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()  # holds one: `run` waits for its own
        self._thread: threading.Thread | None = None
        self._stuck = False

    @property
    def stuck(self) -> bool:
        """Whether a job did not come back: nothing can be run any more."""
        return self._stuck

    def run(self, job: Callable[[], _Result], timeout_s: float | None = None) -> _Result:
        """What `job` returns or raises. Raises DeviceTimeout when it takes too long, and ever after."""
        if self._stuck:
            raise DeviceTimeout(f"{self._name} hangs: {_REMEDY}")
        if threading.current_thread() is self._thread:
            return job()  # the collector, closing something in the middle of a job
        if self._thread is None:
            # A daemon: a call that never returns must not keep the process from ending.
            self._thread = threading.Thread(target=_serve, args=(self._jobs,), name=self._name, daemon=True)
            threads.start(self._thread)
        done: Future[_Result] = Future()
        self._jobs.put((job, done))
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            return done.result(limit_s)
        except TimeoutError as error:
            if done.done():  # the job's own timeout; or it came at the last moment
                return done.result()
            self._stuck = True
            raise DeviceTimeout(f"{self._name} was not done after {limit_s:g} s: {_REMEDY}") from error

    def close(self) -> None:
        """End the thread once its job is done. Idempotent; does not wait for one that hangs."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._jobs.put(None)
        if not self._stuck and thread is not threading.current_thread():
            thread.join(self._timeout_s)

    def finish(self, last: Callable[[], object]) -> None:
        """Run `last` some time, and end the thread; waits for neither: for the garbage collector, which may
        hold any lock. Does nothing where no job ever ran."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put((last, Future()))
            self._jobs.put(None)

    def __del__(self) -> None:
        if getattr(self, "_thread", None) is not None:
            self._jobs.put(None)


_REMEDY = "the GPU hangs or is overloaded; see nvidia-smi, and the kernel's log (dmesg) for Xid errors"


def _serve(jobs: queue.SimpleQueue[_Job | None]) -> None:
    while (taken := jobs.get()) is not None:
        job, done = taken
        del taken
        # The job holds a picture, whose buffer its owner counts on once the job is done: so it goes first.
        try:
            result = job()
        except BaseException as error:
            del job
            done.set_exception(error)
        else:
            del job
            done.set_result(result)
            del result
        del done
