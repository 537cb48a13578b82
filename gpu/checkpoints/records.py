"""What is known of each file beside its bytes: size, sum, revision, origin. One small JSON each."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from gpu.checkpoints.catalogue import WeightsFile
from gpu.errors import ModelError

FOLDER = ".relens"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`sha256`: of the bytes when they were whole; "" where nobody has read them all yet. `etag`: what the
    hub calls the file: its sha256, or for small files git's SHA-1. `origin`: the hub's address, or a path.
    `fault`: what a check found wrong with the file as it was then, at `fault_mtime_ns`."""

    size_bytes: int
    sha256: str = ""
    etag: str = ""
    revision: str = ""
    origin: str = ""
    fault: str = ""
    fault_mtime_ns: int = 0


class Records:
    """The records of one folder of weights."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def path(self, file: WeightsFile) -> Path:
        return self._folder / f"{file.name}.json"

    def get(self, file: WeightsFile) -> Record | None:
        """None where there is none, or one that cannot be read: it is then as if nobody had written it."""
        try:
            record = msgspec.json.decode(self.path(file).read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None
        return record if not record.sha256 or _SHA256.fullmatch(record.sha256) else None

    def put(self, file: WeightsFile, record: Record) -> None:
        """Written whole or not at all. Raises ModelError when the folder cannot be written to."""
        path = self.path(file)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
            part.replace(path)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise ModelError(
                f"{path} cannot be written ({exc.strerror or exc}): check the folder, or choose another by "
                "--models-dir"
            ) from exc

    def drop(self, file: WeightsFile) -> None:
        """Forget a file, and folders that then hold nothing."""
        path = self.path(file)
        path.unlink(missing_ok=True)
        prune(path.parent, self._folder.parent)


def prune(folder: Path, root: Path) -> None:
    """Remove `folder` and those above it while they are empty, up to `root`, which stays."""
    while folder != root and root in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
