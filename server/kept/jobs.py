"""The jobs: edits of whole videos, their states and results. Each method is one transaction."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from server.kept.database import Database, insert_new
from server.kept.errors import NotKept, Refused
from server.kept.models import JobRow, SegmentRow, VideoRow
from server.kept.types import ACTIVE, OVER, Job, JobState
from server.kept.videos import MOST_LISTED, video_of

_JOBS = JobRow.__table__


class Jobs:
    """QUEUED -> RUNNING -> DONE | FAILED | CANCELLED, and back to QUEUED by `retry`, never from DONE. A
    change that is made already is answered as made; another that the state does not allow raises Refused.
    Raises NotKept for an unknown id, everywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, video_id: str, model: str, timeline: Mapping[str, Any], idempotency_key: str | None = None
    ) -> tuple[Job, bool]:
        """A new one, and True; or the one made by the same request under the same key, and False. Raises
        Refused for a key that belongs to another request, and for a video that is not ready."""
        job_id = secrets.token_urlsafe(16)

        def work(connection: Connection) -> tuple[Job, bool]:
            if idempotency_key is not None:
                made = _job_by_key(connection, idempotency_key)
                if made is not None:
                    return _same_request(made, video_id, model, timeline), made.id == job_id
            video = video_of(connection, video_id, lock=True)
            if video.state != "ready":
                raise Refused(f"the video is {video.state}: it can be edited once it is ready")
            now = time.time()
            values = {
                "id": job_id, "video_id": video_id, "model": model, "timeline": dict(timeline),
                "state": "QUEUED", "reason": None, "attempt": 1, "created_at": now, "started_at": None,
                "finished_at": None, "idempotency_key": idempotency_key, "result_key": None,
                "result_bytes": 0, "frames_done": 0, "frames": 0,
            }  # fmt: skip
            insert_new(connection, _JOBS, values)
            connection.execute(sa.update(VideoRow).where(VideoRow.id == video_id).values(used_at=now))
            if idempotency_key is None:
                return job_of(connection, job_id), True
            made = _job_by_key(connection, idempotency_key)  # another may have come first
            if made is None:
                raise NotKept("the job was deleted while it was made: send the request again")
            return _same_request(made, video_id, model, timeline), made.id == job_id

        return self._database.write(work)

    def get(self, job_id: str) -> Job:
        return self._database.read(lambda connection: job_of(connection, job_id))

    def list(
        self,
        limit: int = 100,
        before: float | None = None,
        video_id: str | None = None,
        states: Sequence[JobState] = (),
    ) -> tuple[Job, ...]:
        """The newest first; `before`: only those created before, for the next page."""
        query = sa.select(_JOBS).order_by(JobRow.created_at.desc(), JobRow.id)
        if before is not None:
            query = query.where(JobRow.created_at < before)
        if video_id is not None:
            query = query.where(JobRow.video_id == video_id)
        if states:
            query = query.where(JobRow.state.in_(states))
        query = query.limit(min(limit, MOST_LISTED))
        return self._database.read(
            lambda connection: tuple(Job(**row._mapping) for row in connection.execute(query))
        )

    def start_next(self) -> Job | None:
        """The oldest that is QUEUED, RUNNING from here on; no two callers get the same."""
        query = sa.select(JobRow.id).where(JobRow.state == "QUEUED").order_by(JobRow.created_at, JobRow.id)
        query = query.limit(1).with_for_update(skip_locked=True)

        def work(connection: Connection) -> Job | None:
            job_id = connection.execute(query).scalar_one_or_none()
            return None if job_id is None else _start(connection, job_of(connection, job_id))

        return self._database.write(work)

    def start(self, job_id: str) -> Job:
        """QUEUED -> RUNNING."""
        return self._move(job_id, ("QUEUED",), "RUNNING", _start)

    def finish(self, job_id: str, result_key: str, result_bytes: int = 0) -> Job:
        """RUNNING -> DONE, its result put. Raises Refused too while a segment is not DONE."""

        def end(connection: Connection, job: Job) -> Job:
            open_ones = sa.select(sa.func.count()).select_from(SegmentRow)
            open_ones = open_ones.where(SegmentRow.job_id == job_id, SegmentRow.state != "DONE")
            left = connection.execute(open_ones).scalar_one()
            if left:
                raise Refused(f"{left} segments of job {job_id} are not rendered yet")
            values = {"result_key": result_key, "result_bytes": result_bytes, "finished_at": time.time()}
            return _set(connection, job.id, state="DONE", **values)

        return self._move(job_id, ("RUNNING",), "DONE", end)

    def fail(self, job_id: str, reason: str) -> Job:
        """It cannot go on; `reason` is for a person. What was rendered stays."""
        return self._stop(job_id, "FAILED", reason)

    def cancel(self, job_id: str, reason: str = "cancelled by request") -> Job:
        """Nobody wants it any more. What was rendered stays for a day, in case of `retry`."""
        return self._stop(job_id, "CANCELLED", reason)

    def retry(self, job_id: str) -> Job:
        """FAILED or CANCELLED -> QUEUED; segments that are DONE stay so."""

        def again(connection: Connection, job: Job) -> Job:
            values = {"reason": None, "attempt": job.attempt + 1, "started_at": None, "finished_at": None}
            return _set(connection, job.id, state="QUEUED", **values)

        return self._move(job_id, ("FAILED", "CANCELLED"), "QUEUED", again)

    def delete(self, job_id: str) -> str | None:
        """It and its segments; the key of its result, which nobody names now. Refused while it runs."""

        def work(connection: Connection) -> str | None:
            job = job_of(connection, job_id, lock=True)
            if job.state not in OVER:
                raise Refused(f"job {job_id} is {job.state}: cancel it first")
            connection.execute(sa.delete(JobRow).where(JobRow.id == job_id))
            return job.result_key

        return self._database.write(work)

    def _stop(self, job_id: str, state: JobState, reason: str) -> Job:
        def stop(connection: Connection, job: Job) -> Job:
            give_back(connection, SegmentRow.job_id == job.id)
            return _set(connection, job.id, state=state, reason=reason, finished_at=time.time())

        return self._move(job_id, ACTIVE, state, stop)

    def _move(self, job_id: str, before: Sequence[JobState], after: JobState, change: Any) -> Job:
        def work(connection: Connection) -> Job:
            job = job_of(connection, job_id, lock=True)
            if job.state == after:
                return job
            if job.state not in before:
                raise Refused(f"job {job_id} is {job.state}, which does not become {after}")
            made: Job = change(connection, job)
            return made

        return self._database.write(work)


