"""The body of one request onto the end of one upload's file. Knows no HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING

from server.kept.errors import KeptError
from server.kept.types import Upload
from server.uploads.part import Part
from server.uploads.tus import Checksum, TusError

if TYPE_CHECKING:
    from server.uploads.receiver import Receiver

log = logging.getLogger(__name__)

_STEP_BYTES = 1 << 20  # written at once
_NOTED_BYTES, _NOTED_S = 1 << 26, 2.0  # at most that much is sent again after the server itself was killed
CHECKSUM_MISMATCH = 460  # tus, checksum extension


class Appending:
    """The bytes of one request, to the end of one upload."""

    def __init__(self, receiver: Receiver, part: Part, upload: Upload, checksum: Checksum | None) -> None:
        self._receiver, self._part, self._upload, self._checksum = receiver, part, upload, checksum
        self._hashed = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
        self._waiting = bytearray()
        self._at = upload.offset  # where they go
        self._noted_s = time.monotonic()

    async def take(self, chunks: AsyncIterator[bytes]) -> Upload:
        """How far it is. Raises as Receiver.write."""
        most = self._receiver.most_bytes if self._upload.length is None else self._upload.length
        room, came = most - self._upload.offset, 0
        await self._receiver.on_thread(self._part.begin, self._upload.offset)
        try:
            async for chunk in chunks:
                came += len(chunk)
                if came > room:
                    raise TusError(413, f"more bytes than the {room} that are missing: nothing more is taken")
                self._waiting += chunk
                if self._hashed is not None:
                    self._hashed.update(chunk)
                late = time.monotonic() - self._noted_s > _NOTED_S
                if len(self._waiting) >= _STEP_BYTES or late:
                    await self._step()
            await self._flush()
        except (TusError, KeptError):
            await self._receiver.on_thread(self._part.cut, self._upload.offset)
            raise
        except BaseException:  # the client left, or we end: what came counts, unless it must fit a sum
            await _to_its_end(self._settle())
            raise
        if self._hashed and self._checksum and self._hashed.digest() != self._checksum.digest:
            await self._receiver.on_thread(self._part.cut, self._upload.offset)
            raise TusError(
                CHECKSUM_MISMATCH, f"the bytes do not have the {self._checksum.algorithm} that was said"
            )
        return await self._receiver.advance(self._upload, self._part, self._at)

    async def _step(self) -> None:
        await self._flush()
        due = self._at - self._upload.offset >= _NOTED_BYTES or time.monotonic() - self._noted_s > _NOTED_S
        if due and self._checksum is None:
            await self._receiver.check_room(self._upload, self._at)
            self._upload = await self._receiver.advance(self._upload, self._part, self._at)
            self._noted_s = time.monotonic()

    async def _flush(self) -> None:
        data = bytes(self._waiting)
        await self._receiver.on_thread(self._part.write, data, self._at)
        self._at += len(
            data
        )  # not before: what is cancelled in between is written once more, to the same place
        self._waiting.clear()

    async def _settle(self) -> None:
        try:
            if self._checksum is not None:
                await self._receiver.on_thread(self._part.cut, self._upload.offset)
            else:
                await self._flush()
                await self._receiver.advance(self._upload, self._part, self._at)
        except KeptError as error:
            log.warning("an upload that broke off could not be noted: %s", error)


async def _to_its_end(work: Coroutine[None, None, None]) -> None:
    """Though the caller be cancelled once more."""
    doing = asyncio.ensure_future(work)
    while not doing.done():
        try:
            await asyncio.shield(doing)
        except asyncio.CancelledError:
            continue
