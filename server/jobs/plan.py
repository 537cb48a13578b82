"""What a job needs to be rendered: its film, its model, its edits as the model reads them. Owns no thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gpu.film.reader import LIMITS, FilmReader, open_film
from gpu.film.render import resolved
from gpu.film.segment import OutputSettings
from gpu.film.timeline import Step, Timeline, steps_of
from gpu.film.types import FilmError, FilmLimits, Span
from gpu.film.work import work_key
from gpu.models.base import EditModel
from server.jobs.patience import Abandoned, Signal
from server.kept.errors import NotKept
from server.kept.kept import Kept
from server.kept.types import Job
from server.workers import Workers

SETTINGS = OutputSettings()
MOST_PLANS = 16
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """One job's. `steps` as `gpu.film.render.resolved` gives them."""

    job_id: str
    name: str  # the film's, as it was uploaded
    digest: str
    blob_key: str
    model: EditModel
    steps: tuple[Step, ...]
    settings: OutputSettings = SETTINGS

    def key(self, span: Span) -> str:
        """The span's work key."""
        return work_key(self.digest, span, self.steps, self.model.spec, self.settings)


class Plans:
    """Any thread but the loop's."""

    def __init__(self, kept: Kept, workers: Workers, loop: asyncio.AbstractEventLoop) -> None:
        self._kept, self._workers, self._loop = kept, workers, loop
        self._lock = threading.Lock()
        self._made: dict[str, Plan] = {}

    def get(self, job_id: str, aborted: Signal) -> Plan:
        """Raises NotKept, Unavailable, FilmError for a film that is not ready, Abandoned, and what loading
        its model does."""
        with self._lock:
            if job_id in self._made:
                return self._made[job_id]
        plan = self._make(self._kept.jobs.get(job_id), aborted)
        with self._lock:
            while len(self._made) >= MOST_PLANS:
                self._made.pop(next(iter(self._made)))
            return self._made.setdefault(job_id, plan)

    def forget(self, job_id: str) -> None:
        with self._lock:
            self._made.pop(job_id, None)

    def open(self, plan: Plan, limits: FilmLimits = LIMITS) -> FilmReader:
        """The plan's film, to be closed. Raises FilmError, and as `open_local` does."""
        return open_film(self.path(plan), limits)

    def path(self, plan: Plan) -> Path:
        try:
            return self._kept.blobs.open_local(plan.blob_key)
        except NotKept as error:
            raise FilmError("the film's bytes are gone: upload it again") from error

    def _make(self, job: Job, aborted: Signal) -> Plan:
        video = self._kept.videos.get(job.video_id)
        if video.state != "ready" or video.blob_key is None or video.digest is None:
            raise FilmError(f"the film is {video.state}: upload it again")
        model = self._model(job.model, aborted)
        steps = resolved(model, steps_of(msgspec.convert(job.timeline, Timeline)))
        return Plan(job.id, video.name, video.digest, video.blob_key, model, steps)

    def _model(self, name: str, aborted: Signal) -> EditModel:
        loading = asyncio.run_coroutine_threadsafe(self._workers.get(name), self._loop)
        while True:
            try:
                return loading.result(_POLL_S).model
            except concurrent.futures.TimeoutError:
                if aborted.is_set():
                    loading.cancel()
                    raise Abandoned("the job was cancelled while its model was loaded") from None
