"""Writes the edits in force down for the event loop, which never waits for it. Knows no stream's parts.

Of each stream only the newest is held; while the database is away it waits, and is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from gpu.types import Edit
from server.kept.errors import KeptError
from server.streams.store import StreamStore

if TYPE_CHECKING:
    from server.kept.kept import Kept

log = logging.getLogger(__name__)

EVERY_S = 0.5  # an edit that is typed changes many times a second
AGAIN_S = 5.0  # after the database failed
CLOSE_S = 5.0  # for the last ones


class EditKeeper:
    """Loop thread only; `put` and `forget` return at once."""

    def __init__(self, kept: Kept, store: StreamStore) -> None:
        self._kept, self._store = kept, store
        self._edits: dict[str, Edit] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._said = ""  # why nothing is written, once

    def put(self, name: str, edit: Edit) -> None:
        """A stream's edit in force is another now."""
        self._edits[name] = edit
        self._wake.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="stream-edits")

    def forget(self, name: str) -> None:
        """The stream is deleted."""
        self._edits.pop(name, None)

    async def flush(self) -> bool:
        """Whether all is written. What is not is held."""
        for name, edit in list(self._edits.items()):
            try:
                await self._kept.run(self._store.put_edit, name, edit)
            except KeptError as error:
                if str(error) != self._said:
                    self._said = str(error)
                    log.warning("the edit of stream %s is written down later: %s", name, error)
                return False
            except Exception:  # an edit that the database does not take: others wait behind it
                log.exception("the edit of stream %s cannot be written down and is left out", name)
            if self._edits.get(name) is edit:
                del self._edits[name]
        self._said = ""
        return True

    async def close(self) -> None:
        """Write what is left, within five seconds."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.flush()
        if self._edits:
            log.warning("the edits of %s could not be written down", ", ".join(self._edits))

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(EVERY_S)  # what comes together is written together
            if not await self.flush():
                self._wake.set()
                await asyncio.sleep(AGAIN_S)
