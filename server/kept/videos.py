"""The videos: what is said of uploaded films. Each method is one transaction. Knows no bytes of them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from server.kept.database import Database
from server.kept.errors import NotKept, Refused
from server.kept.models import JobRow, SegmentRow, UploadRow, VideoRow
from server.kept.types import ACTIVE, Video, VideoState

MOST_LISTED = 1000
_VIDEOS = VideoRow.__table__


class Videos:
    """States: uploading -> checking -> ready | refused. Raises NotKept for an unknown id, everywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, size: int = 0, *, video_id: str = "") -> Video:
        """A new one that is being uploaded; `size` as announced. `Uploads.create` makes both at once."""
        new = video_id or secrets.token_urlsafe(16)
        return self._database.write(lambda connection: add_video(connection, new, name, size))

    def get(self, video_id: str) -> Video:
        return self._database.read(lambda connection: video_of(connection, video_id))

    def list(
        self, limit: int = 100, before: float | None = None, states: Sequence[VideoState] = ()
    ) -> tuple[Video, ...]:
        """The newest first; `before`: only those created before, for the next page."""
        query = sa.select(VideoRow.__table__).order_by(VideoRow.created_at.desc(), VideoRow.id)
        if before is not None:
            query = query.where(VideoRow.created_at < before)
        if states:
            query = query.where(VideoRow.state.in_(states))
        query = query.limit(min(limit, MOST_LISTED))
        return self._database.read(
            lambda connection: tuple(Video(**row._mapping) for row in connection.execute(query))
        )

    def of_digest(self, digest: str) -> Video | None:
        """A ready one of the same bytes."""
        query = sa.select(_VIDEOS).where(VideoRow.digest == digest, VideoRow.state == "ready")
        query = query.order_by(VideoRow.created_at).limit(1)
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        return Video(**row._mapping) if row is not None else None

    def uploaded(self, video_id: str, *, digest: str, size: int, blob_key: str) -> Video:
        """Its bytes are all here: uploading -> checking. Its upload's row goes."""

        def work(connection: Connection) -> Video:
            values = {"digest": digest, "bytes": size, "blob_key": blob_key}
            connection.execute(sa.delete(UploadRow).where(UploadRow.video_id == video_id))
            return _move(connection, video_id, ("uploading",), "checking", values)

        return self._database.write(work)

    def ready(self, video_id: str, info: Mapping[str, Any]) -> Video:
        """It can be edited; `info` is what probing found."""
        return self._database.write(
            lambda connection: _move(connection, video_id, ("checking",), "ready", {"info": dict(info)})
        )

    def refuse(self, video_id: str, problem: str) -> Video:
        """It cannot be edited, and `problem` says why. Its blob is nobody's any more."""

        def work(connection: Connection) -> Video:
            connection.execute(sa.delete(UploadRow).where(UploadRow.video_id == video_id))
            values = {"problem": problem, "blob_key": None}
            return _move(connection, video_id, ("uploading", "checking"), "refused", values)

        return self._database.write(work)

    def touch(self, video_id: str) -> None:
        """It was used just now: `keep_days` counts from here."""
        change = sa.update(VideoRow).where(VideoRow.id == video_id).values(used_at=time.time())
        self._database.write(lambda connection: connection.execute(change))

    def delete(self, video_id: str) -> tuple[str, ...]:
        """It, its upload, and its jobs that are over; the keys of blobs that nobody names now. Raises
        Refused while a job uses it."""

        def work(connection: Connection) -> tuple[str, ...]:
            video = video_of(connection, video_id, lock=True)
            jobs = sa.select(JobRow.id).where(JobRow.video_id == video_id, JobRow.state.in_(ACTIVE))
            busy = connection.execute(jobs.limit(1)).scalar_one_or_none()
            if busy is not None:
                raise Refused(f"job {busy} edits this video: cancel it first")
            results = connection.execute(
                sa.select(JobRow.result_key).where(
                    JobRow.video_id == video_id, JobRow.result_key.is_not(None)
                )
            ).scalars()
            keys = [key for key in (video.blob_key, *results) if key]
            connection.execute(sa.delete(VideoRow).where(VideoRow.id == video_id))
            return tuple(keys)

        return self._database.write(work)

    def bytes_kept(self) -> int:
        """Of all videos, rendered spans and results; what `quota_bytes` limits."""
        return self._database.read(kept_bytes)


def add_video(connection: Connection, video_id: str, name: str, size: int) -> Video:
    from server.kept.database import insert_new

    now = time.time()
    values = {
        "id": video_id, "name": name, "digest": None, "bytes": size, "blob_key": None, "info": None,
        "state": "uploading", "problem": None, "created_at": now, "used_at": now,
    }  # fmt: skip
    insert_new(connection, _VIDEOS, values)
    return video_of(connection, video_id)


def video_of(connection: Connection, video_id: str, *, lock: bool = False) -> Video:
    query = sa.select(_VIDEOS).where(VideoRow.id == video_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotKept(f"there is no video {video_id[:40]!r}: it was deleted, or never here")
    return Video(**row._mapping)


def kept_bytes(connection: Connection) -> int:
    videos = sa.select(sa.func.sum(VideoRow.bytes)).where(VideoRow.state != "refused")
    each = sa.select(sa.func.max(SegmentRow.bytes).label("bytes")).where(SegmentRow.work_key.is_not(None))
    works = sa.select(sa.func.sum(each.group_by(SegmentRow.work_key).subquery().c.bytes))
    results = sa.select(sa.func.sum(JobRow.result_bytes))
    return sum(int(connection.execute(query).scalar() or 0) for query in (videos, works, results))


def _move(
    connection: Connection,
    video_id: str,
    before: Sequence[VideoState],
    after: VideoState,
    values: Mapping[str, Any],
) -> Video:
    video = video_of(connection, video_id, lock=True)
    if video.state != after:  # else the answer to this very change was lost
        if video.state not in before:
            raise Refused(f"the video is {video.state}, which does not become {after}")
        change = sa.update(VideoRow).where(VideoRow.id == video_id)
        connection.execute(change.values(state=after, used_at=time.time(), **values))
    return video_of(connection, video_id)
