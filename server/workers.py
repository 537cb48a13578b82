"""Loads models once and keeps a worker for each. Knows neither sessions nor requests."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor

import numpy as np

from gpu.errors import ModelError
from gpu.models.registry import list_models, load_model
from gpu.types import ModelSpec
from gpu.worker import Worker

log = logging.getLogger(__name__)


class Workers:
    """The workers by model name. Loading compiles and may take seconds: it runs in `executor`."""

    def __init__(self, default: str, threads: int, executor: Executor) -> None:
        self.default = default
        self._threads = threads
        self.executor = executor
        self._workers: dict[str, Worker] = {}
        self._lock = asyncio.Lock()  # one load at a time: it takes all cores

    @property
    def specs(self) -> list[ModelSpec]:
        """Every model there is, loaded or not."""
        return list_models()

    def loaded(self, name: str) -> Worker | None:
        return self._workers.get(name)

    async def get(self, name: str = "") -> Worker:
        """The worker of `name` ("": the default), loaded when it is not yet.

        Raises ModelError for a name there is not and for weights that are missing, DeviceError."""
        name = name or self.default
        if name in self._workers:
            return self._workers[name]
        names = [spec.name for spec in self.specs]
        if name not in names:
            raise ModelError(f"there is no model {name[:60]!r}; there are {', '.join(names)}")
        async with self._lock:
            if name not in self._workers:
                loop = asyncio.get_running_loop()
                self._workers[name] = await loop.run_in_executor(self.executor, self._load, name)
        return self._workers[name]

    def _load(self, name: str) -> Worker:
        model = load_model(name, threads=self._threads)
        np.percentile((0.0,), 50)  # its first call takes 10 ms: here, not in a stream's first statistics
        worker = Worker(model)
        worker.start()
        log.info("model %s on %s", name, model.device)
        return worker

    async def close(self) -> None:
        """Stop every worker; each frees its model."""
        workers, self._workers = list(self._workers.values()), {}
        loop = asyncio.get_running_loop()
        for worker in workers:
            await loop.run_in_executor(self.executor, worker.close)
