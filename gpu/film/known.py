"""Films that were counted lately, so that opening one again does not read all of it. Knows no processes."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import replace

from gpu.film.index import Index
from gpu.film.types import FilmInfo, FilmLimits

_MOST_FILMS = 64
_MOST_BYTES = 64 << 20

_Key = tuple[int, int, int, int, int, FilmLimits]
Counted = tuple[FilmInfo, Index]


class Known:
    """By the file itself: device, inode, size and times of its last changes. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._films: OrderedDict[_Key, Counted] = OrderedDict()
        self._bytes = 0

    def find(self, fd: int, limits: FilmLimits) -> Counted | None:
        key = _key(fd, limits)
        with self._lock:
            found = self._films.get(key)
            if found is not None:
                self._films.move_to_end(key)
            return found

    def add(self, fd: int, limits: FilmLimits, counted: Counted) -> None:
        key = _key(fd, limits)
        with self._lock:
            old = self._films.pop(key, None)
            self._bytes += _bytes(counted) - (_bytes(old) if old is not None else 0)
            self._films[key] = counted
            while len(self._films) > _MOST_FILMS or (self._bytes > _MOST_BYTES and len(self._films) > 1):
                self._bytes -= _bytes(self._films.popitem(last=False)[1])


def _key(fd: int, limits: FilmLimits) -> _Key:
    found = os.fstat(fd)
    counted_by = replace(limits, most_threads=1)  # nothing that is counted hangs on them
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, counted_by


def _bytes(counted: Counted) -> int:
    return counted[1].pts.nbytes + counted[1].keys.nbytes
