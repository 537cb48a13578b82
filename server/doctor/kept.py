"""Whether films can be kept: the folder, the database, the storage. Live edits need none of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from gpu.checkpoints.fault import size_text
from gpu.film.types import FilmError
from server.config import Config
from server.doctor.finding import Finding
from server.kept.errors import KeptError
from server.kept.kept import database_location, default_dir, storage_location

SCARCE_BYTES = 1 << 30


def kept(config: Config) -> list[Finding]:
    """Makes nothing. Takes seconds where a server is named that does not answer."""
    folder = Path(config.data_dir).expanduser() if config.data_dir else default_dir()
    return [_folder(folder), _database(config, folder), _storage(config, folder), _reading()]


def _folder(folder: Path) -> Finding:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    ok = there.is_dir() and os.access(there, os.W_OK | os.X_OK) and not _read_only(there)
    free = _free_bytes(there)
    if ok and free >= SCARCE_BYTES:
        return Finding(
            name="films: folder", ok=True, detail=f"{folder}, {size_text(free)} free", needed=False
        )
    why = f"{size_text(free)} free" if ok else f"{there} cannot be written"
    return Finding(
        name="films: folder",
        ok=False,
        detail=f"{folder}: {why}",
        remedy="free some of that disk, or give --data-dir another folder; live edits go on without",
        needed=False,
    )


def _database(config: Config, folder: Path) -> Finding:
    name, url = "films: database", database_location(config.database_url, folder)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return Finding(name=name, ok=True, detail="SQLite, made at the first start", needed=False)
    from server.kept.database import Database
    from server.kept.migrate import check

    try:
        with contextlib.closing(Database(url, give_up_s=3)) as database:
            known = check(database)
    except KeptError as error:
        return Finding(
            name=name, ok=False, detail=str(error), remedy="films are off until then", needed=False
        )
    words = "its tables are here" if known else "its tables are made at the next start"
    return Finding(name=name, ok=True, detail=f"{database.url}, {words}", needed=False)


def _storage(config: Config, folder: Path) -> Finding:
    name, url = "films: storage", storage_location(config.storage_url, folder)
    if "://" not in url:
        return Finding(name=name, ok=True, detail=f"the folder {url}", needed=False)
    from server.kept.blobs import Blobs

    try:
        next(Blobs(url, folder / "fetched", tries_s=3).list(), None)
    except KeptError as error:
        return Finding(
            name=name, ok=False, detail=str(error), remedy="films are off until then", needed=False
        )
    return Finding(name=name, ok=True, detail=f"{url} answers", needed=False)


def _free_bytes(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def _read_only(folder: Path) -> bool:
    """root may write anywhere but there."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return True


def _reading() -> Finding:
    """What holds the child that opens strangers' files."""
    from gpu.film.spawn import barriers

    name = "films: reading"
    try:
        held = barriers()
    except FilmError as error:
        return Finding(
            name=name, ok=False, detail=str(error), remedy="films are off until then", needed=False
        )
    return Finding(name=name, ok=True, detail=f"in a child held by {', '.join(held)}", needed=False)
