"""Streams that are kept: their settings, keys and targets among them, and the edit in force.

Each method is one transaction, from any thread. Knows no stream that runs.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from gpu.types import Edit
from server.streams.types import StreamSettings

if TYPE_CHECKING:  # slow to import, and only needed where something is kept
    from sqlalchemy.engine import Connection

    from server.kept.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptStream:
    """One row, read. `edit`: None where none was asked for yet."""

    name: str
    settings: StreamSettings
    edit: Edit | None


class StreamStore:
    """Raises DatabaseUnavailable, everywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[KeptStream]:
        """Those that can be read; another is named in the log, and left as it is."""
        import sqlalchemy as sa

        from server.kept.models import StreamRow

        query = sa.select(StreamRow.name, StreamRow.settings, StreamRow.edit).order_by(StreamRow.name)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [read for row in rows if (read := _read(*row)) is not None]

    def add(self, name: str, settings: StreamSettings) -> None:
        """A new one; where there is one of the name, nothing."""
        from server.kept.database import insert_new
        from server.kept.models import StreamRow

        new = {"name": name, "edit": None, **_values(settings)}
        self._database.write(lambda connection: insert_new(connection, StreamRow.__table__, new))

    def put(self, name: str, settings: StreamSettings) -> None:
        """A new one, or other settings of one there is; its edit stays."""
        import sqlalchemy as sa

        from server.kept.database import insert_new
        from server.kept.models import StreamRow

        values = _values(settings)
        change = sa.update(StreamRow).where(StreamRow.name == name).values(values)

        def work(connection: Connection) -> None:
            if connection.execute(change).rowcount == 0:
                insert_new(connection, StreamRow.__table__, {"name": name, "edit": None, **values})

        self._database.write(work)

    def put_edit(self, name: str, edit: Edit) -> None:
        """The edit in force; of a stream that is not kept, nothing."""
        import sqlalchemy as sa

        from server.kept.models import StreamRow

        change = sa.update(StreamRow).where(StreamRow.name == name)
        change = change.values(edit=msgspec.to_builtins(edit), changed_at=time.time())
        self._database.write(lambda connection: connection.execute(change))

    def delete(self, name: str) -> None:
        """Idempotent."""
        import sqlalchemy as sa

        from server.kept.models import StreamRow

        gone = sa.delete(StreamRow).where(StreamRow.name == name)
        self._database.write(lambda connection: connection.execute(gone))


def _values(settings: StreamSettings) -> dict[str, Any]:
    return {"settings": msgspec.to_builtins(settings), "changed_at": time.time()}


def _read(name: str, settings: object, edit: object) -> KeptStream | None:
    try:
        return KeptStream(
            name,
            msgspec.convert(settings, StreamSettings),
            msgspec.convert(edit, Edit) if edit is not None else None,
        )
    except msgspec.ValidationError as error:
        log.error("stream %s is kept in a form this relens cannot read, and is left out: %s", name, error)
        return None
