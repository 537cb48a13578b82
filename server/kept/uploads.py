"""Uploads that are not whole yet: how far each is, and until when. Each method is one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from server.kept.database import Database, insert_new
from server.kept.errors import Full, NotKept, Refused, Unavailable
from server.kept.models import UploadRow, VideoRow
from server.kept.types import Upload
from server.kept.videos import add_video, kept_bytes

_UPLOADS = UploadRow.__table__
MOST = 1000  # begun at once: what was not said to be long counts for no quota, and costs nothing to begin
RESTING_S = 60.0  # without a byte; who sends says oftener how far it is


class Uploads:
    """Raises NotKept for an unknown id, everywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        length: int | None,
        expires_at: float,
        metadata: Mapping[str, str] | None = None,
        quota_bytes: int = 0,
    ) -> Upload:
        """A new one with its video. Raises Full where all that is kept and announced exceeds `quota_bytes`
        (0: no limit). Where MOST are begun, the one with the fewest bytes of those that rest goes; where none
        does, Unavailable."""
        upload_id, video_id = secrets.token_urlsafe(16), secrets.token_urlsafe(16)

        def work(connection: Connection) -> Upload:
            _check_quota(connection, length or 0, quota_bytes)
            begun = connection.execute(sa.select(sa.func.count()).select_from(_UPLOADS)).scalar_one()
            if begun >= MOST:
                _give_one_up(connection, expires_at - RESTING_S)
            add_video(connection, video_id, name, length or 0)
            values = {
                "id": upload_id, "video_id": video_id, "length": length, "offset": 0,
                "expires_at": expires_at, "metadata": dict(metadata or {}),
            }  # fmt: skip
            insert_new(connection, _UPLOADS, values)
            return _upload_of(connection, upload_id)

        return self._database.write(work)

    def get(self, upload_id: str) -> Upload:
        return self._database.read(lambda connection: _upload_of(connection, upload_id))

    def set_length(self, upload_id: str, length: int, quota_bytes: int = 0) -> Upload:
        """Say how long it will be. Raises Refused where that was said otherwise, Full as `create`."""

        def work(connection: Connection) -> Upload:
            upload = _upload_of(connection, upload_id, lock=True)
            if upload.length is None:
                _check_quota(connection, length, quota_bytes)
                connection.execute(
                    sa.update(UploadRow).where(UploadRow.id == upload_id).values(length=length)
                )
                of_it = VideoRow.id == upload.video_id
                connection.execute(sa.update(VideoRow).where(of_it).values(bytes=length))
            elif upload.length != length:
                raise Refused(f"the upload was said to have {upload.length} bytes, now {length}")
            return _upload_of(connection, upload_id)

        return self._database.write(work)

    def advance(self, upload_id: str, before: int, after: int, expires_at: float) -> Upload:
        """Bytes `before` to `after` lie in its file. Raises Refused where it is elsewhere by now."""

        def work(connection: Connection) -> Upload:
            upload = _upload_of(connection, upload_id, lock=True)
            if upload.offset not in (before, after) or after < before:
                raise Refused(f"the upload is at {upload.offset}, not {before}: ask where it is, go on there")
            if upload.length is not None and after > upload.length:
                raise Refused(f"the upload has {upload.length} bytes, not {after}")
            change = sa.update(UploadRow).where(UploadRow.id == upload_id)
            connection.execute(change.values(offset=after, expires_at=expires_at))
            return _upload_of(connection, upload_id)

        return self._database.write(work)

    def delete(self, upload_id: str) -> None:
        """It and its video, where that is not whole. Its file is the caller's."""

        self._database.write(lambda connection: _delete(connection, upload_id))

    def expired(self, now: float, limit: int = 1000) -> tuple[Upload, ...]:
        query = sa.select(_UPLOADS).where(UploadRow.expires_at < now).order_by(UploadRow.expires_at)
        return self._database.read(
            lambda connection: tuple(_upload(row) for row in connection.execute(query.limit(limit)))
        )


def _check_quota(connection: Connection, length: int, quota_bytes: int) -> None:
    kept = kept_bytes(connection)
    if quota_bytes and kept + length > quota_bytes:
        raise Full(
            f"{length} bytes do not fit: {kept} of {quota_bytes} are used; delete videos or raise quota_bytes"
        )


def _give_one_up(connection: Connection, expires_before: float) -> None:
    """Its file goes with the next `relens gc`. One that is whole waits for us, not for who sent it."""
    resting = sa.select(UploadRow.id).where(UploadRow.expires_at < expires_before)
    unfinished = sa.or_(UploadRow.length.is_(None), UploadRow.offset < UploadRow.length)
    first = resting.where(unfinished).order_by(UploadRow.offset, UploadRow.expires_at).limit(1)
    upload_id = connection.execute(first.with_for_update(skip_locked=True)).scalar()  # others take theirs
    if upload_id is None:
        raise Unavailable(f"{MOST} uploads are begun just now: try again in a minute", retry_after_s=60)
    _delete(connection, upload_id)


def _delete(connection: Connection, upload_id: str) -> None:
    upload = _upload_of(connection, upload_id, lock=True)
    connection.execute(sa.delete(UploadRow).where(UploadRow.id == upload_id))
    unfinished = sa.and_(VideoRow.id == upload.video_id, VideoRow.state == "uploading")
    connection.execute(sa.delete(VideoRow).where(unfinished))


def _upload_of(connection: Connection, upload_id: str, *, lock: bool = False) -> Upload:
    query = sa.select(_UPLOADS).where(UploadRow.id == upload_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotKept(f"there is no upload {upload_id[:40]!r}: it is whole, was given up, or expired")
    return _upload(row)


def _upload(row: Row[tuple[object, ...]]) -> Upload:
    return Upload(**row._mapping)
