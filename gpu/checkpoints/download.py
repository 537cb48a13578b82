"""Fetches a model's files into the store: one at a time, to `.part` files, checked before they get a name.

What was interrupted goes on where it stopped, however it was interrupted; what does not match its sum is
thrown away and said. One download at a time in a folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpu.checkpoints.catalogue import LargeModel
from gpu.checkpoints.fault import size_text
from gpu.checkpoints.hub import CutOff, Hub, Offer
from gpu.checkpoints.needs import need
from gpu.checkpoints.progress import Progress
from gpu.checkpoints.records import FOLDER, Record
from gpu.checkpoints.store import Store, part_of
from gpu.checkpoints.sums import checked, matches
from gpu.errors import ModelError

TRIES = 6  # in a row without a single byte
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)  # between them
SPARE_BYTES = 500_000_000  # left free on the disk


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be fetched, where it goes, and what of it is there already."""

    offer: Offer
    path: Path
    have_bytes: int


def free_bytes(folder: Path) -> int:
    """On the disk that a folder is on, or would be made on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


class Download:
    """A model's files, from a hub into a store."""

    def __init__(
        self,
        store: Store,
        model: LargeModel,
        hub: Hub,
        free: Callable[[Path], int] = free_bytes,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._model, self._hub = store, model, hub
        self._free, self._sleep = free, sleep

    def plan(self) -> list[Wanted]:
        """What is to be fetched, as the hub has it now. Nothing is written.

        Raises ModelError: no way to the hub, a file that is not what the catalogue knows, too little disk."""
        lacking = [found.file for found in self._store.look(self._model) if not found.whole]
        offers = [self._hub.ask(file) for file in lacking]
        for offer in offers:
            _same_as_known(offer)
        wanted = [Wanted(offer, self._store.own_place(offer.file), self._there(offer)) for offer in offers]
        left = to_fetch(wanted)
        free = self._free(self._store.root)
        if left + SPARE_BYTES > free:
            raise ModelError(
                f"{self._model.name} needs {size_text(left)} more in {self._store.root}, whose disk has "
                f"{size_text(free)} free: free {size_text(left + SPARE_BYTES - free)} there, or choose "
                "another folder by --models-dir"
            )
        return wanted

    def run(self, wanted: list[Wanted], progress: Progress) -> None:
        """Fetch them all. May be interrupted at any point and run again.

        Raises ModelError: the connection is lost for good, a sum is wrong, the disk is full or not writable,
        another process downloads into the same folder."""
        with self._alone():
            for each in wanted:
                try:
                    self._fetch(each, progress)
                except OSError as exc:
                    raise ModelError(
                        f"{each.path} cannot be written ({exc.strerror or exc}): free space or check the "
                        "folder, then run the same command again, it goes on where it was"
                    ) from exc

    def _there(self, offer: Offer) -> int:
        """Bytes of the very file that the hub has now."""
        record = self._store.records.get(offer.file)
        part = part_of(self._store.own_place(offer.file))
        if record is None or record.etag != offer.etag or not part.is_file():
            return 0
        return min(part.stat().st_size, offer.size_bytes)

    def _fetch(self, wanted: Wanted, progress: Progress) -> None:
        offer, part = wanted.offer, part_of(wanted.path)
        have = self._there(offer)
        part.parent.mkdir(parents=True, exist_ok=True)
        if not have:
            part.unlink(missing_ok=True)
            self._store.records.put(offer.file, _record(offer))
        with part.open("ab") as file:
            file.truncate(have)
        progress.begin(offer.file.path, offer.size_bytes, have)
        try:
            self._receive(offer, part, progress)
        finally:
            progress.end()
        sums = checked(part, offer.file.path, offer.size_bytes, progress)
        if why := matches(sums, offer.file.sha256, offer.etag):
            part.unlink()
            raise ModelError(
                f"what came for {offer.file.name} is not that file ({why}); it was deleted. Run the same "
                "command again; if that ends the same way, the hub's file is damaged, or changed on the way"
            )
        part.replace(wanted.path)  # of a link the link, never what it points to
        self._store.records.put(offer.file, _record(offer, sums.sha256))

    def _receive(self, offer: Offer, part: Path, progress: Progress) -> None:
        """Append to the part file until it is whole."""
        by_xet, silent = self._hub.has_xet(offer), 0
        with part.open("ab", buffering=0) as file:
            while (at := file.tell()) < offer.size_bytes:
                why = "the connection was closed before the end"
                try:
                    with contextlib.closing(self._hub.bytes_from(offer, at, by_xet)) as chunks:
                        for chunk in chunks:
                            kept = chunk[: offer.size_bytes - file.tell()]
                            file.write(kept)
                            progress.moved(len(kept))
                except CutOff as exc:
                    why = str(exc)
                if file.tell() == offer.size_bytes:
                    break
                silent = 0 if file.tell() > at else silent + 1
                if silent == TRIES:
                    raise ModelError(
                        f"{offer.file.path} stopped at {size_text(file.tell())} of "
                        f"{size_text(offer.size_bytes)} ({why}): check the connection and run the same "
                        "command again, it goes on there"
                    )
                by_xet = False  # whatever ails it, plain HTTP goes on from the same byte
                progress.say(f"{offer.file.path}: {why}; going on from {size_text(file.tell())}")
                self._sleep(PAUSES_S[min(silent, len(PAUSES_S) - 1)])
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        filelock = need("filelock")
        lock = self._store.root / FOLDER / "lock"
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            held = filelock.FileLock(lock, timeout=0)
            held.acquire()
        except filelock.Timeout as exc:
            raise ModelError(
                f"another process downloads into {self._store.root}: wait for it, or end it and run this "
                "again"
            ) from exc
        except OSError as exc:
            raise ModelError(
                f"{self._store.root} cannot be written to ({exc.strerror or exc}): choose another folder by "
                "--models-dir"
            ) from exc
        try:
            yield
        finally:
            held.release()


def to_fetch(wanted: list[Wanted]) -> int:
    """Bytes that are still to come."""
    return sum(each.offer.size_bytes - each.have_bytes for each in wanted)


def _same_as_known(offer: Offer) -> None:
    """Raises ModelError, before anything is fetched, where the hub has another file than we know."""
    file = offer.file
    other = ""
    if file.size_bytes is not None and offer.size_bytes != file.size_bytes:
        other = f"{offer.size_bytes} bytes instead of {file.size_bytes}"
    elif file.sha256 is not None and len(offer.etag) == len(file.sha256) and offer.etag != file.sha256:
        other = f"sha256 {offer.etag[:12]}… instead of {file.sha256[:12]}…"
    if other:
        raise ModelError(
            f"the hub has another {file.name} than relens knows ({other}): check HF_ENDPOINT where it is "
            "set, else update relens"
        )


def _record(offer: Offer, sha256: str = "") -> Record:
    return Record(
        size_bytes=offer.size_bytes,
        sha256=sha256,
        etag=offer.etag,
        revision=offer.revision,
        origin=offer.url,
    )
