"""Threads that render spans side by side, each with a model and a reader of its own. Knows spans, no files.

A model that runs on the CPU does not keep all cores busy with one picture at a time; a span for each core
does, and one more works where those wait for each other. What a span gives does not hang on how many are
rendered beside it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from gpu.cores import usable_cores
from gpu.film.reader import LIMITS, FilmReader, open_film
from gpu.models.base import EditModel
from gpu.models.registry import LARGE_NAMES, load_model
from gpu.models.settings import ModelSettings
from gpu.threads import name_this

MOST_WORKERS = 4  # and one more; each holds some 100 MB at 640x480, its graphs among it
_POLL_S = 0.5  # an interruption is heard that soon
_END_S = 60.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What one worker works with."""

    model: EditModel
    reader: FilmReader


def shares(name: str, threads: int) -> tuple[int, int]:
    """How many workers, and the model's threads in each. `threads`: of all; 0: as many as there are cores.

    Large models fill a device by themselves."""
    if name in LARGE_NAMES:
        return 1, threads
    threads = threads or usable_cores()
    workers = min(threads, MOST_WORKERS)
    beside = 1 if workers > 1 else 0
    return workers + beside, threads // workers


class Crew:
    """A context. `put` the work of spans in order, then `end`; an error or an interruption ends all of it."""

    def __init__(self, source: Path, name: str, threads: int) -> None:
        """Opens the first worker's tools. Raises FilmError, ModelError, DeviceError."""
        self._source, self._name = source, name
        self._workers, self._threads = shares(name, threads)
        # Side by side, what a decoder's threads cost for each other is lost.
        self._limits = LIMITS if self._workers == 1 else replace(LIMITS, most_threads=self._threads)
        self._given_up = threading.Event()
        self._free: SimpleQueue[Tools | None] = SimpleQueue()
        self._open = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._waiting: set[Future[None]] = set()
        self._readers: list[FilmReader] = []
        self.first = self._tools()
        self._free.put(self.first)
        for _ in range(self._workers - 1):
            self._free.put(None)  # opened by who takes it
        self._executor = ThreadPoolExecutor(
            self._workers, thread_name_prefix="relens-edit", initializer=name_this
        )

    def cancelled(self) -> bool:
        """Whether what is being rendered is still wanted; any thread."""
        return self._given_up.is_set()

    def put(self, work: Callable[[Tools], None]) -> None:
        """Waits while enough is waiting. Raises what earlier work raised."""
        while len(self._waiting) >= 2 * self._workers:
            self._collect()
        self._waiting.add(self._executor.submit(self._do, work))

    def end(self) -> None:
        """Waits for all of it. Raises what any of it raised."""
        while self._waiting:
            self._collect()

    def damage(self) -> tuple[str, ...]:
        """What of the film did not come out as it was filmed, in words; once the work is done."""
        with self._lock:
            found = [reader.stats for reader in self._readers]
        lost, mended = sum(each.repeated for each in found), sum(each.damaged for each in found)
        said = []
        if mended:
            said.append(f"about {mended} frames were repaired")
        if lost:
            said.append(f"about {lost} could not be decoded and show the one before")
        return (f"The film is damaged: {', '.join(said)}.",) if said else ()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_up.set()
        begun = [each for each in self._waiting if not each.cancel()]  # a cancelled one is never "done"
        self._executor.shutdown(wait=False)
        wait(begun, _END_S)
        self._open.close()

    def _collect(self) -> None:
        done, self._waiting = wait(self._waiting, _POLL_S, FIRST_COMPLETED)
        for each in done:
            each.result()

    def _do(self, work: Callable[[Tools], None]) -> None:
        tools = self._free.get()
        try:
            if tools is None:
                tools = self._tools()
            work(tools)
        finally:
            self._free.put(tools)

    def _tools(self) -> Tools:
        with contextlib.ExitStack() as made:
            reader = made.enter_context(open_film(self._source, self._limits))
            model = load_model(self._name, self._threads, ModelSettings())
            made.callback(model.close)
            with self._lock:
                self._open.push(made.pop_all())
                self._readers.append(reader)
        return Tools(model, reader)
