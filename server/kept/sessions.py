"""Live sessions that were, with their edits. Each method is one transaction."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from server.kept.database import Database, insert_new
from server.kept.errors import NotKept
from server.kept.models import SessionEditRow, SessionRow
from server.kept.types import SessionEdit, SessionKept

_SESSIONS, _EDITS = SessionRow.__table__, SessionEditRow.__table__


class SessionRecords:
    """Raises NotKept for an unknown id, everywhere but in `end`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, session_id: str, model: str, started_at: float, width: int = 0, height: int = 0) -> None:
        values = {
            "id": session_id, "model": model, "started_at": started_at, "ended_at": None, "seen_at": None,
            "reason": None, "width": width, "height": height,
        }  # fmt: skip
        self._database.write(lambda connection: insert_new(connection, _SESSIONS, values))

    def add(self, edits: Sequence[SessionEdit]) -> None:
        """Edits of one or several sessions; of sessions that are not kept, and numbers that are, nothing."""
        rows = [{name: getattr(edit, name) for name in SessionEdit.__slots__} for edit in edits]

        def work(connection: Connection) -> None:
            ids = {edit.session_id for edit in edits}
            known = set(connection.execute(sa.select(SessionRow.id).where(SessionRow.id.in_(ids))).scalars())
            kept = [row for row in rows if row["session_id"] in known]
            if kept:
                insert_new(connection, _EDITS, kept)

        self._database.write(work)

    def size(self, session_id: str, width: int, height: int) -> None:
        """Of its pictures, once the first has come."""
        change = sa.update(SessionRow).where(SessionRow.id == session_id).values(width=width, height=height)
        self._database.write(lambda connection: connection.execute(change))

    def seen(self, session_ids: Sequence[str], at: float) -> None:
        """They go on."""
        change = sa.update(SessionRow).where(SessionRow.id.in_(session_ids)).values(seen_at=at)
        self._database.write(lambda connection: connection.execute(change))

    def end(self, session_id: str, reason: str, ended_at: float) -> None:
        change = sa.update(SessionRow).where(SessionRow.id == session_id, SessionRow.ended_at.is_(None))
        change = change.values(ended_at=ended_at, reason=reason)
        self._database.write(lambda connection: connection.execute(change))

    def get(self, session_id: str) -> SessionKept:
        return self._database.read(lambda connection: _session_of(connection, session_id))

    def list(self, limit: int = 100) -> tuple[SessionKept, ...]:
        """The newest first."""
        query = sa.select(_SESSIONS).order_by(SessionRow.started_at.desc(), SessionRow.id).limit(limit)
        return self._database.read(
            lambda connection: tuple(SessionKept(**row._mapping) for row in connection.execute(query))
        )

    def edits(self, session_id: str) -> tuple[SessionEdit, ...]:
        """In their order."""
        query = sa.select(_EDITS).where(SessionEditRow.session_id == session_id)
        query = query.order_by(SessionEditRow.at_ticks, SessionEditRow.number)

        def work(connection: Connection) -> tuple[SessionEdit, ...]:
            _session_of(connection, session_id)
            return tuple(SessionEdit(**row._mapping) for row in connection.execute(query))

        return self._database.read(work)


def _session_of(connection: Connection, session_id: str) -> SessionKept:
    row = connection.execute(sa.select(_SESSIONS).where(SessionRow.id == session_id)).one_or_none()
    if row is None:
        raise NotKept(f"there is no session {session_id[:40]!r}: it was removed, or never recorded")
    return SessionKept(**row._mapping)
