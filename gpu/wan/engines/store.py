"""Built engine files on disk: found by their whole key, built once, never trusted without a check.

Beside `<stem>.engine` lies `<stem>.json`, which holds the key and the file's sha256 and is written last: a
file without it, or that differs from it in anything, was cut short or belongs to something else, and is built
again. The store knows nothing of what is in the files.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from gpu.errors import DeviceError
from gpu.wan.engines.key import EngineKey, file_digest

__all__ = ["Build", "EngineKey", "EngineStore", "Progress"]

Progress = Callable[[float, str], None]  # share done 0..1, and what is being done, for a progress bar
Build = Callable[[Progress], bytes | Path]  # the file's bytes, or a file made for the store, which moves it

log = logging.getLogger(__name__)
_KINDS = {".engine", ".json", ".part"}
_POLL_S = 0.1
_TIDY_S = 60.0
_SPARE_BYTES = 1 << 28  # left free on the disk when a file of known size is built


class EngineStore:
    """One folder of engine files, shared by any number of threads and processes."""

    def __init__(self, root: Path, limit_bytes: int) -> None:
        """`limit_bytes`: all files together; the least recently used go first. The file just asked for stays
        even where it alone is larger."""
        self._root, self._limit = root, limit_bytes

    def get(
        self,
        key: EngineKey,
        build: Build,
        progress: Progress | None = None,
        timeout_s: float = 3600.0,
        at_least_bytes: int = 0,
    ) -> Path:
        """The file for `key`: the one that is there if it is whole, else what `build` makes.

        Of those who ask for one key at once, one builds and the others wait, `timeout_s` at most.
        `at_least_bytes`: what the file will take at least (its weights), held against the limit and the disk
        before hours are spent. Open the path soon: it may go once others were used after it.
        Raises DeviceError when waiting took too long, there is no room, or `build` met an OSError; whatever
        else it raises goes through."""
        told = progress or (lambda share, what: None)
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked(key.stem, timeout_s, told):
                path = self._path(key.stem, "engine")
                why = self._mismatch(path, key)
                if why:
                    log.info("engine %s: %s; building", key.stem, why)
                    self._make_room(at_least_bytes)
                    self._build(path, key, build, told)
                os.utime(self._path(key.stem, "json"))
                self._shrink()
        except OSError as exc:
            raise DeviceError(
                f"engine files in {self._root} cannot be kept ({exc}): check the folder and its disk"
            ) from exc
        told(1.0, "ready")
        return path

    def _path(self, stem: str, kind: str) -> Path:
        return self._root / f"{stem}.{kind}"

    def _mismatch(self, path: Path, key: EngineKey) -> str:
        """Why the file may not be used; "" when it may."""
        sidecar = path.with_name(f"{key.stem}.json")
        if not path.is_file() or not sidecar.is_file():
            return "none is there"
        try:
            about = json.loads(sidecar.read_text())
            if about["key"] != key.to_json():
                return "the one there was built for something else"
            if about["bytes"] != path.stat().st_size or about["sha256"] != file_digest(path):
                return "the one there is damaged"
        except (ValueError, KeyError, TypeError):
            return "its description cannot be read"
        return ""

    def _build(self, path: Path, key: EngineKey, build: Build, told: Progress) -> None:
        sidecar, part = path.with_name(f"{key.stem}.json"), path.with_name(f"{key.stem}.part")
        for stale in (sidecar, path, part):
            stale.unlink(missing_ok=True)
        try:
            try:
                made = build(told)
            except OSError as exc:
                raise DeviceError(f"engine {key.stem} cannot be built: {exc}") from exc
            if isinstance(made, bytes):
                part.write_bytes(made)
            else:
                shutil.move(made, part)
            about = {"key": key.to_json(), "bytes": part.stat().st_size, "sha256": file_digest(part)}
            _flush(part)
            part.replace(path)
            part.write_text(json.dumps(about, indent=1))
            _flush(part)
            part.replace(sidecar)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, needed: int) -> None:
        if needed > self._limit:
            raise DeviceError(
                f"an engine file of at least {needed} bytes is more than all of them may take, "
                f"{self._limit}: allow more"
            )
        if not needed:
            return
        self._shrink(needed)
        free = shutil.disk_usage(self._root).free
        if free < needed + _SPARE_BYTES:
            raise DeviceError(
                f"an engine file of at least {needed} bytes does not fit on the disk of {self._root}, "
                f"which has {free} bytes left: free some, or set another folder"
            )

    def _shrink(self, spare: int = 0) -> None:
        """Remove what is least recently used until the rest and `spare` fit the limit, and what an
        interrupted build left behind. What is locked stays: the one just asked for, those being built."""
        with self._locked("store", _TIDY_S):
            used: list[tuple[float, int, str]] = []
            found = {path.stem for path in self._root.iterdir() if path.suffix in _KINDS}
            for stem in found:
                engine, sidecar = self._path(stem, "engine"), self._path(stem, "json")
                if engine.is_file() and sidecar.is_file():
                    used.append((sidecar.stat().st_mtime, engine.stat().st_size, stem))
                else:
                    self._remove(stem)
            total = spare + sum(size for _, size, _ in used)
            for _, size, stem in sorted(used):
                if total <= self._limit:
                    return
                if self._remove(stem):
                    log.info("engine %s removed: all of them may take %d bytes", stem, self._limit)
                    total -= size

    def _remove(self, stem: str) -> bool:
        """False where another holds its lock."""
        with self._path(stem, "lock").open("a") as file:
            if not _locked_now(file):
                return False
            for kind in ("json", "part", "engine"):  # the description first: half removed is not trusted
                self._path(stem, kind).unlink(missing_ok=True)
            return True

    @contextlib.contextmanager
    def _locked(self, stem: str, timeout_s: float, told: Progress | None = None) -> Iterator[None]:
        """Hold the file lock of `stem`; the kernel lets it go with the process. Lock files stay: removing one
        would let two hold "the" lock."""
        deadline = time.monotonic() + timeout_s
        with self._path(stem, "lock").open("a") as file:
            while not _locked_now(file):
                if time.monotonic() >= deadline:
                    raise DeviceError(
                        f"another process has held {file.name} for {timeout_s:.0f} s: wait for the engine it "
                        "builds, or end it"
                    )
                if told:
                    told(0.0, "waiting for the same engine to be built")
                time.sleep(_POLL_S)
            yield


def _locked_now(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
