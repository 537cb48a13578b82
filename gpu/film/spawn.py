"""Starting children that read films, and ending them. Knows processes, not films."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path

from gpu import threads
from gpu.film import sandbox
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Gone, Late, Wire

_START_S = 30.0  # until it is ready: loading libraries on a busy machine
_END_S = 5.0
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)  # neither libraries nor our own limits end it by these
_BOOT = "import importlib, sys; sys.path[:0] = sys.argv[1:-2]; importlib.import_module(sys.argv[-2]).main()"
# One thread for NumPy; few arenas, as each takes address space.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


class Child:
    """A process ready to be given a film."""

    def __init__(self, memory_bytes: int, entry: str = "gpu.film.child", wait: bool = True) -> None:
        """`entry`: the module whose `main` runs in it. `wait`: until it is ready; else call `ready`. Raises
        FilmError when it does not start."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.wire = Wire(ours)
        self.memory_bytes = memory_bytes
        self.barriers: tuple[str, ...] = ()
        with theirs:
            try:
                self._process = _nursery.start(theirs.fileno(), memory_bytes, entry)
            except OSError as error:
                self.wire.close()
                raise FilmError(f"no process to read the film with ({error}): free some memory") from error
        if wait:
            self.ready()

    def ready(self) -> None:
        """Wait until its libraries are loaded and its barriers hold. Raises FilmError."""
        try:
            said = self.wire.receive(_START_S)
            self.barriers = tuple(str(each) for each in json.loads(said.body))
        except (Gone, Late, ValueError) as error:
            self.end()
            raise FilmError(
                f"the process that reads films did not start ({self.died()}): see `relens doctor`"
            ) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def died(self) -> str:
        """How it ended, in words."""
        code = self._ended()
        return "it runs" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    def lost(self, what: str) -> str:
        """Why, and what may be done. `what`: it read, such as the film's sound."""
        why = f"the process that reads {what} "
        if self._ended() in _FROM_OUTSIDE:
            of = f"{why}was ended from outside ({self.died()})"
            return f"{of}, perhaps for want of memory: the same again may work"
        return f"{why}ended ({self.died()}): the film is damaged or hostile; convert it first"

    def _ended(self) -> int | None:
        """Its exit code, below zero for a signal; None: it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        return self._process.poll()

    def end(self) -> None:
        """At once; idempotent."""
        self.wire.close()
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)


class _Spare:
    """One child that waits for a film, where somebody asked for it: loading its libraries takes longer than
    all else that lies between a film and its first frame."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memory_bytes = 0  # 0: none is kept
        self._child: Child | None = None

    def keep(self, memory_bytes: int) -> None:
        with self._lock:
            self._memory_bytes = memory_bytes
            self._fill()

    def drop(self) -> None:
        with self._lock:
            self._memory_bytes = 0
            child, self._child = self._child, None
        if child is not None:
            child.end()

    def take(self, memory_bytes: int) -> Child:
        """Raises FilmError."""
        with self._lock:
            child = self._child
            if child is not None and memory_bytes == child.memory_bytes:
                self._child = None
            else:
                child = None
        if child is not None:
            try:
                child.ready()
            except FilmError:  # it died while it waited
                child = None
        if child is None:
            child = Child(memory_bytes)
        with self._lock:
            self._fill()
        return child

    def _fill(self) -> None:
        if self._memory_bytes and self._child is None:
            with contextlib.suppress(FilmError):  # told to whoever needs one
                self._child = Child(self._memory_bytes, wait=False)


def take(memory_bytes: int) -> Child:
    """A child that is ready: the one kept, or a new one. Raises FilmError."""
    return _spare.take(memory_bytes)


def keep_one(memory_bytes: int = FilmLimits().memory_bytes) -> None:
    """From now on a child waits for the next film that is opened with this limit: for servers."""
    _spare.keep(memory_bytes)


def keep_none() -> None:
    """End the child that waits, if any. Idempotent."""
    _spare.drop()


def barriers() -> tuple[str, ...]:
    """What holds a child on this machine, in words, for `relens doctor`. Raises FilmError as Child does."""
    child = Child(FilmLimits().memory_bytes)
    try:
        if sandbox.NAMESPACE in child.barriers or sandbox.FILTER in child.barriers:
            return child.barriers
        return (*child.barriers, "no barrier to the network but libav's lists of what it may open")
    finally:
        child.end()


class _Nursery:
    """Starts children from one thread that lives as long as the process: a child is killed when the thread
    that started it ends (prctl(2), PR_SET_PDEATHSIG), and callers' threads end whenever they like."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Future[subprocess.Popen[bytes]], list[str], int]] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0

    def start(self, fd: int, memory_bytes: int, entry: str) -> subprocess.Popen[bytes]:
        """Raises OSError."""
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, *_paths(), entry, str(memory_bytes)]
        with self._lock:
            if self._thread is None or self._pid != os.getpid():  # a fork has no threads
                self._pid = os.getpid()
                # Not named ours: it waits for orders in Python, so the process may end without it.
                self._thread = threading.Thread(target=self._run, name="film-nursery", daemon=True)
                threads.start(self._thread)
        made: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((made, command, fd))
        return made.result(_START_S)

    def _run(self) -> None:
        while True:
            made, command, fd = self._orders.get()
            try:
                made.set_result(
                    subprocess.Popen(
                        command,
                        stdin=fd,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        cwd="/",
                        env=_ENVIRONMENT,
                    )
                )
            except Exception as error:
                made.set_exception(error)


_nursery = _Nursery()
_spare = _Spare()


def _paths() -> list[str]:
    """Where the child finds relens and its two libraries; it reads no environment and no site."""
    found = [str(Path(__file__).parents[2])]
    for name in ("av", "numpy"):
        spec = find_spec(name)
        if spec is not None and spec.origin:
            found.append(str(Path(spec.origin).parents[1]))
    return list(dict.fromkeys(found))
