"""What is kept, opened as soon as it can be, and handed to all that stands on it. Knows none of that.

A database or a folder that is away when the server starts is waited for, ever more slowly and without an end;
the server serves meanwhile what needs nothing kept, and this says what it waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from server.backoff import Backoff
from server.kept.errors import LOOK, KeptError, Unavailable

if TYPE_CHECKING:
    from server.kept.kept import Kept

log = logging.getLogger(__name__)

FIRST_S, MOST_S = 1.0, 15.0  # between two tries
START_S = 12.0  # of the server's start, for the first try: a database that is away gives up before
OPENING = "what is kept is being opened"
AWAY = f"this server's database does not answer just now: {LOOK}"
TakeUp = Callable[["Kept"], Awaitable[None]]
Missing = tuple[str, str]  # in words, for the operator and for strangers


class Keeping:
    """Loop thread only. The one place where it is waited for."""

    def __init__(self, open_kept: Callable[[], Kept], executor: Executor, *take_up: TakeUp) -> None:
        """`open_kept` is called on a thread, until it raises nothing; then each of `take_up`, in order, with
        what it gave, until that raises nothing: one that is not ready stops none of the others."""
        self.kept: Kept | None = None  # None: not yet
        self._problem = self._told = OPENING
        self._open_kept, self._executor = open_kept, executor
        self._left: Sequence[TakeUp] = take_up
        self._due_s = 0.0  # when it is tried again
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._defects: set[str] = set()  # each is logged once, not four times a minute all night

    async def start(self) -> None:
        """Returns after the first try, however that went, or START_S: it goes on beside the server."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="keeping")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._tried.wait()

    @property
    def problem(self) -> str:
        """What is waited for, in words with the remedy; where all was there once, what is away just now; ""
        where nothing is."""
        return self._problem or (self.kept.database.away if self.kept is not None else "")

    @property
    def told(self) -> str:
        """The same as strangers may hear it."""
        return self._told or (AWAY if self.problem else "")

    def missing(self, what: str) -> Unavailable:
        """For who asks for what stands on it, and is not there yet: "films"."""
        left_s = max(0.0, self._due_s - time.monotonic())
        return Unavailable(
            f"{what} are not there yet, and come by themselves: {self.told}",
            retry_after_s=math.ceil(left_s) + 1,
        )

    async def stop(self) -> None:
        """It is not waited for any more. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        """After all that stands on it. What was opened is closed."""
        await self.stop()
        if self.kept is not None:
            await self.kept.stop()
            self.kept.close()

    async def _run(self) -> None:
        backoff = Backoff(FIRST_S, MOST_S, math.inf)
        while missing := await self._try():
            wait_s = backoff.failed(0.0)
            problem, self._told = ("; ".join(dict.fromkeys(words)) for words in zip(*missing, strict=True))
            if problem != self._problem:
                log.error("live edits go on, films and what is kept of streams wait: %s", problem)
            self._problem, self._due_s = problem, time.monotonic() + wait_s
            self._tried.set()
            await asyncio.sleep(wait_s)
        if backoff.failures:
            log.info("what was waited for is there: films, streams and sessions are kept from now on")
        self._problem = self._told = ""
        self._tried.set()

    async def _try(self) -> list[Missing]:
        """What is still missing."""
        if self.kept is None and (missing := await self._missing(self._open())):
            return [missing]
        assert self.kept is not None
        left: dict[TakeUp, Missing] = {}
        for take_up in self._left:
            if missing := await self._missing(take_up(self.kept)):
                left[take_up] = missing
        self._left = tuple(left)
        return list(left.values())

    async def _missing(self, work: Awaitable[None]) -> Missing | None:
        """Why it cannot be done yet; None: it is. A defect of ours must not end the waiting."""
        try:
            await work
        except KeptError as error:
            return str(error), error.told
        except Exception as error:
            if repr(error) not in self._defects:
                self._defects.add(repr(error))
                log.exception("what is kept cannot be taken up")
            words = f"a defect of relens ({type(error).__name__}), its log says more"
            return words, words
        return None

    async def _open(self) -> None:
        opening = asyncio.get_running_loop().run_in_executor(self._executor, self._open_kept)
        try:
            self.kept = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise


def _close(opening: asyncio.Future[Kept]) -> None:
    """It came too late for everybody."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
