"""Everything that is kept, opened once it can be had and closed at the end: database, blobs, and the threads
that wait for them. Knows no HTTP and no jobs' work."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gpu import threads
from server.kept.errors import LOOK, KeptError, Unavailable

if TYPE_CHECKING:  # slow to import, and only needed where something is kept
    from server.kept.blobs import Blobs
    from server.kept.collector import Collected
    from server.kept.database import Database

log = logging.getLogger(__name__)

T = TypeVar("T")

DATABASE_THREADS, BLOB_THREADS = 8, 8  # apart: a bucket that hangs stops no call of the database
SQLITE = "relens.sqlite"  # in the folder, where no other database is named
MOST_WAITING = 512  # calls that run or wait; one more is refused at once
COLLECT_EVERY_S, FIRST_COLLECT_S = 3600.0, 300.0
OPEN_S = 2.0  # of tries to reach a database
CALL_S = 30.0  # of one call; a database or storage that is away gives up before


def default_dir() -> Path:
    """Where freedesktop.org wants a user's data."""
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "relens"


def database_location(database_url: str, folder: Path) -> str:
    return database_url or f"sqlite:///{folder / SQLITE}"


def hide_from_others(path: Path) -> None:
    """Keys of streams and of their targets are in it. SQLite gives the files beside it the same rights. Best
    effort: who runs the server need not own the file."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(path.stat().st_mode & 0o770)  # a group that was let in stays in


def storage_location(storage_url: str, folder: Path) -> str:
    return storage_url or str(folder / "blobs")


class Kept:
    """`run` from a loop; the repositories from any thread."""

    def __init__(self, database: Database, blobs: Blobs, data_dir: Path) -> None:
        from server.kept.jobs import Jobs
        from server.kept.segments import Segments
        from server.kept.sessions import SessionRecords
        from server.kept.uploads import Uploads
        from server.kept.videos import Videos

        self.database, self.blobs, self.data_dir = database, blobs, data_dir
        self.uploads_dir = data_dir / "uploads"
        self.videos, self.uploads = Videos(database), Uploads(database)
        self.jobs, self.segments = Jobs(database), Segments(database)
        self.sessions = SessionRecords(database)
        self._executor = ThreadPoolExecutor(
            DATABASE_THREADS, thread_name_prefix="relens-kept", initializer=threads.name_this
        )
        self._blob_executor = ThreadPoolExecutor(
            BLOB_THREADS, thread_name_prefix="relens-blobs", initializer=threads.name_this
        )
        self._running = 0
        self._closing = threading.Event()
        self._collecting: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, data_dir: str = "", database_url: str = "", storage_url: str = "") -> Kept:
        """Makes the folder and brings the database up to date; empty: all of it in the folder. May take a
        second. Raises KeptError naming the remedy."""
        from server.kept.blobs import Blobs
        from server.kept.database import GIVE_UP_S, Database
        from server.kept.migrate import upgrade

        folder = Path(data_dir).expanduser() if data_dir else default_dir()
        try:
            (folder / "uploads").mkdir(parents=True, exist_ok=True)
            probe = folder / f".writable-{time.monotonic_ns()}"
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
        except OSError as error:
            raise KeptError(
                f"data_dir {folder} cannot be written ({error.strerror}): free some room, or name another",
                f"this server's folder cannot be written: {LOOK}",
            ) from error
        if not database_url:
            hide_from_others(folder / SQLITE)
        # Whoever opens it tries again, or says at once that it is away.
        database = Database(database_location(database_url, folder), give_up_s=OPEN_S)
        try:
            upgrade(database)
            database.give_up_after(GIVE_UP_S)
            blobs = Blobs(storage_location(storage_url, folder), folder / "fetched")
        except BaseException:
            database.close()
            raise
        return cls(database, blobs, folder)

    async def run(self, work: Callable[..., T], *args: Any, timeout_s: float | None = CALL_S) -> T:
        """`work(*args)` on a thread of ours. Raises what it raises; Unavailable when it takes longer than
        `timeout_s` (None: as long as it takes, for what is bounded by itself), and then goes on unheard;
        Unavailable at once when too much waits."""
        if self._running >= MOST_WAITING:
            raise Unavailable("too much is being read and written just now: try again in a few seconds")
        of_blobs = getattr(work, "__self__", None) is self.blobs
        executor = self._blob_executor if of_blobs else self._executor
        self._running += 1
        doing = asyncio.get_running_loop().run_in_executor(executor, work, *args)
        doing.add_done_callback(self._over)
        try:
            async with asyncio.timeout(timeout_s):  # Python 3.11's wait_for may swallow a cancellation
                return await asyncio.shield(doing)
        except TimeoutError as error:
            if doing.done():  # its own
                raise
            doing.add_done_callback(_unheard)
            raise Unavailable(f"what is kept did not answer within {timeout_s} s: try again") from error

    def _over(self, _done: asyncio.Future[Any]) -> None:
        self._running -= 1

    def collect(self, keep_days: float, *, dry_run: bool = False, grace_s: float | None = None) -> Collected:
        """Remove what nobody needs any more (collector.py). Blocks; ends soon after `close`."""
        from server.kept.collector import DAY_S, Collector

        collector = Collector(self.database, self.blobs, self.uploads_dir, keep_days)
        grace_s = DAY_S if grace_s is None else grace_s
        return collector.collect(dry_run=dry_run, grace_s=grace_s, stop=self._closing.is_set)

    def start(self, keep_days: float) -> None:
        """From here on it is collected every hour, until `stop`. Loop thread only, as `stop`."""
        self._collecting = asyncio.get_running_loop().create_task(self._collect(keep_days), name="collect")

    async def stop(self) -> None:
        """End collecting; `close` comes after it."""
        self._closing.set()
        if self._collecting is not None:
            self._collecting.cancel()
            await asyncio.gather(self._collecting, return_exceptions=True)

    async def _collect(self, keep_days: float) -> None:
        wait_s = FIRST_COLLECT_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = COLLECT_EVERY_S
            try:
                made = await self.run(self.collect, keep_days, timeout_s=None)
            except (KeptError, OSError) as error:
                log.warning("nothing is collected this time: %s", error)
                continue
            if made.lines:
                log.info("collected %d things, %d bytes", len(made.lines), made.bytes)

    def close(self) -> None:
        """What runs ends by itself, in bounded time. Idempotent."""
        self._closing.set()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._blob_executor.shutdown(wait=False, cancel_futures=True)
        self.database.close()


def _unheard(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.warning("a call that nobody waited for any more failed: %s", error)
