"""Everything that works for jobs in one process: started and ended as one. Knows no HTTP.

A foreman starts what is queued and goes on with what a server that is gone left; each running job has a
tender; workers render segments of all of them.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time

from gpu import threads
from server.jobs.board import Board
from server.jobs.heart import Heart
from server.jobs.name import WorkerName
from server.jobs.own_model import OwnModel, side_by_side
from server.jobs.patience import Abandoned, Signal, persist
from server.jobs.plan import Plans
from server.jobs.renderer import Renderer
from server.jobs.tender import Tender
from server.jobs.tools import Tools
from server.jobs.view import Views
from server.kept.errors import KeptError
from server.kept.kept import Kept
from server.kept.types import Job
from server.listeners import Listeners
from server.workers import Workers

log = logging.getLogger(__name__)

MOST_RUNNING = 4  # jobs at once: a short one need not wait for a long one to be cut
LOOK_S = 2.0
ORPHAN_S = 60.0  # a job of another server that did not move for so long is gone on with here
_MOST_LISTED = 100
_JOIN_S = 30.0


class Runner:
    def __init__(
        self, kept: Kept, models: Workers, loop: asyncio.AbstractEventLoop, most: int, threads: int
    ) -> None:
        """At most `most` threads render; 0: this process takes jobs in, and others render them. `threads`: of
        models, over all of those; 0: as many as there are cores. Raises OSError where Kept's folder cannot be
        written."""
        self._kept = kept
        self._name = WorkerName(kept.data_dir / "workers")
        self._scratch = kept.data_dir / "scratch" / self._name.text.rpartition("/")[2]
        self._tools = Tools(kept, Plans(kept, models, loop), Heart(kept), models)
        workers, each = side_by_side(most, threads)
        large = threading.Lock()
        self._renderers = [
            Renderer(self._tools, self._name.of(number), OwnModel(each, large), each, first=number == 0)
            for number in range(workers)
        ]
        self._tenders: dict[str, Tender] = {}
        self._ours: set[str] = set()
        self._seen: dict[str, tuple[int, int, float]] = {}
        self._thread = threading.Thread(target=self._run, name="relens-jobs", daemon=True)
        self.views = Views(kept, self._tools.board)
        self.listeners = Listeners(kept_free=20)  # this one and the next are the loop's to count
        self.waiting = Listeners(64, kept_free=16, doing="wait for a segment")

    @property
    def board(self) -> Board:
        return self._tools.board

    @property
    def closing(self) -> bool:
        return self._tools.stop.is_set()

    def start(self) -> None:
        """Returns at once; a database that is away is waited for."""
        threads.start(self._thread)

    def nudge(self) -> None:
        """There is a new job, or a wanted segment. Any thread."""
        self._tools.nudge()

    def cancel(self, job_id: str) -> None:
        """Whoever works for it here stops within a frame; the database says it to others. Any thread."""
        self._tools.board.abandon(job_id)

    def close(self) -> None:
        """Stop within a frame, give back what is not done, end every thread. May wait for a model's step."""
        self._tools.stop.set()
        self._tools.nudge()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        for tender in self._tenders.values():
            tender.join()
        for renderer in self._renderers:
            renderer.join()
        self._tools.heart.close()
        self._name.close()

    # -- the foreman

    def _run(self) -> None:
        stop = Signal(self._tools.stop)
        try:
            persist(self._begin, stop)
        except Abandoned:
            return
        except Exception:
            log.exception("jobs cannot be rendered")
            return
        if not self._renderers:
            return
        self._tools.heart.start()
        self._try_look()  # so that a job that runs can be cancelled before a worker takes up its segments
        for renderer in self._renderers:
            renderer.start()
        while not stop.is_set():
            self._try_look()
            self._tools.wait(LOOK_S)

    def _begin(self) -> None:
        """What a process of this name held when it was killed is anybody's again."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True, exist_ok=True)
        freed = sum(
            self._kept.segments.release_worker(self._name.of(number))
            for number in range(max(len(self._renderers), 16))
        )
        if freed:
            log.info("%d segments of a server that is gone are rendered anew", freed)

    def _try_look(self) -> None:
        try:
            self._look()
        except KeptError as error:
            log.warning("no job can be looked for: %s", error)
        except Exception:
            log.exception("looking for jobs failed")

    def _look(self) -> None:
        for job_id, tender in list(self._tenders.items()):
            if not tender.alive:
                self._tenders.pop(job_id)
        running = self._kept.jobs.list(_MOST_LISTED, states=("RUNNING",))[::-1]
        self._ours &= {job.id for job in running}
        self._seen = {job.id: self._seen[job.id] for job in running if job.id in self._seen}
        for job in running:
            if len(self._tenders) >= MOST_RUNNING:
                return
            if job.id not in self._tenders and self._is_ours(job):
                self._tend(job)
        while len(self._tenders) < MOST_RUNNING and not self._tools.stop.is_set():
            started = self._kept.jobs.start_next()
            if started is None:
                return
            log.info("job %s starts, attempt %d", started.id[:6], started.attempt)
            self._ours.add(started.id)
            if started.id in self._tenders:  # cancelled and retried while the last attempt still ends
                return
            self._tend(started)

    def _is_ours(self, job: Job) -> bool:
        """Started here, or left by a server that is gone: a file's database has no other."""
        if self._kept.database.is_sqlite or job.id in self._ours:
            return True
        now_s, state = time.monotonic(), (job.frames, job.frames_done)
        seen = self._seen.get(job.id)
        if seen is None or seen[:2] != state:
            self._seen[job.id] = (*state, now_s)
            return False
        return now_s - seen[2] > ORPHAN_S

    def _tend(self, job: Job) -> None:
        self._tenders[job.id] = Tender(self._tools, job.id, self._scratch)
        self._tenders[job.id].start()
