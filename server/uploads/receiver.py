"""Bytes of uploads onto the disk, at the place they say, and whole ones on to be kept and looked into.

Knows uploads and files; no HTTP. What a request brought is kept however it ends: the next one goes on there.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from server.kept.errors import KeptError, NotKept, Refused, StorageFull
from server.kept.kept import Kept
from server.kept.keys import video_key
from server.kept.types import Upload
from server.uploads.tus import Checksum, Creation, TusError

log = logging.getLogger(__name__)

EXPIRES_S = 3 * 86400.0  # an upload that nobody goes on with
_STEP_BYTES = 1 << 20  # written at once
_HASH_BYTES = 1 << 22
CHECKSUM_MISMATCH = 460  # tus, checksum extension
LOCKED = 423


class Receiver:
    """Loop thread only; files are written on Kept's threads."""

    def __init__(
        self, kept: Kept, most_bytes: int, quota_bytes: int, on_whole: Callable[[str], None]
    ) -> None:
        """`on_whole(video_id)` is told of a film whose bytes are all kept."""
        self._kept, self._most, self._quota = kept, most_bytes, quota_bytes
        self._on_whole = on_whole
        self._busy: set[str] = set()

    @property
    def most_bytes(self) -> int:
        return self._most

    async def create(self, creation: Creation) -> Upload:
        """An upload with nothing in it. Raises Full for the quota, StorageFull where the disk has no room."""
        if creation.length is not None:
            await self._kept.run(self._check_disk, creation.length)
        name = creation.metadata.get("filename") or creation.metadata.get("name") or "film"
        metadata = {**creation.metadata, "": creation.raw_metadata}
        upload = await self._kept.run(
            self._kept.uploads.create, name[:200], creation.length, _expires_at(), metadata, self._quota
        )
        if creation.length == 0:
            raise TusError(400, "a film of no bytes: send Upload-Length of the file")
        return upload

    async def find(self, upload_id: str) -> Upload:
        """Raises NotKept; an expired one is gone."""
        upload = await self._kept.run(self._kept.uploads.get, upload_id)
        if upload.expires_at < time.time():
            await self.give_up(upload_id)
            return await self._kept.run(self._kept.uploads.get, upload_id)
        return upload

    async def give_up(self, upload_id: str) -> None:
        """Raises NotKept, and TusError 423 while somebody writes it."""
        if upload_id in self._busy:
            raise TusError(LOCKED, "a request is writing this upload: end that first")
        await self._kept.run(self._kept.uploads.delete, upload_id)
        await self._kept.run(self.path(upload_id).unlink, True)

    async def give_up_expired(self) -> None:
        """Those that nobody goes on with. Raises KeptError."""
        for upload in await self._kept.run(self._kept.uploads.expired, time.time()):
            if upload.id not in self._busy:
                await self.drop(upload.id)

    async def drop(self, upload_id: str) -> None:
        """As `give_up`, where it may be gone already or whole."""
        try:
            await self.give_up(upload_id)
        except (NotKept, TusError):
            return

    async def end(self, upload: Upload) -> Upload:
        """What came is all: its length was not said before. Raises as `finish`."""
        upload = await self._kept.run(self._kept.uploads.set_length, upload.id, upload.offset, self._quota)
        await self.finish(upload)
        return upload

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
        StorageFull, NotKept."""
        if upload.id in self._busy:
            raise TusError(LOCKED, "another request writes this upload: wait for it, or ask where it is")
        self._busy.add(upload.id)
        try:
            upload = await self._kept.run(self._kept.uploads.get, upload.id)
            if length is not None:
                upload = await self._kept.run(self._kept.uploads.set_length, upload.id, length, self._quota)
            if offset != upload.offset:
                raise TusError(409, f"the upload is at {upload.offset}, not at {offset}: go on there")
            upload = await self._append(upload, chunks, checksum)
            if upload.offset == upload.length:
                await self.finish(upload)
            return upload
        finally:
            self._busy.discard(upload.id)

    async def finish(self, upload: Upload) -> None:
        """Keep a whole upload's bytes and say so. Raises KeptError; asked again, it goes on."""
        path, key = self.path(upload.id), video_key(upload.video_id, "film")
        digest, size = await self._kept.run(_digest, path, timeout_s=None)
        await self._kept.run(self._kept.blobs.put, key, path, timeout_s=None)
        await self._kept.run(
            lambda: self._kept.videos.uploaded(upload.video_id, digest=digest, size=size, blob_key=key)
        )
        await self._kept.run(path.unlink, True)
        self._on_whole(upload.video_id)

    def path(self, upload_id: str) -> Path:
        """Where its bytes lie until it is whole."""
        return self._kept.uploads_dir / upload_id

    async def _append(
        self, upload: Upload, chunks: AsyncIterator[bytes], checksum: Checksum | None
    ) -> Upload:
        room = (upload.length if upload.length is not None else self._most) - upload.offset
        file = await self._kept.run(_open, self.path(upload.id), upload.offset)
        hashed = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        came = 0
        waiting = bytearray()
        try:
            async for chunk in chunks:
                came += len(chunk)
                if came > room:
                    raise TusError(413, f"more bytes than the {room} that are missing: nothing more is taken")
                waiting += chunk
                if hashed is not None:
                    hashed.update(chunk)
                if len(waiting) >= _STEP_BYTES:
                    await self._kept.run(_write, file, bytes(waiting))
                    waiting.clear()
            await self._kept.run(_write, file, bytes(waiting))
        except (TusError, KeptError):
            await self._kept.run(_truncate, file, upload.offset)
            raise
        except BaseException:  # the client left, or we end: what was written counts, unless it must fit a sum
            await asyncio.shield(self._settle(upload, file, bytes(waiting), checksum))
            raise
        else:
            if hashed is not None and checksum is not None and hashed.digest() != checksum.digest:
                await self._kept.run(_truncate, file, upload.offset)
                raise TusError(
                    CHECKSUM_MISMATCH, f"the bytes do not have the {checksum.algorithm} that was said"
                )
            return await self._advance(upload, file)
        finally:
            file.close()

    async def _settle(self, upload: Upload, file: Any, waiting: bytes, checksum: Checksum | None) -> None:
        try:
            if checksum is not None:
                await self._kept.run(_truncate, file, upload.offset)
            else:
                await self._kept.run(_write, file, waiting)
                await self._advance(upload, file)
        except KeptError as error:
            log.warning("an upload that broke off could not be noted: %s", error)

    async def _advance(self, upload: Upload, file: Any) -> Upload:
        after = await self._kept.run(_sync, file)
        return await self._kept.run(
            self._kept.uploads.advance, upload.id, upload.offset, after, _expires_at()
        )

    def _check_disk(self, length: int) -> None:
        room = os.statvfs(self._kept.uploads_dir)
        free = room.f_bavail * room.f_frsize
        if length > free:
            raise StorageFull(f"{length} bytes do not fit on the server's disk, {free} are free")


def _expires_at() -> float:
    return time.time() + EXPIRES_S


def _open(path: Path, offset: int) -> Any:
    """The file, ours alone, cut to what counts, at its end. Raises TusError where another process has it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise TusError(LOCKED, "another server writes this upload: ask again in a moment") from error
    if os.fstat(file.fileno()).st_size < offset:
        file.close()
        raise Refused("the bytes of this upload are not here any more: begin a new one")
    _truncate(file, offset)
    return file


def _truncate(file: Any, offset: int) -> None:
    file.truncate(offset)
    file.seek(offset)


def _write(file: Any, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise StorageFull(f"the server's disk takes no more ({error.strerror}): try again later") from error


def _sync(file: Any) -> int:
    """Where the file ends, on the disk and not only in memory."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        raise StorageFull(f"the server's disk takes no more ({error.strerror}): try again later") from error
    return int(file.tell())


def _digest(path: Path) -> tuple[str, int]:
    made, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(_HASH_BYTES):
            made.update(data)
            size += len(data)
    return made.hexdigest(), size
