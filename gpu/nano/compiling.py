"""Graphs that are compiled when they are first wanted, each once, in threads of their own.

Knows names and how an engine is made of one; not what a graph computes, nor when a stream wants it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait

from gpu import threads
from gpu.engine import Engine
from gpu.errors import DeviceError

COMPILE_S = 60.0  # for one graph: half a second on a good day


class Compiling:
    """Threads, at most one a graph, end with their work. Any thread may call."""

    def __init__(self, names: Iterable[str], make: Callable[[str], Engine]) -> None:
        """`make` compiles the graph of that name and may raise what it likes: `get` raises it again."""
        self._names, self._make = tuple(names), make
        self._lock = threading.Lock()
        self._begun: dict[str, Future[Engine]] = {}
        self._goes_on = False  # a thread works on what nobody wants yet
        self._closed = False

    @property
    def failed(self) -> bool:
        """Some graph could not be compiled."""
        with self._lock:
            done = [future for future in self._begun.values() if future.done()]
        return any(future.exception() is not None for future in done)

    def ready(self, names: Iterable[str], wait_s: float = 0.0) -> bool:
        """Begin what has not begun; whether all of it is done, or has failed, within that time."""
        return not wait([self._future(name) for name in names], timeout=wait_s).not_done

    def get(self, name: str) -> Engine:
        """The compiled graph, waited for. Raises DeviceError after COMPILE_S, else what `make` raised."""
        try:
            return self._future(name).result(COMPILE_S)
        except TimeoutError as exc:
            raise DeviceError(
                f"graph {name} was not compiled within {COMPILE_S:.0f} s: this machine is too busy"
            ) from exc

    def go_on(self) -> None:
        """Compile what nobody has wanted yet, one graph after another, beside everything else."""
        with self._lock:
            if self._goes_on or self._closed or len(self._begun) == len(self._names):
                return
            self._goes_on = True
        threads.start(threading.Thread(target=self._rest, name="relens-compile"))

    def close(self) -> None:
        """Let the engines go; one that is still being made goes when it is done. Does not wait."""
        with self._lock:
            self._closed = True
            begun = list(self._begun.values())
        for future in begun:
            future.add_done_callback(_let_go)

    def _future(self, name: str) -> Future[Engine]:
        with self._lock:
            future = self._begun.get(name)
            if future is not None:
                return future
            future = self._begun[name] = Future()
            if self._closed:
                future.set_exception(DeviceError("the model is closed: open another"))
                return future
        threads.start(threading.Thread(target=self._run, args=(name, future), name="relens-compile"))
        return future

    def _run(self, name: str, future: Future[Engine]) -> None:
        try:
            future.set_result(self._make(name))
        except BaseException as exc:  # whatever it was, it belongs to who asks for the graph
            future.set_exception(exc)

    def _rest(self) -> None:
        for name in self._names:
            with self._lock:
                # a program that ends does not wait for what nobody asked for
                if self._closed or not threading.main_thread().is_alive():
                    return
                if name in self._begun:
                    continue
                future = self._begun[name] = Future()
            self._run(name, future)


def _let_go(future: Future[Engine]) -> None:
    if future.exception() is None:
        future.result().close()
