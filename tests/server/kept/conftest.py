"""Real databases and storages for the tests of what is kept: SQLite and PostgreSQL, a folder and S3."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.kept.blobs import Blobs
from server.kept.database import Database
from server.kept.kept import Kept
from server.kept.migrate import upgrade
from tests.server.kept.postgres import Cluster, found
from tests.server.kept.s3_process import S3Process

_numbers = itertools.count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of our own; without its programs these tests are skipped."""
    if found() is None:
        pytest.skip("PostgreSQL's initdb and postgres are not here: apt-get install postgresql")
    with Cluster() as running:
        yield running


@pytest.fixture(scope="session")
def shared_url(cluster: Cluster) -> str:
    """Of one PostgreSQL database with our tables: making one for each test takes longer than the tests."""
    url = cluster.make_database("shared")
    database = Database(url)
    upgrade(database)
    database.close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'kept.sqlite'}"
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.make_database(f"test{next(_numbers)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database with our tables, or about to have them, and nothing in them."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'kept.sqlite'}"
    url: str = request.getfixturevalue("shared_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """With our tables, all empty."""
    made = Database(database_url)
    try:
        upgrade(made)
        if not made.is_sqlite:
            empty = sa.text("TRUNCATE videos, sessions, streams CASCADE")
            made.write(lambda connection: connection.execute(empty))
        yield made
    finally:
        made.close()


@pytest.fixture
def kept(database: Database, tmp_path: Path) -> Iterator[Kept]:
    (tmp_path / "data" / "uploads").mkdir(parents=True)
    made = Kept(database, Blobs(str(tmp_path / "data" / "blobs"), tmp_path / "cache"), tmp_path / "data")
    yield made
    made.close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Process]:
    with S3Process("films", tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    if request.param == "folder":
        return Blobs(str(tmp_path / "blobs"), tmp_path / "cache")
    server: S3Process = request.getfixturevalue("s3")
    server.set_environment(monkeypatch)
    return Blobs(f"s3://films/test{next(_numbers)}", tmp_path / "cache")
