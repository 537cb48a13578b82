"""Brings a database to the tables this relens knows. Servers that start at once wait for each other.

Alembic runs inside one transaction that holds the lock: SQLite's only writer, or PostgreSQL's advisory lock.
What fails leaves the tables as they were.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from server.kept import migrations
from server.kept.database import Database
from server.kept.errors import KeptError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

LOCK = 0x72656C656E73  # "relens": the number of PostgreSQL's advisory lock


def upgrade(database: Database) -> bool:
    """True when something was to do. Raises KeptError for the database of a newer relens."""
    if database.read(revision_of) == migrations.HEAD:  # spares importing Alembic
        return False
    return database.write(_upgrade)


def revision_of(connection: Connection) -> str | None:
    """None for a database without our tables."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found


def script() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    folder = Path(migrations.__file__).parent
    return ScriptDirectory(str(folder))


def check(database: Database) -> bool:
    """Whether its tables are this relens's; changes nothing. Raises as `upgrade`."""
    before = database.read(revision_of)
    if before != migrations.HEAD:
        _steps_from(before)
    return before == migrations.HEAD


def _steps_from(before: str | None) -> ScriptDirectory:
    steps = script()
    if before is not None and before not in {step.revision for step in steps.walk_revisions()}:
        raise KeptError(
            f"the database is of a newer relens (its tables are {before}, this one knows {migrations.HEAD}): "
            "run that relens, or give another database_url"
        )
    return steps


def _upgrade(connection: Connection) -> bool:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})
    before = revision_of(connection)
    if before == migrations.HEAD:  # another server was first
        return False
    steps = _steps_from(before)
    environment = EnvironmentContext(
        Config(),
        steps,
        fn=lambda revision, _context: steps._upgrade_revs("head", revision),
    )
    with environment:
        environment.configure(connection=connection)
        environment.run_migrations()
    return True
