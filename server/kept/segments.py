"""The segments of jobs: who renders which, what is done. Each method is one transaction.

A worker holds what it claimed for as long as it says so (`heartbeat`); after `lease_s` of silence another may
have it. Rendering is deterministic, so whoever finishes first has finished it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gpu.film.types import Span
from server.kept.database import Database, insert_new, now_of
from server.kept.errors import NotKept, Refused
from server.kept.jobs import give_back, job_of
from server.kept.models import JobRow, SegmentRow
from server.kept.types import Segment

_SEGMENTS = SegmentRow.__table__


class Segments:
    """Raises NotKept for an unknown job or segment, everywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lay(self, job_id: str, spans: Sequence[Span], work_keys: Sequence[str] = ()) -> tuple[Segment, ...]:
        """The job's segments from the first on, made where they are not yet: more may be laid later, as the
        film is cut, and what is laid again stays as it is. `work_keys`, one a span, name what each will be
        found under: from here on nobody throws it away. Raises Refused where others are laid already."""
        rows = [
            {
                "job_id": job_id, "index": span.index, "first_frame": span.first_frame, "frames": span.frames,
                "start": span.start, "end": span.end, "scene": span.scene, "state": "PENDING",
                "work_key": work_keys[place] if work_keys else None, "bytes": 0, "worker": None,
                "heartbeat_at": None, "wanted_at": None,
            }
            for place, span in enumerate(spans)
        ]  # fmt: skip

        def work(connection: Connection) -> tuple[Segment, ...]:
            job_of(connection, job_id, lock=True)
            laid = _all(connection, job_id)
            both = min(len(laid), len(spans))
            if [_span(each) for each in laid[:both]] != list(spans[:both]):
                raise Refused(f"job {job_id} was cut otherwise before: make a new job")
            if rows[both:]:
                insert_new(connection, _SEGMENTS, rows[both:])
                frames = sum(span.frames for span in spans)
                connection.execute(sa.update(JobRow).where(JobRow.id == job_id).values(frames=frames))
                laid = _all(connection, job_id)
            return laid

        return self._database.write(work)

    def list(self, job_id: str) -> tuple[Segment, ...]:
        """All of them in order; none where the job is not laid yet."""

        def work(connection: Connection) -> tuple[Segment, ...]:
            job_of(connection, job_id)
            return _all(connection, job_id)

        return self._database.read(work)

    def get(self, job_id: str, index: int) -> Segment:
        return self._database.read(lambda connection: _segment_of(connection, job_id, index))

    def want(self, job_id: str, index: int) -> Segment:
        """A viewer waits for it: it comes before those nobody asked for, the newest request first."""

        def work(connection: Connection) -> Segment:
            change = sa.update(SegmentRow).where(_is(job_id, index), SegmentRow.state != "DONE")
            connection.execute(change.values(wanted_at=now_of(connection)))
            return _segment_of(connection, job_id, index)

        return self._database.write(work)

    def claim(self, worker: str, lease_s: float, job_id: str | None = None) -> Segment | None:
        """The next segment of a RUNNING job (of `job_id` alone, if given), now this worker's, or None: wanted
        ones, then in order of jobs and films; with them, those whose worker was silent for `lease_s`. No two
        callers get the same."""

        def work(connection: Connection) -> Segment | None:
            now = now_of(connection)
            silent = sa.and_(SegmentRow.state == "RUNNING", SegmentRow.heartbeat_at < now - lease_s)
            query = (
                sa.select(SegmentRow.job_id, SegmentRow.index)
                .join(JobRow, JobRow.id == SegmentRow.job_id)
                .where(JobRow.state == "RUNNING", sa.or_(SegmentRow.state == "PENDING", silent))
                .order_by(SegmentRow.wanted_at.desc().nulls_last())
                .order_by(JobRow.created_at, JobRow.id, SegmentRow.index)
                .limit(1)
                .with_for_update(skip_locked=True, of=SegmentRow)
            )
            if job_id is not None:
                query = query.where(SegmentRow.job_id == job_id)
            found = connection.execute(query).one_or_none()
            if found is None:
                return None
            taken = {"state": "RUNNING", "worker": worker, "heartbeat_at": now}
            connection.execute(sa.update(SegmentRow).where(_is(*found)).values(**taken))
            return _segment_of(connection, *found)

        return self._database.write(work)

    def heartbeat(self, segment: Segment) -> bool:
        """Still at it. False: give it up, it is another's or done, or the job runs no more."""

        def work(connection: Connection) -> bool:
            running = sa.exists().where(JobRow.id == segment.job_id, JobRow.state == "RUNNING")
            change = sa.update(SegmentRow).where(_held(segment), running)
            return connection.execute(change.values(heartbeat_at=now_of(connection))).rowcount == 1

        return self._database.write(work)

    def finish(self, segment: Segment, work_key: str, size: int) -> Segment:
        """Its bytes lie under `work_blob(work_key)`: DONE, and counted in the job's `frames_done`."""

        def work(connection: Connection) -> Segment:
            job_of(connection, segment.job_id, lock=True)
            undone = sa.update(SegmentRow).where(
                _is(segment.job_id, segment.index), SegmentRow.state != "DONE"
            )
            done = {"state": "DONE", "work_key": work_key, "bytes": size, "worker": None}
            connection.execute(undone.values(**done, heartbeat_at=None, wanted_at=None))
            count_frames(connection, segment.job_id)
            return _segment_of(connection, segment.job_id, segment.index)

        return self._database.write(work)

    def release(self, segment: Segment) -> bool:
        """Give it back unrendered; False where it was not the worker's any more."""
        return self._database.write(lambda connection: give_back(connection, _held(segment))) == 1

    def release_worker(self, worker: str) -> int:
        """Give back all that a worker held, for one that is known to be gone; how many."""
        return self._database.write(lambda connection: give_back(connection, SegmentRow.worker == worker))

    def lost(self, job_id: str, index: int) -> Segment:
        """DONE, but its bytes are gone: PENDING again."""

        def work(connection: Connection) -> Segment:
            job_of(connection, job_id, lock=True)
            change = sa.update(SegmentRow).where(_is(job_id, index), SegmentRow.state == "DONE")
            connection.execute(change.values(state="PENDING", bytes=0))
            count_frames(connection, job_id)
            return _segment_of(connection, job_id, index)

        return self._database.write(work)


