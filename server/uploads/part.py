"""The file of an upload that is not whole: one writer, bytes at places, and what it hashes to. Blocks."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

from server.kept.errors import Refused, StorageFull
from server.uploads.tus import TusError

LOCKED = 423
_HASH_BYTES = 1 << 22


class Part:
    """Ours alone, among all processes on this machine, until it is closed."""

    def __init__(self, path: Path, make: bool = True) -> None:
        """Raises TusError 423 where another process has it; Refused where it is gone and not to be made."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
        try:
            self._fd = os.open(path, flags, 0o600)
        except FileNotFoundError as error:
            raise Refused("the bytes of this upload are not here any more: begin a new one") from error
        except OSError as error:
            raise _full(error) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise TusError(LOCKED, "another server writes this upload: ask again in a moment") from error
        self._path = path

    def begin(self, offset: int) -> None:
        """Cut it to what counts. Raises Refused where less is there."""
        if os.fstat(self._fd).st_size < offset:
            raise Refused("the bytes of this upload are not here any more: begin a new one")
        self.cut(offset)

    def cut(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def write(self, data: bytes, at: int) -> None:
        """Twice is as good as once. Raises StorageFull."""
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._fd, view, at)
                view, at = view[written:], at + written
        except OSError as error:
            raise _full(error) from error

    def sync(self) -> None:
        """On the disk and not only in memory. Raises StorageFull."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise _full(error) from error

    def digest(self, size: int) -> str:
        """SHA-256 in hex. Raises Refused where it has not `size` bytes."""
        made, at = hashlib.sha256(), 0
        while data := os.pread(self._fd, _HASH_BYTES, at):
            made.update(data)
            at += len(data)
        if at != size:
            raise Refused(f"{at} bytes of this upload are here, not {size}: begin a new one")
        return made.hexdigest()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def remove(path: Path) -> None:
    """Raises TusError 423 while another process writes it."""
    try:
        part = Part(path, make=False)
    except Refused:
        return
    try:
        part.remove()
    finally:
        part.close()


def _full(error: OSError) -> StorageFull:
    return StorageFull(f"the server's disk takes no more ({error.strerror}): try again later")
