"""Threads for what takes as long as a film is large: apart, so that the database's are never all taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gpu import threads
from server.kept.errors import Unavailable

T = TypeVar("T")

MOST_WAITING = 256


class Threads:
    """Loop thread only."""

    def __init__(self, count: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name, initializer=threads.name_this)
        self._waiting = 0

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """`work(*args)` to its end, even when the caller is cancelled meanwhile: a file is never closed under
        it. Raises what it raises; Unavailable at once when too much waits."""
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too much is being read and written just now: try again in a few seconds")
        self._waiting += 1
        doing = asyncio.get_running_loop().run_in_executor(self._executor, work, *args)
        doing.add_done_callback(self._over)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            if not doing.done():
                await asyncio.wait({doing})
            if not doing.cancelled():
                doing.exception()  # heard
            raise

    def _over(self, _done: asyncio.Future[T]) -> None:
        self._waiting -= 1

    def close(self) -> None:
        """What runs ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)
