"""What one renderer edits with: a small model of its own, or the one that streams are served by.

A small graph does not keep all cores busy: spans side by side do, each with graphs that run on its thread.
Large models fill a device by themselves. Knows models, no spans.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gpu.cores import usable_cores
from gpu.errors import ModelError
from gpu.models.base import EditModel
from gpu.models.choice import SMALL
from gpu.models.registry import LARGE_NAMES, load_model
from server.edit_crew import shares
from server.jobs.patience import Signal

KEPT_S = 60.0  # since its last span: while a film is cut, work comes and goes
_POLL_S = 0.25


def side_by_side(most: int, threads: int) -> tuple[int, int]:
    """How many spans are rendered at once, and the threads of a model in each; 0: all have the streams' one.

    `most`: as many as are allowed. `threads`: of all; 0: as many as there are cores."""
    workers, each = shares(SMALL, threads)
    if most < workers:
        workers, each = most, (threads or usable_cores()) // max(1, most)
    return workers, each if workers > 1 else 0


class OwnModel:
    """One renderer's, on its thread. Holds one model at most, and of that the graphs of one size of film."""

    def __init__(self, threads: int, large: threading.Lock) -> None:
        """`threads`: of a model of its own; 0: it never has one. `large`: held by who edits with a large
        model that is not its own: of all renderers, one."""
        self._threads, self._large = threads, large
        self._made: EditModel | None = None
        self._size = (0, 0)
        self._used_s = 0.0

    @contextmanager
    def instead_of(self, model: EditModel, size: tuple[int, int], aborted: Signal) -> Iterator[EditModel]:
        """What does the same as `model`, for films of that size, loaded where it is not yet. Raises
        Abandoned, ModelError, DeviceError."""
        if not self._threads:
            yield model
        elif model.spec.name in LARGE_NAMES:
            while not self._large.acquire(timeout=_POLL_S):
                aborted.check()
            try:
                yield model
            finally:
                self._large.release()
        else:
            try:
                yield self._get(model, size)
            finally:
                self._used_s = time.monotonic()

    def rest(self) -> bool:
        """There is no work. Whether that lasts for a while: then what is held is let go."""
        if time.monotonic() - self._used_s <= KEPT_S:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Idempotent."""
        made, self._made = self._made, None
        if made is not None:
            made.close()

    def _get(self, model: EditModel, size: tuple[int, int]) -> EditModel:
        if self._made is None or (self._made.spec.name, self._size) != (model.spec.name, size):
            self.close()
            self._made, self._size = load_model(model.spec.name, self._threads), size
        if self._made.spec.identity != model.spec.identity:
            self.close()
            raise ModelError(f"the weights of {model.spec.name} changed under the server: start it again")
        return self._made
