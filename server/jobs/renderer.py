"""One worker: claims a segment, renders it or finds it rendered, says so, and takes the next.

Owns one thread, the reader of the film it is at, and the model it edits with.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import partial

from gpu import threads
from gpu.errors import RelensError
from gpu.film.produce import Cancelled, produce
from gpu.film.reader import LIMITS, FilmReader
from gpu.film.types import Span
from server.jobs.courtesy import LIVE_S
from server.jobs.heart import LEASE_S
from server.jobs.own_model import OwnModel
from server.jobs.patience import Abandoned, Signal, persist
from server.jobs.plan import Plan
from server.jobs.tools import Tools
from server.kept.errors import KeptError, NotKept, Refused
from server.kept.keys import work_blob
from server.kept.types import Segment

log = logging.getLogger(__name__)

TRIES = 2  # of a span whose film or model fails: a child that was killed for memory is no bad film
IDLE_S = 2.0  # between looks for work that nobody told of
AWAY_S = 2.0  # after the database could not be asked
_JOIN_S = 60.0
DEFECT = "a defect of relens: its log says more; retry the job after an update"


class Renderer:
    def __init__(self, tools: Tools, name: str, model: OwnModel, threads: int, first: bool = True) -> None:
        """`threads`: of decoders; 0: as they like. Those that are not the `first` take no work up while
        streams are served."""
        self._tools, self._name, self._model = tools, name, model
        self._limits = replace(LIMITS, most_threads=threads) if threads else LIMITS
        self._first = first
        self._reader: tuple[str, FilmReader] | None = None
        self._thread = threading.Thread(target=self._run, name="relens-render", daemon=True)

    def start(self) -> None:
        threads.start(self._thread)

    def join(self) -> None:
        """Once the tools' `stop` is set: the frame in work ends, its segment is given back."""
        if self._thread.ident is None:  # it never was started
            return
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            log.error("a render did not stop within %.0f s: its thread is left to the exit", _JOIN_S)

    def _run(self) -> None:
        try:
            while not self._tools.stop.is_set():
                self._turn()
        finally:
            self._close_reader()
            self._model.close()

    def _turn(self) -> None:
        if not self._first and self._tools.streams.serving(LIVE_S):
            if self._model.rest():
                self._close_reader()
            self._tools.wait(LIVE_S)
            return
        try:
            segment = self._tools.kept.segments.claim(self._name, LEASE_S)
        except KeptError as error:
            log.warning("no work can be asked for: %s", error)
            self._tools.stop.wait(AWAY_S)
            return
        except Exception:
            log.exception("no work could be asked for")
            self._tools.stop.wait(AWAY_S)
            return
        if segment is None:
            self._close_reader()
            self._model.rest()
            self._tools.wait(IDLE_S)
            return
        self._take(segment)

    def _take(self, segment: Segment) -> None:
        """Render a claimed segment, fail its job, or give it back. Raises nothing."""
        tools = self._tools
        lost = tools.heart.hold(segment)
        aborted = Signal(tools.board.abandoned(segment.job_id), lost, tools.stop)
        say = partial(tools.board.waits, segment.job_id)
        try:
            try:
                self._render(segment, aborted)
                tools.nudge()
            except (Abandoned, Cancelled, NotKept):  # cancelled, deleted, or the server stops
                self._give_back(segment)
            except RelensError as error:
                log.warning("segment %d of job %s: %s", segment.index, segment.job_id[:6], error)
                self._fail(segment, str(error), aborted)
            except Exception:
                log.exception("segment %d of job %s", segment.index, segment.job_id[:6])
                self._fail(segment, DEFECT, aborted)
        finally:
            say("")
            tools.heart.let_go(segment)
            tools.board.leave(segment.job_id, segment.index)

    def _render(self, segment: Segment, aborted: Signal) -> None:
        """Its bytes lie under its work key, and that is noted."""
        tools, board = self._tools, self._tools.board
        say = partial(board.waits, segment.job_id)
        plan = persist(lambda: tools.plans.get(segment.job_id, aborted), aborted, say)
        span = span_of(segment)
        key = plan.key(span)
        blob = work_blob(key)
        with tools.in_work.of(key, aborted):
            size = persist(lambda: self._size(blob), aborted, say)
            if size is None:
                data = self._produce(plan, span, aborted)
                size = persist(lambda: tools.kept.blobs.put(blob, data), aborted, say)
                board.leave(segment.job_id, segment.index, rendered=1)
                how = "rendered"
            else:
                board.leave(segment.job_id, segment.index, reused=1)
                how = "was rendered already"
            log.info("job %s segment %d %s, %d frames", segment.job_id[:6], span.index, how, span.frames)
        found = size
        persist(lambda: tools.kept.segments.finish(segment, key, found), aborted, say)

    def _size(self, blob: str) -> int | None:
        try:
            return self._tools.kept.blobs.size(blob)
        except NotKept:
            return None

    def _produce(self, plan: Plan, span: Span, aborted: Signal) -> bytes:
        board = self._tools.board
        on_frame = partial(board.frame, plan.job_id, span.index)
        for tries_left in reversed(range(TRIES)):
            try:
                film = persist(lambda: self._film(plan), aborted, partial(board.waits, plan.job_id))
                size = film.info.video.width, film.info.video.height
                with (
                    self._model.instead_of(plan.model, size, aborted) as model,
                    self._tools.gated(film, aborted, alone=True) as gated,
                ):
                    return produce(
                        model, gated, span, plan.steps, film.info, plan.settings, on_frame, aborted.is_set
                    )
            except (Abandoned, Cancelled, KeptError):
                raise
            except RelensError as error:
                self._close_reader()
                if not tries_left:
                    raise
                log.warning("job %s segment %d fails, once more: %s", plan.job_id[:6], span.index, error)
        raise AssertionError("a try returns or raises")

    def _film(self, plan: Plan) -> FilmReader:
        if self._reader is None or self._reader[0] != plan.blob_key:
            self._close_reader()
            self._reader = (plan.blob_key, self._tools.plans.open(plan, self._limits))
        return self._reader[1]

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader[1].close()
            self._reader = None

    def _give_back(self, segment: Segment) -> None:
        try:
            self._tools.kept.segments.release(segment)
        except KeptError as error:  # its lease runs out by itself
            log.warning("a segment could not be given back: %s", error)

    def _fail(self, segment: Segment, reason: str, aborted: Signal) -> None:
        """The job cannot go on: segments of it that are rendered stay so."""
        tools = self._tools
        try:
            persist(
                lambda: tools.kept.jobs.fail(segment.job_id, reason),
                aborted,
                partial(tools.board.waits, segment.job_id),
            )
        except (Abandoned, Refused, NotKept):
            self._give_back(segment)
        except KeptError as error:
            log.error("job %s could not be failed: %s", segment.job_id[:6], error)
        tools.board.abandon(segment.job_id)


def span_of(segment: Segment) -> Span:
    return Span(
        segment.index, segment.first_frame, segment.frames, segment.start, segment.end, bool(segment.scene)
    )
