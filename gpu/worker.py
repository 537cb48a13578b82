"""One device, many streams: schedule -> step -> deliver, fairly. Knows pipelines, not what they carry."""

from __future__ import annotations

import logging
import threading
import time

from gpu import threads
from gpu.errors import DeviceError
from gpu.media import Media
from gpu.models.base import EditModel
from gpu.pipeline import Pipeline, PipelineConfig
from gpu.sink import PipelineSink

logger = logging.getLogger(__name__)

_POLL_S = 0.5
_JOIN_S = 5.0
WATCHDOG_S = 5.0


class Worker:
    """Owns a model and the only thread that steps it. The stream served longest ago goes first."""

    def __init__(self, model: EditModel, watchdog_s: float = WATCHDOG_S, media: Media | None = None) -> None:
        """`media`: what chooses each stream's path; None: pictures stay in host memory."""
        self._model = model
        self._media = media if media is not None else Media()
        self._watchdog_s = watchdog_s
        self._pipelines: list[Pipeline] = []
        self._changed = threading.Condition()
        self._pending = False
        self._stepping: Pipeline | None = None
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="relens-worker", daemon=True),
            threading.Thread(target=self._watch, name="relens-watchdog", daemon=True),
        ]

    @property
    def model(self) -> EditModel:
        return self._model

    @property
    def pipelines(self) -> int:
        """How many streams are open."""
        with self._changed:
            return len(self._pipelines)

    @property
    def served_ns(self) -> int:
        """When a stream that is open last had its turn (monotonic); 0: none had. Any thread."""
        with self._changed:
            return max((pipeline.served_ns for pipeline in self._pipelines), default=0)

    @property
    def busy(self) -> bool:
        """Whether a stream has its turn, or waits for it. Any thread."""
        with self._changed:
            return self._stepping is not None or any(pipeline.ready for pipeline in self._pipelines)

    def start(self) -> None:
        for thread in self._threads:
            threads.start(thread)

    def open(self, config: PipelineConfig, sink: PipelineSink) -> Pipeline:
        """Open a stream; its path is chosen here, once. Close it with `Pipeline.close`.

        Raises DeviceError once the worker is closed or when there is no encoder, NoGpu, NoMemory."""
        self._model.admit()
        path = self._media.path(self._model.spec, self._model.device, config.codec_in)
        pipeline = Pipeline(self._model, config, sink, self._wake, path)
        with self._changed:
            closed = self._closed.is_set()
            if not closed:
                self._pipelines.append(pipeline)
        if closed:
            pipeline.discard()
            raise DeviceError("the worker is closed: the server is shutting down")
        pipeline.start()
        return pipeline

    def close(self) -> None:
        """Close every stream, then the threads, then the model. Idempotent, bounded time."""
        self._closed.set()
        with self._changed:
            pipelines, self._pipelines = self._pipelines, []
        for pipeline in pipelines:
            pipeline.close()
        self._wake()
        alive = False
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_JOIN_S)
                alive = alive or thread.is_alive()
        if alive:
            logger.error(
                "the model's step did not end within %.0f s: its thread is left to the exit", _JOIN_S
            )
        else:
            self._model.close()

    def _wake(self) -> None:
        with self._changed:
            self._pending = True
            self._changed.notify()

    def _run(self) -> None:
        while not self._closed.is_set():
            pipeline = self._schedule()
            if pipeline is not None:
                pipeline.served_ns = time.monotonic_ns()
                self._stepping = pipeline
                pipeline.serve()
                self._stepping = None

    def _schedule(self) -> Pipeline | None:
        """The ready stream served longest ago; None after a while without any."""
        with self._changed:
            self._pipelines = [pipeline for pipeline in self._pipelines if not pipeline.closed]
            ready = [pipeline for pipeline in self._pipelines if pipeline.ready]
            if ready:
                return min(ready, key=lambda pipeline: pipeline.served_ns)
            if not self._pending:
                self._changed.wait(_POLL_S)
            self._pending = False
            return None

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self._watchdog_s / 4)):
            pipeline = self._stepping
            since_ns = pipeline.step_since_ns if pipeline is not None else 0
            if pipeline is not None and since_ns:
                took_s = (time.monotonic_ns() - since_ns) / 1e9
                if took_s > self._watchdog_s:
                    pipeline.report_stuck(took_s)
