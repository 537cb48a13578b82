"""Streams outlive the server: their settings, keys and the edit in force, in SQLite and PostgreSQL."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gpu.types import Edit
from server.kept.database import Database
from server.streams.store import KeptStream, StreamStore
from server.streams.types import SrtIn, StreamPreset, StreamSettings, Target
from tests.server.kept.conftest import cluster, database, database_url, shared_url

__all__ = ["cluster", "database", "database_url", "shared_url"]

ALL = StreamSettings(
    key="a-long-enough-key",
    view_key="seen",
    prompt="make it night",
    strength=0.5,
    model="nano",
    bitrate_bps=3_000_000,
    presets=(StreamPreset(name="night", prompt="make it night"), StreamPreset(name="é", prompt="☃" * 2000)),
    targets=(Target(name="there", url="rtmp://127.0.0.1/app/key", enabled=False),),
    srt=SrtIn(port=9000, passphrase="ten letters"),
)
EDIT = Edit(revision=2**53 - 1, prompt="snow", strength=0.25, transition_ms=10_000, seed=2**32 - 1)


def test_what_is_put_is_read_again(database: Database) -> None:
    store = StreamStore(database)
    assert store.all() == []
    store.add("two", StreamSettings(key="another-key"))
    store.add("two", ALL)
    assert store.all() == [KeptStream("two", StreamSettings(key="another-key"), None)]
    store.put("two", StreamSettings(key="another-key"))
    store.put("live", ALL)
    store.put_edit("live", EDIT)
    assert StreamStore(database).all() == [
        KeptStream("live", ALL, EDIT),
        KeptStream("two", StreamSettings(key="another-key"), None),
    ]


def test_other_settings_leave_the_edit_alone(database: Database) -> None:
    store = StreamStore(database)
    store.put("live", ALL)
    store.put_edit("live", EDIT)
    store.put("live", StreamSettings(key="another-key"))
    store.put("live", StreamSettings(key="another-key"))
    assert store.all() == [KeptStream("live", StreamSettings(key="another-key"), EDIT)]


def test_what_is_deleted_is_gone_and_its_late_edit_with_it(database: Database) -> None:
    store = StreamStore(database)
    store.put("live", ALL)
    store.delete("live")
    store.delete("live")
    store.put_edit("live", EDIT)
    assert store.all() == []
    store.put("live", ALL)
    assert store.all() == [KeptStream("live", ALL, None)]


def test_a_row_that_cannot_be_read_costs_no_other(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    store = StreamStore(database)
    store.put("live", ALL)
    store.put("of-a-newer-one", ALL)
    change = sa.text("UPDATE streams SET settings = '{\"key\": 5}' WHERE name = 'of-a-newer-one'")
    database.write(lambda connection: connection.execute(change))
    assert [kept.name for kept in store.all()] == ["live"]
    assert "of-a-newer-one" in caplog.text
    assert database.read(lambda c: c.execute(sa.text("SELECT count(*) FROM streams")).scalar()) == 2
