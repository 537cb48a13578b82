"""Films and the jobs that render them: there once what is kept is there. Knows no HTTP."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from server.config import Config
from server.jobs.metrics import JobMetrics
from server.jobs.runner import Runner
from server.kept.errors import LOOK, KeptError
from server.kept.kept import Kept
from server.metrics import Metrics
from server.uploads.films import Films
from server.workers import Workers


class FilmWork:
    """Loop thread only."""

    def __init__(self, config: Config, workers: Workers, metrics: Metrics) -> None:
        self.films: Films | None = None  # None: not yet, as `jobs`
        self.jobs: Runner | None = None
        self._config, self._workers, self._metrics = config, workers, metrics

    async def take_up(self, kept: Kept) -> None:
        """Go on with what the server before left: uploads, films that are looked into, jobs, what is to be
        collected. Raises KeptError; then nothing has begun, and it may be called again."""
        films = Films(kept, self._config.most_video_bytes, self._config.quota_bytes)
        jobs: Runner | None = None
        try:
            await films.start()
            jobs = self._runner(kept)
            jobs.start()
        except BaseException:
            if jobs is not None:
                jobs.close()  # at once: none of its threads was started
            await films.close()
            raise
        # From here on nothing can fail: what is registered and handed out is so once.
        self.films, self.jobs = films, jobs
        self._metrics.on_scrape(JobMetrics(self._metrics.registry, jobs.board).refresh)
        kept.start(self._config.keep_days)

    async def close(self, executor: Executor) -> None:
        """Before the models that are rendered with."""
        if self.jobs is not None:
            await asyncio.get_running_loop().run_in_executor(executor, self.jobs.close)
        if self.films is not None:
            await self.films.close()

    def _runner(self, kept: Kept) -> Runner:
        try:
            most, threads = self._config.render_workers, self._config.threads
            return Runner(kept, self._workers, asyncio.get_running_loop(), most, threads)
        except OSError as error:
            raise KeptError(
                f"data_dir {kept.data_dir} cannot be written ({error.strerror or error}): free some room, or "
                "name another",
                f"this server's folder cannot be written: {LOOK}",
            ) from error
