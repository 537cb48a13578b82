"""The films of one server: how they come in, and whether they are taken. Started and ended as one."""

from __future__ import annotations

import asyncio
import logging

from server.kept.errors import KeptError
from server.kept.kept import Kept
from server.uploads.checking import Checking
from server.uploads.receiver import Receiver

log = logging.getLogger(__name__)

EXPIRED_EVERY_S = 600.0


class Films:
    """Loop thread only."""

    def __init__(self, kept: Kept, most_bytes: int, quota_bytes: int) -> None:
        self.kept = kept
        self.checking = Checking(kept)
        self.receiver = Receiver(kept, most_bytes, quota_bytes, self.checking.begin)
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with what a restart interrupted. Raises KeptError."""
        await self.checking.start()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="expired-uploads")

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.checking.close()

    async def _sweep(self) -> None:
        while True:
            try:
                await self.receiver.give_up_expired()
            except (KeptError, OSError) as error:
                log.warning("expired uploads could not be given up: %s", error)
            await asyncio.sleep(EXPIRED_EVERY_S)
