"""Everything that is kept, opened at start and closed at the end: database, blobs, and the threads that wait
for them. Knows no HTTP and no jobs' work."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from server.kept.blobs import Blobs
from server.kept.database import POOL, Database
from server.kept.errors import KeptError, Unavailable
from server.kept.jobs import Jobs
from server.kept.migrate import upgrade
from server.kept.segments import Segments
from server.kept.sessions import SessionRecords
from server.kept.uploads import Uploads
from server.kept.videos import Videos

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

CALL_S = 30.0  # of one call; a database or storage that is away gives up before


def default_dir() -> Path:
    """Where freedesktop.org wants a user's data."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "relens"


class Kept:
    """`run` from a loop; the repositories from any thread."""

    def __init__(self, database: Database, blobs: Blobs, data_dir: Path) -> None:
        self.database, self.blobs, self.data_dir = database, blobs, data_dir
        self.uploads_dir = data_dir / "uploads"
        self.videos, self.uploads = Videos(database), Uploads(database)
        self.jobs, self.segments = Jobs(database), Segments(database)
        self.sessions = SessionRecords(database)
        self._executor = ThreadPoolExecutor(POOL, thread_name_prefix="relens-kept")

    @classmethod
    def open(cls, data_dir: str = "", database_url: str = "", storage_url: str = "") -> Kept:
        """Makes the folder and brings the database up to date; empty: all of it in the folder. May take a
        second. Raises KeptError naming the remedy."""
        folder = Path(data_dir).expanduser() if data_dir else default_dir()
        try:
            (folder / "uploads").mkdir(parents=True, exist_ok=True)
            probe = folder / f".writable-{time.monotonic_ns()}"
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
        except OSError as error:
            raise KeptError(
                f"data_dir {folder} cannot be written ({error.strerror}): free some room, or name another"
            ) from error
        database = Database(database_url or f"sqlite:///{folder / 'relens.sqlite'}")
        try:
            upgrade(database)
            blobs = Blobs(storage_url or str(folder / "blobs"), folder / "fetched")
        except BaseException:
            database.close()
            raise
        return cls(database, blobs, folder)

    async def run(self, work: Callable[..., T], *args: Any, timeout_s: float | None = CALL_S) -> T:
        """`work(*args)` on a thread of ours. Raises what it raises, and Unavailable when it takes longer than
        `timeout_s` (None: as long as it takes, for what is bounded by itself); it then goes on unheard."""
        doing = asyncio.get_running_loop().run_in_executor(self._executor, work, *args)
        try:
            return await asyncio.wait_for(asyncio.shield(doing), timeout_s)
        except TimeoutError as error:
            doing.add_done_callback(_unheard)
            raise Unavailable(f"what is kept did not answer within {timeout_s} s: try again") from error

    def close(self) -> None:
        """What runs ends by itself, in bounded time. Idempotent."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self.database.close()


def _unheard(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.warning("a call that nobody waited for any more failed: %s", error)
