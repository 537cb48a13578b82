"""The tables: as the models say, made once, by whoever comes first; a newer relens' are left alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.kept import migrations
from server.kept.database import Database
from server.kept.errors import KeptError
from server.kept.kept import Kept
from server.kept.migrate import revision_of, script, upgrade
from server.kept.migrations.versions import v0001_first, v0002_streams, v0003_seen
from server.kept.models import Base


def test_models_and_migrations_agree(database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
        inspector = sa.inspect(connection)
        checks = {
            check["name"]
            for table in Base.metadata.tables
            for check in inspector.get_check_constraints(table)
        }
    assert checks == {"ck_videos_state", "ck_jobs_state", "ck_segments_state"}  # alembic compares none


def test_the_head_that_servers_look_for_is_the_last_step() -> None:
    assert script().get_heads() == [migrations.HEAD]
    assert v0001_first.down_revision is None
    assert v0002_streams.down_revision == v0001_first.revision
    assert v0003_seen.down_revision == v0002_streams.revision


def test_the_database_of_the_first_release_is_brought_up_to_date(empty_url: str) -> None:
    database = Database(empty_url)
    upgrade(database)
    for undone in ("DROP TABLE streams", "ALTER TABLE sessions DROP COLUMN seen_at"):
        database.write(lambda connection, undone=undone: connection.execute(sa.text(undone)))
    database.write(
        lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    )
    assert upgrade(database) is True
    assert "streams" in database.read(lambda connection: sa.inspect(connection).get_table_names())
    columns = database.read(lambda connection: sa.inspect(connection).get_columns("sessions"))
    assert "seen_at" in {column["name"] for column in columns}
    assert database.read(revision_of) == migrations.HEAD
    database.close()


def test_upgrading_again_does_nothing(database: Database) -> None:
    assert upgrade(database) is False
    assert database.read(revision_of) == migrations.HEAD


def test_servers_that_start_at_once_make_the_tables_once(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(4)]
    made: list[object] = []
    start = threading.Barrier(len(databases))

    def run(database: Database) -> None:
        start.wait(10)
        try:
            made.append(upgrade(database))
        except Exception as error:  # told below
            made.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, made)) == ["False", "False", "False", "True"]
    for database in databases:
        database.close()


def test_a_newer_database_is_refused_and_left_alone(empty_url: str) -> None:
    database = Database(empty_url)
    upgrade(database)
    database.write(
        lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    )
    with pytest.raises(KeptError, match=r"newer relens.*9999.*database_url"):
        upgrade(database)
    assert database.read(revision_of) == "9999"
    database.close()


def test_a_step_that_fails_leaves_nothing_behind(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last statement fails, and the tables before it are not there either."""
    real = sa.Table.__init__

    def broken(table: sa.Table, name: str, *args: object, **kwargs: object) -> None:
        if name == "session_edits":
            raise RuntimeError("the machine is on fire")
        real(table, name, *args, **kwargs)

    database = Database(empty_url)
    monkeypatch.setattr(sa.Table, "__init__", broken)
    with pytest.raises(RuntimeError, match="on fire"):
        upgrade(database)
    monkeypatch.undo()
    assert database.read(lambda connection: sa.inspect(connection).get_table_names()) == []
    assert upgrade(database) is True
    database.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "relens.sqlite").write_bytes(b"not a database at all, but long enough to be read" * 100)
    with pytest.raises(KeptError, match=r"relens\.sqlite"):
        Kept.open(str(tmp_path))
