"""Doing again what could not be done for now: the disk is full, the storage or the database is away."""

from __future__ import annotations

import errno
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from gpu.errors import NoMemory, RelensError
from server.kept.errors import StorageFull, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
_SLICE_S = 0.1
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Abandoned(RelensError):
    """Nobody wants it any more: the job was cancelled, or the server stops."""


class Signal:
    """Set when any of its events is: the server stops, the job is cancelled, the segment is another's."""

    def __init__(self, *events: threading.Event) -> None:
        self._events = events

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._events)

    def wait(self, seconds: float) -> bool:
        """Whether it is set within `seconds`."""
        until_s = time.monotonic() + seconds
        while not self.is_set():
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return False
            self._events[0].wait(min(left_s, _SLICE_S))
        return True

    def check(self) -> None:
        """Raises Abandoned where it is set."""
        if self.is_set():
            raise Abandoned("the work was abandoned")


def passing(error: BaseException | None) -> str:
    """Why it will pass by waiting, for a person; "" where it will not."""
    if isinstance(error, StorageFull):
        return f"{error}: free some room, the job goes on then"
    if isinstance(error, Unavailable):
        return error.told
    if isinstance(error, NoMemory):
        return str(error)
    full = next((e for e in (error, getattr(error, "__cause__", None)) if isinstance(e, OSError)), None)
    if full is not None and full.errno in _FULL:
        return f"the server's disk is full ({full.strerror}): free some of it, the job goes on then"
    return ""


def persist(work: Callable[[], T], aborted: Signal, say: Callable[[str], None] = lambda why: None) -> T:
    """What `work` returns, tried until it does, ever more slowly; `say` is told why it waits, then "".

    Raises Abandoned once `aborted` is set between two tries; what does not pass by itself, at once."""
    wait_s, said = FIRST_WAIT_S, ""
    while True:
        try:
            made = work()
        except (RelensError, OSError) as error:
            why = passing(error)
            if not why:
                raise
            in_full = why if str(error) in why else f"{why} ({error})"
        else:
            if said:
                say("")
                log.info("it goes on")
            return made
        if why != said:
            log.warning("waiting: %s", in_full)
            said = why
            say(why)
        if aborted.wait(wait_s * random.uniform(0.75, 1)):
            say("")
            aborted.check()
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