def count_frames(connection: Connection, job_id: str) -> None:
    """Set the job's `frames_done` to what its segments say."""
    done = sa.select(sa.func.coalesce(sa.func.sum(SegmentRow.frames), 0))
    done = done.where(SegmentRow.job_id == job_id, SegmentRow.state == "DONE")
    connection.execute(
        sa.update(JobRow).where(JobRow.id == job_id).values(frames_done=done.scalar_subquery())
    )


def _is(job_id: str, index: int) -> sa.ColumnElement[bool]:
    return sa.and_(SegmentRow.job_id == job_id, SegmentRow.index == index)


def _held(segment: Segment) -> sa.ColumnElement[bool]:
    mine = sa.and_(SegmentRow.state == "RUNNING", SegmentRow.worker == segment.worker)
    return sa.and_(_is(segment.job_id, segment.index), mine)


def _all(connection: Connection, job_id: str) -> tuple[Segment, ...]:
    query = sa.select(_SEGMENTS).where(SegmentRow.job_id == job_id).order_by(SegmentRow.index)
    return tuple(Segment(**row._mapping) for row in connection.execute(query))


def _segment_of(connection: Connection, job_id: str, index: int) -> Segment:
    row = connection.execute(sa.select(_SEGMENTS).where(_is(job_id, index))).one_or_none()
    if row is None:
        raise NotKept(f"there is no segment {index} of job {job_id[:40]!r}")
    return Segment(**row._mapping)


def _span(segment: Segment) -> Span:
    return Span(
        segment.index, segment.first_frame, segment.frames, segment.start, segment.end, bool(segment.scene)
    )