def job_of(connection: Connection, job_id: str, *, lock: bool = False) -> Job:
    query = sa.select(_JOBS).where(JobRow.id == job_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotKept(f"there is no job {job_id[:40]!r}: it was deleted, or never here")
    return Job(**row._mapping)


def give_back(connection: Connection, which: Any) -> int:
    """Running segments that somebody else may take now."""
    change = sa.update(SegmentRow).where(which, SegmentRow.state == "RUNNING")
    return connection.execute(change.values(state="PENDING", worker=None, heartbeat_at=None)).rowcount


def _start(connection: Connection, job: Job) -> Job:
    return _set(connection, job.id, state="RUNNING", started_at=time.time())


def _set(connection: Connection, job_id: str, **values: Any) -> Job:
    connection.execute(sa.update(JobRow).where(JobRow.id == job_id).values(**values))
    return job_of(connection, job_id)


def _job_by_key(connection: Connection, key: str) -> Job | None:
    row = connection.execute(sa.select(_JOBS).where(JobRow.idempotency_key == key)).one_or_none()
    return Job(**row._mapping) if row is not None else None


def _same_request(made: Job, video_id: str, model: str, timeline: Mapping[str, Any]) -> Job:
    if (made.video_id, made.model, dict(made.timeline)) != (video_id, model, dict(timeline)):
        raise Refused("this Idempotency-Key belongs to another request: send another key")
    return made
