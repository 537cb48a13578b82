"""What Prometheus is told of jobs. Knows the board's totals, not who counts them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from server.jobs.board import Board, Totals


class JobMetrics:
    """`refresh` before each scrape."""

    def __init__(self, registry: CollectorRegistry, board: Board) -> None:
        self._board, self._before = board, Totals()
        self._running = Gauge("relens_jobs_running", "Jobs in work in this process", registry=registry)
        self._waiting = Gauge(
            "relens_jobs_waiting", "Of those, jobs that wait for a disk or a database", registry=registry
        )
        self._ended = Counter("relens_jobs_ended", "Jobs that ended, by state", ["state"], registry=registry)
        self._frames = Counter("relens_render_frames", "Frames of films edited", registry=registry)
        self._segments = Counter(
            "relens_render_segments", "Segments rendered, or found rendered", ["how"], registry=registry
        )
        self._rested = Counter(
            "relens_render_rest_seconds", "Rendering stood still for live streams", registry=registry
        )
        for state in ("DONE", "FAILED", "CANCELLED"):
            self._ended.labels(state)

    def refresh(self) -> None:
        totals, before = self._board.counted(), self._before
        self._before = totals
        self._frames.inc(totals.frames - before.frames)
        self._rested.inc(totals.rested_s - before.rested_s)
        self._segments.labels("rendered").inc(totals.rendered - before.rendered)
        self._segments.labels("reused").inc(totals.reused - before.reused)
        self._ended.labels("DONE").inc(totals.done - before.done)
        self._ended.labels("FAILED").inc(totals.failed - before.failed)
        self._ended.labels("CANCELLED").inc(totals.cancelled - before.cancelled)
        running, waiting = self._board.now()
        self._running.set(running)
        self._waiting.set(waiting)
