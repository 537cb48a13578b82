"""The films of one server: how they come in, and whether they are taken. Started and ended as one."""

from __future__ import annotations

import asyncio
import logging

from gpu.film import spawn
from server.kept.errors import KeptError, Unavailable
from server.kept.kept import Kept
from server.uploads.checking import Checking
from server.uploads.receiver import Receiver
from server.uploads.threads import Threads

log = logging.getLogger(__name__)

EXPIRED_EVERY_S = 600.0
MOST_WAITING = 200  # films to be looked into; a look takes a child and a second or more
WRITING, KEEPING, LOOKING, OPENING = 4, 2, 2, 2  # threads


class Films:
    """Loop thread only."""

    def __init__(self, kept: Kept, most_bytes: int, quota_bytes: int) -> None:
        self.kept = kept
        self._keeping = Threads(KEEPING, "relens-keeps")
        self._writing, looking = Threads(WRITING, "relens-films"), Threads(LOOKING, "relens-looks")
        self.players = Threads(OPENING, "relens-players")  # previews: opening what is watched
        self.opening = 0
        self._looking = looking
        self.checking = Checking(kept, looking)
        self.receiver = Receiver(
            kept, most_bytes, quota_bytes, self.checking.begin, self._writing, self._keeping
        )
        self._sweeper: asyncio.Task[None] | None = None
        self._expecting = False

    async def start(self) -> None:
        """Go on with what a restart interrupted. Raises KeptError."""
        await self.checking.start()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="sweep-uploads")

    def let_in(self) -> None:
        """Somebody brings another film. Raises Unavailable where too many wait to be looked into."""
        if len(self.checking) >= MOST_WAITING:
            raise Unavailable(
                f"{len(self.checking)} films wait to be looked into: send this one in a while",
                retry_after_s=60,
            )

    def expect(self) -> None:
        """Somebody looks at the films: a child waits from now on, so that the chosen one opens at once."""
        if not self._expecting:
            self._expecting = True
            waiting = asyncio.ensure_future(self.players.run(spawn.keep_one))
            waiting.add_done_callback(_unheard)

    async def close(self) -> None:
        if self._expecting:
            await asyncio.get_running_loop().run_in_executor(None, spawn.keep_none)
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.checking.close()
        self._writing.close()
        self._keeping.close()
        self._looking.close()
        self.players.close()

    async def _sweep(self) -> None:
        while True:
            try:
                await self.receiver.finish_whole()
                await self.receiver.give_up_expired()
            except (KeptError, OSError) as error:
                log.warning("uploads could not be swept: %s", error)
            await asyncio.sleep(EXPIRED_EVERY_S)


def _unheard(done: asyncio.Future[None]) -> None:
    """A child that could not be started is said by the film that needs it."""
    if not done.cancelled() and (error := done.exception()) is not None:
        log.warning("no child waits for the next film: %s", error)
