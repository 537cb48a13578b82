"""Loads models once and keeps a worker for each. Knows neither sessions nor requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import numpy as np

from gpu.codec.base import ENCODES
from gpu.errors import ModelError
from gpu.media import Media
from gpu.models.base import EditModel
from gpu.models.choice import AUTO, SMALL, Choice, choose
from gpu.models.registry import LARGE_NAMES, list_models, load_model, why_not
from gpu.models.settings import DEFAULT, ModelSettings
from gpu.types import Codec, Edit, ModelSpec
from gpu.worker import Worker
from server.errors import CapacityError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_SIZE = (640, 360)  # of the page's sample clip, the first that most visitors send
CHOICE_S = 10.0  # the measurement bounds itself; this is for a device that hangs
MOST_READING = 32  # instructions that are read, or wait for that: sessions are opened on the same threads
MOST_TIMELINES = 2  # of those with many: ten thousand take a thread for seconds
CLOSE_WAIT_S = 5.0  # for a load under way; what loads for longer is left to the exit


class Workers:
    """The workers by model name. Loading compiles and may take seconds: it runs in `executor`."""

    def __init__(
        self, default: str, threads: int, executor: Executor, media: Media | None = None,
        settings: ModelSettings = DEFAULT,
    ) -> None:  # fmt: skip
        """`default`: a model's name, or AUTO until `start` has measured which it is. `media`: see Worker."""
        self.default = default
        self.why = ""  # the default is what it is, where it was measured
        self._threads, self._settings = threads, settings
        self.executor = executor
        self.media = media if media is not None else Media()
        # every model that visitors may choose, loaded or not
        self.specs: list[ModelSpec] = [spec for spec in list_models(settings) if self._offered(spec.name)]
        self._workers: dict[str, Worker] = {}
        self._loading: dict[str, asyncio.Task[Worker]] = {}
        self._reading = {False: 0, True: 0}  # instructions, and whole timelines
        self._lock = asyncio.Lock()  # one load at a time: it takes all cores

    def encodes(self, name: str, wanted: tuple[Codec, ...]) -> tuple[Codec, ...]:
        """Those of `wanted` that streams through a model ("": the default) are sent back in."""
        name = name or self.default
        spec = next((spec for spec in self.specs if spec.name == name), None)
        return self.media.encodes(spec, wanted) if spec is not None else ENCODES

    def loaded(self, name: str) -> Worker | None:
        return self._workers.get(name)

    def serving(self, within_s: float) -> bool:
        """Whether a stream had its turn in the last `within_s`. Any thread."""
        newest_ns = max((worker.served_ns for worker in list(self._workers.values())), default=0)
        return newest_ns > 0 and time.monotonic_ns() - newest_ns < within_s * 1e9

    def busy(self) -> bool:
        """Whether a stream has its turn, or waits for it. Any thread."""
        return any(worker.busy for worker in list(self._workers.values()))

    async def start(self) -> None:
        """Settle the default, and load it. Raises as `get`."""
        if self.default == AUTO:
            choice = await self._choose()
            self.default, self.why = choice.name, choice.why
            if choice.model is not None:
                loop = asyncio.get_running_loop()
                self._workers[choice.name] = await loop.run_in_executor(
                    self.executor, self._employ, choice.name, choice.model
                )
        await self.get()

    async def _choose(self) -> Choice:
        measuring = asyncio.get_running_loop().run_in_executor(self.executor, choose, self._threads)
        done, _ = await asyncio.wait([measuring], timeout=CHOICE_S)
        if done:
            return measuring.result()
        measuring.add_done_callback(_let_go)
        return Choice(SMALL, f"the measurement did not end within {CHOICE_S:.0f} s")

    async def get(self, name: str = "") -> Worker:
        """The worker of `name` ("": the default), loaded when it is not yet. Who is cancelled leaves the load
        to go on: whoever asks again is to find it, and not to begin another.

        Raises ModelError for a name there is not and for weights that are missing, DeviceError, NoGpu."""
        name = name or self.default
        if name in self._workers:
            return self._workers[name]
        names = [spec.name for spec in self.specs]
        lacks = name in LARGE_NAMES and why_not(name, self._settings)  # which loading it says
        if name not in names and not lacks:
            raise ModelError(f"there is no model {name[:60]!r}; there are {', '.join(names)}")
        loading = self._loading.get(name)
        if loading is None:
            loading = asyncio.get_running_loop().create_task(self._load_next(name), name=f"load-{name}")
            self._loading[name] = loading
            loading.add_done_callback(_heard)  # also where everybody who waited has left
        return await asyncio.shield(loading)

    async def read(self, work: Callable[..., T], *args: object, many: bool = False) -> T:
        """`work(*args)` on a thread, so that packets do not wait for it: that is asked at each key stroke.
        `many`: it reads a whole timeline. Raises what it raises, and CapacityError where too much is read."""
        if self._reading[many] >= (MOST_TIMELINES if many else MOST_READING):
            raise CapacityError("many instructions are being read just now: ask again in a moment", 1)
        self._reading[many] += 1
        reading = asyncio.get_running_loop().run_in_executor(self.executor, work, *args)
        reading.add_done_callback(lambda done: self._was_read(done, many))  # also where nobody waits for it
        return await asyncio.shield(reading)

    def _was_read(self, reading: asyncio.Future[T], many: bool) -> None:
        self._reading[many] -= 1
        if not reading.cancelled():
            reading.exception()  # heard

    async def _load_next(self, name: str) -> Worker:
        try:
            async with self._lock:
                loop = asyncio.get_running_loop()
                worker = await loop.run_in_executor(self.executor, self._load, name)
            self._workers[name] = worker
            return worker
        finally:
            del self._loading[name]

    def _offered(self, name: str) -> bool:
        """A visitor must not make a machine without a GPU load what needs one; who runs the server may."""
        return (
            name not in LARGE_NAMES
            or name == self.default
            or self._settings.random_weights
            or not self.media.problem
        )

    def _load(self, name: str) -> Worker:
        return self._employ(name, load_model(name, self._threads, self._settings))

    def _employ(self, name: str, model: EditModel) -> Worker:
        try:
            self.media.warm(model.spec)
            # begins what the first visitor will need, and then what any other may
            model.ready_for(model.open_state(*FIRST_SIZE), Edit())
        except BaseException:  # or each visitor who asks for it would leave one more in memory
            model.close()
            raise
        np.percentile((0.0,), 50)  # its first call takes 10 ms: here, not in a stream's first statistics
        # where it takes its pictures is known for sure once it is loaded
        self.specs = [model.spec if spec.name == name else spec for spec in self.specs]
        worker = Worker(model, media=self.media)
        worker.start()
        log.info("model %s on %s", name, model.device)
        return worker

    async def close(self) -> None:
        """Stop every worker; each frees its model."""
        if loading := list(self._loading.values()):
            _, late = await asyncio.wait(loading, timeout=CLOSE_WAIT_S)
            for each in late:
                each.cancel()
        workers, self._workers = list(self._workers.values()), {}
        loop = asyncio.get_running_loop()
        for worker in workers:
            await loop.run_in_executor(self.executor, worker.close)


def _heard(loading: asyncio.Task[Worker]) -> None:
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.debug("a model was not loaded: %s", error)  # who still waits for it says so


def _let_go(measuring: asyncio.Future[Choice]) -> None:
    """Of a measurement nobody waits for any more: the model it left loaded."""
    if not measuring.cancelled() and measuring.exception() is None:
        model = measuring.result().model
        if model is not None:
            model.close()
