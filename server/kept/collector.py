"""Retention: what of all that is kept goes, and when. Blocks; run it in a thread. Knows no job's work.

Goes: uploads past their expiry; films that nobody used for `keep_days`, with their jobs; sessions that ended
as long ago, or of which their server has not said for as long (and a day at least) that they go on; blobs
that nobody names, and those of jobs cancelled a day ago. Never what a job that waits or runs names, and never
what was written in the last day: who wrote it may be about to name it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from server.kept.blobs import Blobs
from server.kept.database import Database
from server.kept.errors import NotKept, Refused
from server.kept.models import JobRow, SegmentRow, SessionRow, UploadRow, VideoRow
from server.kept.segments import count_frames
from server.kept.types import ACTIVE
from server.kept.uploads import Uploads
from server.kept.videos import Videos

log = logging.getLogger(__name__)

DAY_S = 86_400.0
MOST = 1000  # rows looked at by one step; the next run takes the rest


@dataclass(slots=True)
class Collected:
    """What went, or would go."""

    uploads: int = 0
    videos: int = 0
    sessions: int = 0
    blobs: int = 0
    bytes: int = 0
    lines: list[str] = field(default_factory=list)  # one a thing, for a person


class Collector:
    def __init__(self, database: Database, blobs: Blobs, uploads_dir: Path, keep_days: float) -> None:
        """`keep_days` 0: films and sessions stay for ever."""
        self._database, self._blobs, self._uploads_dir = database, blobs, uploads_dir
        self._keep_s = keep_days * DAY_S
        self._going: set[str] = set()  # videos that a dry run leaves, but counts as gone

    def collect(
        self, *, dry_run: bool = False, grace_s: float = DAY_S, stop: Callable[[], bool] = lambda: False
    ) -> Collected:
        """Once over everything, or until `stop()`. `dry_run`: only say what would go. Raises Unavailable."""
        made = Collected()
        self._going.clear()
        for step in (self._uploads, self._videos, self._sessions, self._blobs_unnamed):
            if stop():
                break
            step(made, dry_run, grace_s, stop)
        return made

    def _uploads(self, made: Collected, dry_run: bool, grace_s: float, _stop: Callable[[], bool]) -> None:
        repository = Uploads(self._database)
        for upload in repository.expired(time.time(), MOST):
            path = self._uploads_dir / upload.id
            _count(made, f"upload {upload.id}: expired", _size(path))
            made.uploads += 1
            if not dry_run:
                with contextlib.suppress(NotKept):
                    repository.delete(upload.id)
                path.unlink(missing_ok=True)
        known = set(self._database.read(lambda connection: connection.scalars(sa.select(UploadRow.id)).all()))
        for path in self._uploads_dir.iterdir() if self._uploads_dir.is_dir() else ():
            # A file that was opened for writing keeps its row; one without belongs to nobody.
            if path.name not in known and path.is_file() and time.time() - path.stat().st_mtime > grace_s:
                _count(made, f"{path.name}: of no upload", _size(path))
                made.uploads += 1
                if not dry_run:
                    path.unlink(missing_ok=True)

    def _videos(self, made: Collected, dry_run: bool, _grace_s: float, stop: Callable[[], bool]) -> None:
        if not self._keep_s:
            return
        busy = sa.exists().where(JobRow.video_id == VideoRow.id, JobRow.state.in_(ACTIVE))
        query = sa.select(VideoRow.id, VideoRow.name, VideoRow.bytes).limit(MOST)
        query = query.where(VideoRow.used_at < time.time() - self._keep_s, ~busy)
        query = query.where(VideoRow.state.in_(("ready", "refused")))
        repository = Videos(self._database)
        for video_id, name, size in self._database.read(lambda connection: connection.execute(query).all()):
            if stop():
                return
            made.lines.append(f"video {video_id} ({name}, {size} bytes): not used")
            made.videos += 1
            if dry_run:
                self._going.add(video_id)
            else:  # a job may have come since: then it stays
                with contextlib.suppress(NotKept, Refused):
                    repository.delete(video_id)

    def _sessions(self, made: Collected, dry_run: bool, _grace_s: float, _stop: Callable[[], bool]) -> None:
        if not self._keep_s:
            return
        now = time.time()
        seen = sa.func.coalesce(SessionRow.seen_at, SessionRow.started_at)
        lost = sa.and_(SessionRow.ended_at.is_(None), seen < now - max(self._keep_s, DAY_S))
        old = sa.or_(SessionRow.ended_at < now - self._keep_s, lost)
        query = sa.select(sa.func.count()).select_from(SessionRow).where(old)
        made.sessions = self._database.read(lambda connection: connection.execute(query).scalar_one())
        if made.sessions:
            made.lines.append(f"{made.sessions} sessions: as old")
        if made.sessions and not dry_run:
            self._database.write(lambda connection: connection.execute(sa.delete(SessionRow).where(old)))

    def _blobs_unnamed(
        self, made: Collected, dry_run: bool, grace_s: float, stop: Callable[[], bool]
    ) -> None:
        if not dry_run:
            self._database.write(lambda connection: _forget_cancelled(connection, grace_s))
        for key, size, put_at in self._blobs.list():
            if stop():
                return
            if time.time() - put_at < grace_s or self._named(key, grace_s):
                continue
            _count(made, f"blob {key}: nobody names it", size)
            made.blobs += 1
            if not dry_run:
                self._blobs.delete(key)
        for path in self._blobs.unfinished(grace_s):
            _count(made, f"{path.name}: left half written", _size(path))
            if not dry_run:
                path.unlink(missing_ok=True)

    def _named(self, key: str, grace_s: float) -> bool:
        """Whether somebody needs the blob, asked just before it would go (keys.py says who owns which)."""
        owner, _, rest = key.partition("/")
        alive = sa.and_(~_long_cancelled(grace_s), ~JobRow.video_id.in_(self._going))
        if owner == "videos":
            query = sa.select(VideoRow.id).where(VideoRow.id == rest.partition("/")[0])
            query = query.where(VideoRow.state != "refused", ~VideoRow.id.in_(self._going))
        elif owner == "jobs":
            query = sa.select(JobRow.id).where(JobRow.id == rest.partition("/")[0], alive)
        elif owner == "work":
            query = sa.select(SegmentRow.job_id).join(JobRow, JobRow.id == SegmentRow.job_id)
            query = query.where(SegmentRow.work_key == rest, alive)
        else:
            return True  # not ours: a bucket may be shared
        return self._database.read(lambda connection: connection.execute(query.limit(1)).first()) is not None


def _long_cancelled(grace_s: float) -> sa.ColumnElement[bool]:
    return sa.and_(JobRow.state == "CANCELLED", JobRow.finished_at < time.time() - grace_s)


def _forget_cancelled(connection: Connection, grace_s: float) -> None:
    """What jobs cancelled long ago have rendered is about to go: rendered again, should one be retried."""
    query = sa.select(JobRow.id).where(_long_cancelled(grace_s), JobRow.frames_done > 0)
    for job_id in connection.scalars(query.limit(MOST).with_for_update(skip_locked=True)).all():
        done = sa.and_(SegmentRow.job_id == job_id, SegmentRow.state == "DONE")
        connection.execute(sa.update(SegmentRow).where(done).values(state="PENDING", bytes=0))
        count_frames(connection, job_id)


def _count(made: Collected, what: str, size: int) -> None:
    made.bytes += size
    made.lines.append(f"{what}, {size} bytes")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
