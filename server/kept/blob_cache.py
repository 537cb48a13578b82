"""Copies of a bucket's blobs as files, as many as fit. Knows no bucket: the bytes are handed to it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from server.kept.errors import StorageFull

JUST_NOW_S = 60.0  # a copy that was asked for so recently may not be open yet
PARTIAL = ".part"


class BlobCache:
    """The copies that were asked for least recently go first; those that are held, never. One that is larger
    than the whole bound is here for as long as it is held or just asked for."""

    def __init__(self, folder: Path, most_bytes: int, just_now_s: float = JUST_NOW_S) -> None:
        self._folder, self._most_bytes, self._just_now_s = folder, most_bytes, just_now_s
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._fetching: dict[str, threading.Lock] = {}

    def path(self, key: str, size: Callable[[], int], pieces: Callable[[int], Iterable[bytes]]) -> Path:
        """The copy of `key`, fetched where it is not here, or of another size; two callers fetch it once.
        Raises StorageFull, and what the two functions raise."""
        path = self._path(key)
        with self._lock:
            fetching = self._fetching.setdefault(key, threading.Lock())
        try:
            with fetching:
                expected = size()
                if path.is_file() and path.stat().st_size == expected:
                    os.utime(path)
                else:
                    self._fetch(path, expected, pieces)
        finally:
            with self._lock:
                self._fetching.pop(key, None)
        return path

    def _fetch(self, path: Path, size: int, pieces: Callable[[int], Iterable[bytes]]) -> None:
        partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size)
            with partial.open("wb") as file:
                for piece in pieces(size):
                    file.write(piece)
            partial.replace(path)
        except OSError as error:
            raise StorageFull(
                f"a film cannot be fetched to {self._folder} ({error.strerror}): free some of that disk"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[None]:
        """It stays meanwhile."""
        with self._lock:
            self._held[key] = self._held.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._held[key] -= 1
                if not self._held[key]:
                    del self._held[key]

    def forget(self, key: str) -> None:
        """It was changed or deleted; who has it open reads on."""
        with contextlib.suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()

    def _make_room(self, coming_bytes: int) -> None:
        now = time.time()
        with self._lock:
            held = {self._path(key).name for key in self._held}
            there = []
            for entry in os.scandir(self._folder):
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat()
                    there.append((found.st_mtime, found.st_size, entry.name))
            size = sum(each[1] for each in there) + coming_bytes
            for touched, bytes_, name in sorted(there):
                if size <= self._most_bytes:
                    break
                if name in held or now - touched < self._just_now_s:
                    continue
                (self._folder / name).unlink(missing_ok=True)
                size -= bytes_
