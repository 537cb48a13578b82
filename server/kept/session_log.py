"""Writes down live sessions for the event loop, which never waits for it. Knows no session's parts.

What is said is held in a bounded queue and written a few times a second. While the database is away, at the
start too, it waits there; once full, what is new is dropped, counted and said once in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from gpu.film.timeline import EditAt
from gpu.types import CLOCK_HZ
from server.kept.errors import KeptError, Unavailable
from server.kept.types import SessionEdit

if TYPE_CHECKING:
    from server.kept.kept import Kept
    from server.kept.sessions import SessionRecords

log = logging.getLogger(__name__)

MOST = 10_000  # records; an edit is at most 2000 characters: 40 MB at the very worst
MOST_AT_ONCE = 500
EVERY_S = 0.5
AGAIN_S = 5.0  # after the database failed
CLOSE_S = 5.0  # for the last ones
SEEN_S = 3600.0  # between two words that a session goes on (see collector.py)

Record = Callable[["SessionRecords"], None]


class SessionLog:
    """Loop thread only; every method but `flush` and `close` returns at once."""

    def __init__(self, kept: Kept | None = None, most: int = MOST, seen_s: float = SEEN_S) -> None:
        """`kept` None: see `take_up`. `most`: records that wait. `seen_s`: between two words that a session
        goes on."""
        self._kept, self._most, self._seen_s = kept, most, seen_s
        self._open: set[str] = set()
        self._said_s = time.monotonic()
        self._records: deque[Record | SessionEdit] = deque()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._said = ""  # why nothing is written, once
        self.dropped = 0

    async def take_up(self, kept: Kept) -> None:
        """What was said so far is written there, and what is said from now on."""
        self._kept = kept
        if self._records:
            self._start()

    def begin(self, session_id: str, model: str, width: int = 0, height: int = 0) -> None:
        """A session began. `width` and `height`: of its pictures, where known; else see `size`."""
        now = time.time()
        self._open.add(session_id)
        self._add(lambda records: records.begin(session_id, model, now, width, height))

    def size(self, session_id: str, width: int, height: int) -> None:
        """Its first picture came."""
        self._add(lambda records: records.size(session_id, width, height))

    def edit(
        self,
        session_id: str,
        number: int,
        at_ticks: int,
        prompt: str,
        strength: float = 1.0,
        transition_ms: int = 400,
        seed: int = 0,
    ) -> None:
        """An instruction was applied at `at_ticks` of 90 kHz from the session's first picture. A `number`
        that came before is not written again."""
        prompt = prompt.replace("\0", "")  # no text in PostgreSQL
        self._add(SessionEdit(session_id, number, at_ticks, prompt, strength, transition_ms, seed))

    def end(self, session_id: str, reason: str) -> None:
        """It ended; `reason` in a word. Only the first counts."""
        now = time.time()
        self._open.discard(session_id)
        self._add(lambda records: records.end(session_id, reason, now))

    async def flush(self) -> None:
        """All that was said is written. Raises KeptError where it cannot be; it is kept then. A record that
        the database does not take is left out: others wait behind it."""
        async with self._writing:
            if self._records and self._kept is None:
                raise Unavailable(
                    "the database is not there yet: what sessions did is written down once it is"
                )
            most = MOST_AT_ONCE
            while self._records and self._kept is not None:
                some = list(islice(self._records, most))
                try:
                    await self._kept.run(_write, self._kept.sessions, some)
                except (KeptError, TimeoutError):
                    raise
                except Exception:
                    if len(some) > 1:
                        most = 1  # one of these
                        continue
                    log.exception("a record of a session cannot be written and is left out")
                    most = MOST_AT_ONCE
                for _ in some:
                    self._records.popleft()

    async def close(self) -> None:
        """Write what is left, within five seconds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self._quietly(asyncio.wait_for(self.flush(), CLOSE_S))
        if self._records:
            log.warning("%d records of sessions could not be written", len(self._records))

    def _add(self, record: Record | SessionEdit) -> None:
        if len(self._records) >= self._most:
            if not self.dropped:
                log.warning("sessions are not recorded: the database does not keep up")
            self.dropped += 1
            return
        self._records.append(record)
        self._start()

    def _start(self) -> None:
        self._wake.set()
        if self._task is None and self._kept is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="session-log")

    def _say_open(self) -> None:
        """Those that go on are not taken for old ones."""
        if not self._open or time.monotonic() - self._said_s < self._seen_s:
            return
        self._said_s = time.monotonic()
        now, some = time.time(), sorted(self._open)
        self._add(lambda records: records.seen(some, now))

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seen_s):
                    await self._wake.wait()
            self._wake.clear()
            self._say_open()
            await asyncio.sleep(EVERY_S)  # what comes together is written together
            if not await self._quietly(self.flush()):
                self._wake.set()
                await asyncio.sleep(AGAIN_S)

    async def _quietly(self, work: Awaitable[None]) -> bool:
        said = ""
        try:
            await work
        except (KeptError, TimeoutError) as error:
            said = str(error) or "it takes too long"
            if said != self._said:
                log.warning("sessions are written down later: %s", said)
        self._said = said
        return not said


def edits_at(edits: Sequence[SessionEdit]) -> tuple[EditAt, ...]:
    """As a timeline has them; `gpu.film.timeline.write_timeline` makes the file."""
    return tuple(
        EditAt(
            at=max(0, edit.at_ticks) / CLOCK_HZ,
            prompt=edit.prompt,
            strength=edit.strength,
            transition_ms=edit.transition_ms,
            seed=edit.seed,
        )
        for edit in edits
    )


def _write(records: SessionRecords, some: list[Record | SessionEdit]) -> None:
    """In order; edits that follow each other in one transaction. May run twice: each finds what it did."""
    edits: list[SessionEdit] = []
    for record in some:
        if isinstance(record, SessionEdit):
            edits.append(record)
            continue
        if edits:
            records.add(edits)
            edits = []
        record(records)
    if edits:
        records.add(edits)
