"""The bytes that are kept: a folder, or S3, by one interface of keys (keys.py). Knows no database.

Calls may wait for a disk or a network: never on an event loop. A blob is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from server.kept.blob_cache import BlobCache
from server.kept.errors import LOOK, KeptError, NotKept, StorageFull, StorageUnavailable
from server.kept.keys import check_key

log = logging.getLogger(__name__)

T = TypeVar("T")

CACHE_BYTES = 50 << 30  # of films fetched from S3 to be read
TOLD = f"this server's storage cannot be used for now: {LOOK}"
TRIES_S = 20.0  # of one call, all together
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0
PIECE_BYTES = 8 << 20
PART_BYTES, PARTS_AT_ONCE = 16 << 20, 4  # of one put: 64 MiB of memory; S3 takes 10 000 parts, 156 GiB
_FULL = ("os error 28", "No space left", "EntityTooLarge", "QuotaExceeded", "os error 122")


class Blobs:
    """One place of blobs, for many threads."""

    def __init__(
        self, url: str, cache: Path, *, cache_bytes: int = CACHE_BYTES, tries_s: float = TRIES_S
    ) -> None:
        """`url`: a folder's path, or s3://bucket/prefix with the rest (endpoint, keys, region) from the
        environment as AWS names it. `cache`: a folder for what is fetched. Raises StorageUnavailable."""
        self.url, self._tries_s = shown(url), tries_s
        self._cache = BlobCache(cache, cache_bytes)
        self._folder: Path | None = None
        try:
            from obstore.store import LocalStore, from_url

            if "://" in url and urlsplit(url).scheme != "file":
                self._store: Any = from_url(
                    url,
                    client_options={"timeout": "30s", "connect_timeout": "5s", "allow_http": True},
                    retry_config={
                        "max_retries": 10,
                        "retry_timeout": timedelta(seconds=tries_s),
                        "backoff": {
                            "init_backoff": timedelta(seconds=FIRST_WAIT_S),
                            "max_backoff": timedelta(seconds=LONGEST_WAIT_S),
                            "base": 2,
                        },
                    },
                )
            else:
                self._folder = Path(url.removeprefix("file://")).expanduser().resolve()
                self._folder.mkdir(parents=True, exist_ok=True)
                self._store = LocalStore(self._folder, mkdir=True, automatic_cleanup=True)
        except Exception as error:  # obstore's own classes begin at Exception
            raise StorageUnavailable(
                f"storage_url {self.url} cannot be used ({_words(error)}): give a folder, or s3://bucket/prefix",
                TOLD,
            ) from error

    def put(self, key: str, data: bytes | Path) -> int:
        """Keep it, in the place of what had the key; how many bytes. In a folder it outlives a power cut from
        here on. A file is read in parts. Raises StorageFull."""
        check_key(key)
        size = data.stat().st_size if isinstance(data, Path) else len(data)

        def put() -> None:
            try:
                self._store.put(key, data, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
            except FileNotFoundError as error:
                raise StorageUnavailable(
                    f"there is no {self.url}: make the bucket, or name another", TOLD
                ) from error
            if self._folder is not None:
                _to_disk(self._folder / key)

        self._call(put, key)
        self._cache.forget(key)
        return size

    def get(self, key: str) -> bytes:
        """All of it: for what is small. Raises NotKept."""
        check_key(key)
        return self._call(lambda: bytes(self._store.get(key).bytes()), key)

    def size(self, key: str) -> int:
        """Raises NotKept."""
        check_key(key)
        return int(self._call(lambda: self._store.head(key), key)["size"])

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except NotKept:
            return False
        return True

    def range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` to `end`, that one not among them. Raises NotKept, and KeptError for no range."""
        check_key(key)
        if not 0 <= start < end:
            raise KeptError(
                f"bytes {start} to {end} of {key} are no range: the first, and the one after the last"
            )
        return self._call(lambda: bytes(self._store.get_range(key, start=start, end=end)), key)

    def pieces(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """As `range`, a piece at a time."""
        while start < end:
            upto = min(end, start + PIECE_BYTES)
            yield self.range(key, start, upto)
            start = upto

    def delete(self, key: str) -> None:
        """It is gone; also where it never was."""
        check_key(key)
        with contextlib.suppress(NotKept):
            self._call(lambda: self._store.delete(key), key)
        self._cache.forget(key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        """(key, bytes, when it was put in seconds since 1970) of every blob in the folder `prefix`, some
        at a time."""
        pages: Any = None
        last: str | None = None  # where a bucket goes on after a fault; a folder is in no order

        def page() -> Any:
            nonlocal pages
            if pages is None:
                pages = iter(self._store.list(prefix or None, offset=last, chunk_size=500))
            try:
                return next(pages, None)
            except BaseException:
                pages = None  # it would say that it is at its end
                raise

        while some := self._call(page, prefix):
            for each in some:
                yield each["path"], int(each["size"]), each["last_modified"].timestamp()
            last = some[-1]["path"] if self._folder is None else None

    def open_local(self, key: str) -> Path:
        """A file of it, only to be read; from S3 it is fetched once, and may go a minute after it was
        last asked for when others come: see `local`. Raises NotKept, StorageFull."""
        check_key(key)
        if self._folder is not None:
            path = self._folder / key
            if not path.is_file():
                raise NotKept(f"there is no {key}")
            return path
        return self._cache.path(key, lambda: self.size(key), lambda size: self.pieces(key, 0, size))

    @contextlib.contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """As `open_local`, and the file stays for as long as the context is open."""
        with self._cache.held(key):
            yield self.open_local(key)

    def unfinished(self, older_s: float) -> Iterator[Path]:
        """Files that a killed process left half written in a folder: LocalStore names them "key#1"."""
        for path in self._folder.rglob("*#*") if self._folder is not None else ():
            with contextlib.suppress(OSError):
                if path.is_file() and time.time() - path.stat().st_mtime > older_s:
                    yield path

    def free_bytes(self) -> int | None:
        """Of a folder's disk; None where nobody says."""
        return shutil.disk_usage(self._folder).free if self._folder is not None else None

    def _call(self, work: Callable[[], T], key: str) -> T:
        """Tried again, for a while, where the storage cannot be reached."""
        said = False
        until_s, wait_s = time.monotonic() + self._tries_s, FIRST_WAIT_S
        while True:
            try:
                return work()
            except Exception as error:  # obstore's own classes begin at Exception
                known = _known(error, key)
                if known is not None:
                    raise known from error
                if time.monotonic() + wait_s > until_s:
                    raise StorageUnavailable(
                        f"the storage {self.url} does not answer ({_words(error)}): it is tried again later",
                        TOLD,
                    ) from error
                if not said:
                    log.warning("the storage does not answer, trying again: %s", _words(error))
                said = True
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def shown(url: str) -> str:
    """Without keys that somebody wrote into it; a secret one may have a slash or an @ in it."""
    return re.sub(r"//([^/:@]+:.*|[^/@]*)@", "//***@", url)


def _known(error: Exception, key: str) -> KeptError | None:
    """What will not pass by waiting; None for the rest."""
    if isinstance(error, KeptError):
        return error
    if isinstance(error, FileNotFoundError) or type(error).__name__ == "NotFoundError":
        return NotKept(f"there is no {key}")
    text = str(error)
    if "416 Range" in text or "InvalidRange" in text or "larger than file" in text or "StartTooLarge" in text:
        return KeptError(f"{key} ends before that range")
    if any(word in text for word in _FULL):
        return StorageFull(f"the storage is full: {key} could not be kept")
    if "os error 30" in text or getattr(error, "errno", 0) == errno.EROFS:
        return StorageUnavailable(
            "the storage became read-only: see to its disk, or give another storage_url"
        )
    if type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError", "PermissionError"):
        return StorageUnavailable(
            f"the storage refuses us ({_words(error)}): check its keys and rights", TOLD
        )
    return None


def _words(error: Exception) -> str:
    """Without the insides that obstore shows behind its message."""
    text = " ".join(str(error).partition("Debug source")[0].split())
    return text[:200] or type(error).__name__


def _to_disk(path: Path) -> None:
    """The file and its name."""
    for each in (path, path.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
