"""What is said of a job: as it is kept, with what this process knows of it at the moment. Knows no HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from gpu.film.timeline import EditAt, Timeline
from gpu.types import CLOCK_HZ
from server.jobs.board import Board, Progress
from server.kept.kept import Kept
from server.kept.types import Job, JobState, Segment

FRESH_S = 0.5  # one look into the database serves all who ask meanwhile
_MOST_FRESH = 256


class JobBody(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A job. Times in seconds: since 1970, or of the film."""

    id: str
    video_id: str
    model: str
    status: JobState
    stage: str  # while it is RUNNING here: cutting, rendering or assembling; else ""
    reason: str  # why it failed, was cancelled, or waits; else ""
    attempt: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    frames: int  # 0: not known yet
    frames_done: int
    fps: float  # edited a second, of late
    eta_s: float | None  # None: not known
    bytes: int  # of the result; 0: there is none


class JobDetails(JobBody, frozen=True, kw_only=True):
    """A job, its edits, and what of the film is rendered."""

    edits: list[EditAt]
    done: list[tuple[float, float]]  # from, to: what can be played


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    jobs: list[JobBody]


class JobStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to POST /edit-video."""

    job_id: str
    status: JobState


class Views:
    """Loop thread only."""

    def __init__(self, kept: Kept, board: Board) -> None:
        self._kept, self._board = kept, board
        self._fresh: dict[str, tuple[float, JobDetails]] = {}

    def brief(self, job: Job) -> JobBody:
        return JobBody(**_facts(job, self._board.progress(job.id)))

    async def details(self, job_id: str) -> JobDetails:
        """Up to FRESH_S old. Raises KeptError."""
        seen = self._fresh.get(job_id)
        if seen is not None and time.monotonic() - seen[0] < FRESH_S:
            return seen[1]
        job, segments = await self._kept.run(self._look, job_id)
        made = JobDetails(
            **_facts(job, self._board.progress(job_id)),
            edits=list(msgspec.convert(job.timeline, Timeline).edits),
            done=done_ranges(segments),
        )
        while len(self._fresh) >= _MOST_FRESH:
            self._fresh.pop(next(iter(self._fresh)))
        self._fresh[job_id] = (time.monotonic(), made)
        return made

    def forget(self, job_id: str) -> None:
        """It was changed just now."""
        self._fresh.pop(job_id, None)

    def _look(self, job_id: str) -> tuple[Job, Sequence[Segment]]:
        return self._kept.jobs.get(job_id), self._kept.segments.list(job_id)


def done_ranges(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    """(from, to) in seconds of what is rendered, neighbours as one."""
    made: list[list[int]] = []
    for each in segments:
        if each.state != "DONE":
            continue
        if made and made[-1][1] == each.start:
            made[-1][1] = each.end
        else:
            made.append([each.start, each.end])
    return [(round(start / CLOCK_HZ, 6), round(end / CLOCK_HZ, 6)) for start, end in made]


def _facts(job: Job, progress: Progress) -> dict[str, Any]:
    runs = job.state == "RUNNING"
    frames_done = job.frames_done + (progress.frames if runs else 0)
    left = job.frames - frames_done
    known = runs and progress.stage == "rendering" and progress.fps > 0
    return {
        "id": job.id, "video_id": job.video_id, "model": job.model, "status": job.state,
        "stage": progress.stage if runs else "",
        "reason": (progress.waiting if runs else "") or job.reason or "",
        "attempt": job.attempt, "created_at": job.created_at, "started_at": job.started_at,
        "finished_at": job.finished_at, "frames": job.frames,
        "frames_done": min(frames_done, job.frames),
        "fps": progress.fps if runs else 0.0,
        "eta_s": round(left / progress.fps, 1) if known else None,
        "bytes": job.result_bytes,
    }  # fmt: skip
