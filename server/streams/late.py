"""Waits for a database that was away when the server started. Knows no streams; who takes them up is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from server.kept.errors import KeptError

if TYPE_CHECKING:
    from server.kept.kept import Kept

log = logging.getLogger(__name__)

AGAIN_S = 5.0


class Late:
    """Loop thread only."""

    def __init__(self, open_kept: Callable[[], Kept], executor: Executor) -> None:
        """`open_kept` is called on a thread, and raises KeptError while it is away still."""
        self._open_kept, self._executor = open_kept, executor
        self._opened: Kept | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, kept: Kept | None, take_up: Callable[[Kept], Awaitable[None]]) -> None:
        """`take_up` is called, every five seconds until it raises no KeptError any more, with `kept`, or else
        with what is opened as soon as that can be."""
        self._task = asyncio.get_running_loop().create_task(self._run(kept, take_up), name="streams-late")

    async def close(self) -> None:
        """What was opened here is closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._opened is not None:
            await self._opened.stop()
            self._opened.close()

    async def _run(self, kept: Kept | None, take_up: Callable[[Kept], Awaitable[None]]) -> None:
        said = ""
        while True:
            await asyncio.sleep(AGAIN_S)
            try:
                if kept is None:
                    kept = self._opened = await self._open()
                await take_up(kept)
            except KeptError as error:
                if str(error) != said:
                    said = str(error)
                    log.info("streams are not kept yet: %s", said)
            except Exception as error:  # a defect here must not end the waiting
                if repr(error) != said:  # once, not every five seconds of the night
                    said = repr(error)
                    log.exception("what is kept of streams could not be taken up")
            else:
                return

    async def _open(self) -> Kept:
        opening = asyncio.get_running_loop().run_in_executor(self._executor, self._open_kept)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise


def _close(opening: asyncio.Future[Kept]) -> None:
    """It came too late for everybody."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
