"""Whether a film that came is one we take: a child process looks into it, then it is ready, or refused.

Owns its tasks; what a restart interrupts is looked into again. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from pathlib import Path
from typing import Any

from gpu.errors import RelensError
from gpu.film.reader import open_film
from gpu.film.types import FilmError
from server.kept.errors import Full, KeptError, NotKept, Unavailable
from server.kept.kept import Kept
from server.kept.keys import video_key
from server.uploads.threads import Threads
from server.uploads.thumbnails import sprite
from server.uploads.told import told

log = logging.getLogger(__name__)

AT_ONCE = 2
_CLOSE_S = 10.0  # a look that is under way ends at its next picture
AGAIN_S = 5.0  # after the storage or the database could not be reached
MOST_WAITING = 1000
SHEET, SHEET_JSON = "thumbnails.jpg", "thumbnails.json"


class Checking:
    """Loop thread only."""

    def __init__(self, kept: Kept, threads: Threads) -> None:
        self._kept, self._threads = kept, threads
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending = threading.Event()  # a look stops at its next picture

    def __len__(self) -> int:
        """Films that are being looked into, or wait for that."""
        return len(self._tasks)

    async def start(self) -> None:
        """Go on with what was being looked into when the server last ended."""
        for video in await self._kept.run(self._kept.videos.list, MOST_WAITING, None, ("checking",)):
            self.begin(video.id)

    def begin(self, video_id: str) -> None:
        """Look into a film whose bytes are kept. Asked twice, once."""
        if video_id in self._tasks:
            return
        task = asyncio.get_running_loop().create_task(self._check(video_id), name=f"check-{video_id[:6]}")
        self._tasks[video_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(video_id, None))

    async def close(self) -> None:
        self._ending.set()
        for task in list(self._tasks.values()):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=_CLOSE_S)

    async def _check(self, video_id: str) -> None:
        async with self._places:
            while True:
                try:
                    await self._look(video_id)
                    return
                except NotKept:  # deleted meanwhile
                    await self._forget(video_id)
                    return
                except (Unavailable, Full) as error:
                    log.warning("a film cannot be looked into yet: %s", error)
                except KeptError as error:
                    log.error("a film could not be looked into: %s", error)
                    return
                except _Ending:
                    return  # the next server goes on
                except Exception:  # a defect of ours must not leave it "checking" for ever
                    log.exception("a film could not be looked into")
                    await self._refuse(
                        video_id, "it could not be looked into, a defect of relens: send it again"
                    )
                    return
                await asyncio.sleep(AGAIN_S)

    async def _look(self, video_id: str) -> None:
        kept = self._kept
        video = await kept.run(kept.videos.get, video_id)
        if video.state != "checking" or video.blob_key is None:
            return
        path = await kept.run(kept.blobs.open_local, video.blob_key, timeout_s=None)
        try:
            info, sheet, about = await self._threads.run(_look_into, path, self._ending)
        except FilmError as error:
            await self._refuse(video_id, _without(str(error), path))
            return
        await kept.run(kept.blobs.put, video_key(video_id, SHEET), sheet)
        await kept.run(kept.blobs.put, video_key(video_id, SHEET_JSON), about)
        await kept.run(kept.videos.ready, video_id, info)
        log.info("video %s is ready: %s", video_id[:6], info["video"]["codec"])

    async def _forget(self, video_id: str) -> None:
        """What a look wrote after the film was deleted."""
        try:
            for name in (SHEET, SHEET_JSON):
                await self._kept.run(self._kept.blobs.delete, video_key(video_id, name))
        except KeptError as error:
            log.warning("thumbnails of a deleted film are left to `relens gc`: %s", error)

    async def _refuse(self, video_id: str, problem: str) -> None:
        video = await self._kept.run(self._kept.videos.get, video_id)
        await self._kept.run(self._kept.videos.refuse, video_id, problem)
        log.info("video %s is refused: %s", video_id[:6], problem)
        if video.blob_key is not None:
            await self._kept.run(self._kept.blobs.delete, video.blob_key)


class _Ending(Exception):
    """The server stops."""


def _look_into(path: Path, ending: threading.Event) -> tuple[dict[str, Any], bytes, bytes]:
    """(what is told of it, thumbnails, what is told of those). Raises FilmError, _Ending."""

    def go_on() -> None:
        if ending.is_set():
            raise _Ending

    go_on()
    with open_film(path) as reader:
        try:
            sheet, about = sprite(reader, go_on=go_on)
        except RelensError as error:
            raise FilmError(str(error)) from error
        return told(reader.info), sheet, about


def _without(message: str, path: Path) -> str:
    """Where our files lie is nobody's business."""
    return re.sub(re.escape(str(path)), "the file", message)
