"""Bytes of uploads onto the disk, at the place they say, and whole ones on to be kept and looked into.

Knows uploads and files; no HTTP. What a request brought is kept however it ends: the next one goes on there.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from server.kept.errors import Full, KeptError, NotKept, StorageFull
from server.kept.kept import Kept
from server.kept.keys import video_key
from server.kept.types import Upload
from server.uploads.appending import Appending
from server.uploads.names import clean_name
from server.uploads.part import LOCKED, Part, remove
from server.uploads.threads import Threads
from server.uploads.tus import Checksum, Creation, TusError

log = logging.getLogger(__name__)

EXPIRES_S = 3 * 86400.0  # an upload that nobody goes on with
_WHOLE = 1000  # finished uploads that are remembered: the answer to the last byte may have been lost
_FOR_EVER_S = 1e12


class Receiver:
    """Loop thread only; files are written on threads of their own."""

    def __init__(
        self,
        kept: Kept,
        most_bytes: int,
        quota_bytes: int,
        on_whole: Callable[[str], None],
        writing: Threads,
        keeping: Threads,
    ) -> None:
        """`on_whole(video_id)` is told of a film whose bytes are all kept. `keeping`: apart from `writing`,
        so that a slow bucket holds no other upload up."""
        self._kept, self._most, self._quota = kept, most_bytes, quota_bytes
        self._on_whole, self._threads, self._keeping = on_whole, writing, keeping
        self._busy: set[str] = set()
        self._whole: dict[str, Upload] = {}

    @property
    def most_bytes(self) -> int:
        return self._most

    async def finish_whole(self) -> None:
        """Those that have all their bytes and were not kept: the server was killed, or the storage was away.
        Raises KeptError."""
        for upload in await self._kept.run(self._kept.uploads.expired, _FOR_EVER_S):
            if upload.length and upload.offset == upload.length:
                try:
                    await self.find(upload.id)
                except (NotKept, TusError):
                    continue
                except KeptError as error:
                    log.warning("an upload that is whole cannot be kept yet: %s", error)

    async def create(self, creation: Creation) -> Upload:
        """An upload with nothing in it. Raises Full for the quota, StorageFull where the disk has no room,
        TusError 400 for one of no bytes."""
        if creation.length == 0:
            raise TusError(400, "a film of no bytes: send Upload-Length of the file")
        await self._threads.run(self._check_disk, creation.length or 0)
        name = clean_name(creation.metadata.get("filename") or creation.metadata.get("name") or "")
        metadata = {"": creation.raw_metadata}
        return await self._kept.run(
            self._kept.uploads.create, name, creation.length, _expires_at(), metadata, self._quota
        )

    async def find(self, upload_id: str) -> Upload:
        """Raises NotKept; an expired one is gone. One that is whole and was not kept yet is kept now, and
        raises as that does: a client that hears "all here" does not come back."""
        if upload_id in self._whole:
            return self._whole[upload_id]
        upload = await self._kept.run(self._kept.uploads.get, upload_id)
        if upload_id in self._busy:
            return upload
        if upload.length and upload.offset == upload.length:
            self._busy.add(upload_id)
            try:
                await self.finish(upload)
            finally:
                self._busy.discard(upload_id)
            return upload
        if upload.expires_at < time.time():
            await self.give_up(upload_id)
            return await self._kept.run(self._kept.uploads.get, upload_id)
        return upload

    async def give_up(self, upload_id: str) -> None:
        """Raises NotKept, and TusError 423 while somebody writes it."""
        if upload_id in self._busy:
            raise TusError(LOCKED, "a request is writing this upload: end that first")
        self._busy.add(upload_id)
        try:
            await self._kept.run(self._kept.uploads.get, upload_id)
            await self._threads.run(remove, self.path(upload_id))  # refused while another server writes it
            await self._kept.run(self._kept.uploads.delete, upload_id)
        finally:
            self._busy.discard(upload_id)

    async def give_up_expired(self) -> None:
        """Those that nobody goes on with. Raises KeptError."""
        for upload in await self._kept.run(self._kept.uploads.expired, time.time()):
            await self.drop(upload.id)

    async def forget(self, video_id: str) -> None:
        """The film is deleted: the bytes of its upload too. Before its row goes; raises as `give_up`."""
        for upload in await self._kept.run(self._kept.uploads.expired, _FOR_EVER_S):
            if upload.video_id == video_id:
                await self.give_up(upload.id)

    async def drop(self, upload_id: str) -> None:
        """As `give_up`, where it may be gone already or whole."""
        try:
            await self.give_up(upload_id)
        except (NotKept, TusError):
            return

    async def end(self, upload: Upload) -> Upload:
        """What came is all: its length was not said before. Raises as `finish`."""
        self._busy.add(upload.id)
        try:
            upload = await self._kept.run(
                self._kept.uploads.set_length, upload.id, upload.offset, self._quota
            )
            await self.finish(upload)
            return upload
        finally:
            self._busy.discard(upload.id)

    async def write(
        self,
        upload: Upload,
        offset: int,
        chunks: AsyncIterator[bytes],
        checksum: Checksum | None = None,
        length: int | None = None,
    ) -> Upload:
        """Append what comes at `offset`; how far it is afterwards. The last byte makes a film of it.

        With a checksum all or nothing counts, else whatever came. Raises TusError 409 for another offset, 423
        while another request writes, 413 for more than was said, 460 for a checksum that does not fit;
        Full, StorageFull, NotKept."""
        if upload.id in self._whole and offset == upload.offset:
            return self._whole[upload.id]
        if upload.id in self._busy:
            raise TusError(LOCKED, "another request writes this upload: wait for it, or ask where it is")
        self._busy.add(upload.id)
        try:
            upload = await self._kept.run(self._kept.uploads.get, upload.id)
            if offset != upload.offset:
                raise TusError(409, f"the upload is at {upload.offset}, not at {offset}: go on there")
            if length is not None:
                if length < offset:
                    raise TusError(400, f"Upload-Length is {length}, and {offset} bytes are here already")
                upload = await self._kept.run(self._kept.uploads.set_length, upload.id, length, self._quota)
            upload = await self._append(upload, chunks, checksum)
            if upload.offset == upload.length:
                await self.finish(upload)
            return upload
        finally:
            self._busy.discard(upload.id)

    async def finish(self, upload: Upload) -> None:
        """Keep a whole upload's bytes and say so. Raises KeptError, TusError; asked again, it goes on."""
        key = video_key(upload.video_id, "film")
        part = await self._open(upload, make=False)
        try:
            digest = await self._keeping.run(part.digest, upload.offset)
            await self._keeping.run(self._kept.blobs.put, key, self.path(upload.id))
            try:
                await self._kept.run(
                    lambda: self._kept.videos.uploaded(
                        upload.video_id, digest=digest, size=upload.offset, blob_key=key
                    )
                )
            except NotKept:  # deleted meanwhile
                await self._kept.run(self._kept.blobs.delete, key)
                await self._threads.run(part.remove)
                raise
            await self._threads.run(part.remove)
        finally:
            part.close()
        self._whole[upload.id] = upload
        while len(self._whole) > _WHOLE:
            del self._whole[next(iter(self._whole))]
        self._on_whole(upload.video_id)

    def path(self, upload_id: str) -> Path:
        """Where its bytes lie until it is whole."""
        return self._kept.uploads_dir / upload_id

    async def _open(self, upload: Upload, make: bool) -> Part:
        made: list[Part] = []
        try:
            await self._threads.run(lambda: made.append(Part(self.path(upload.id), make)))
        except BaseException:
            for part in made:  # cancelled just then
                part.close()
            raise
        return made[0]

    async def _append(
        self, upload: Upload, chunks: AsyncIterator[bytes], checksum: Checksum | None
    ) -> Upload:
        part = await self._open(upload, make=upload.offset == 0)
        try:
            return await Appending(self, part, upload, checksum).take(chunks)
        except NotKept:  # the film was deleted meanwhile
            await self._threads.run(part.remove)
            raise
        finally:
            part.close()

    async def check_room(self, upload: Upload, at: int) -> None:
        """For a length that nobody said: the quota did not count it. Raises Full, StorageFull."""
        if upload.length is None:
            await self._threads.run(self._check_disk, 0)
            kept = await self._kept.run(self._kept.videos.bytes_kept) if self._quota else 0
            if kept + at > self._quota > 0:
                raise Full(f"{at} bytes do not fit: {kept} of {self._quota} are used; delete videos")

    async def advance(self, upload: Upload, part: Part, at: int) -> Upload:
        """What lies before `at` counts from now on. Raises StorageFull, NotKept."""
        await self._threads.run(part.sync)
        await self._kept.run(self._kept.uploads.advance, upload.id, upload.offset, at, _expires_at())
        return replace(upload, offset=at, expires_at=_expires_at())

    async def on_thread(self, work: Callable[..., None], *args: object) -> None:
        await self._threads.run(work, *args)

    def _check_disk(self, length: int) -> None:
        room = os.statvfs(self._kept.uploads_dir)
        free = room.f_bavail * room.f_frsize
        if length > free or free == 0:
            raise StorageFull(f"{length} bytes do not fit on the server's disk, {free} are free")


def _expires_at() -> float:
    return time.time() + EXPIRES_S
