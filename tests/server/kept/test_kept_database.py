"""The database under faults: killed writers, a restart, a file that is busy or full, URLs that cannot be."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.kept.database import Database, insert_new, shown
from server.kept.errors import DatabaseUnavailable
from server.kept.jobs import Jobs
from server.kept.migrate import upgrade
from server.kept.models import VideoRow
from server.kept.segments import Segments
from server.kept.types import Video
from server.kept.videos import Videos
from tests.server.kept.postgres import Cluster
from tests.server.kept.rows import ready_video, running_job

KILLED = """
import sys, time
import sqlalchemy as sa
from server.kept.database import Database
from server.kept.models import JobRow, SegmentRow

def work(connection):
    connection.execute(sa.update(SegmentRow).values(state="DONE"))
    connection.execute(sa.update(JobRow).values(frames_done=1))
    print("in the middle", flush=True)
    time.sleep(60)

Database(sys.argv[1]).write(work)
"""


def test_a_writer_that_is_killed_in_the_middle_wrote_nothing(database: Database, database_url: str) -> None:
    job = running_job(database, segments=3)
    child = subprocess.Popen([sys.executable, "-c", KILLED, database_url], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"in the middle\n"
    finally:
        child.kill()
        child.wait(10)
        child.stdout.close()  # type: ignore[union-attr]
    assert {segment.state for segment in Segments(database).list(job.id)} == {"PENDING"}
    assert Jobs(database).get(job.id).frames_done == 0
    taken = Segments(database).claim("w", 60)  # its locks are gone too
    assert taken is not None
    assert Segments(database).finish(taken, "work", 1).state == "DONE"


def test_a_database_that_was_restarted_is_found_again(cluster: Cluster) -> None:
    database = Database(cluster.make_database("restarted"))
    upgrade(database)
    job = running_job(database, segments=20)
    segments = Segments(database)
    done: list[int] = []

    def render() -> None:
        while (segment := segments.claim("w", 60)) is not None:
            segments.finish(segment, f"work-{segment.index}", 1)
            done.append(segment.index)
            time.sleep(0.03)

    rendering = threading.Thread(target=render)
    rendering.start()
    time.sleep(0.15)
    cluster.stop()
    time.sleep(0.5)
    cluster.start()
    rendering.join(30)
    assert not rendering.is_alive()
    # One whose claim was committed but never heard of waits for its lease.
    left = [segment for segment in segments.list(job.id) if segment.state != "DONE"]
    assert len(left) <= 1
    assert sorted(done) == [segment.index for segment in segments.list(job.id) if segment.state == "DONE"]
    database.close()


def test_a_database_that_stays_away_is_said_in_time(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.kept.database")
    database = Database(cluster.make_database("away"), give_up_s=0.4)
    upgrade(database)
    cluster.stop()
    try:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="cannot be used"):
            Videos(database).list()
        assert time.monotonic() - began < 20
    finally:
        cluster.start()
    assert Videos(database).list() == ()
    database.close()
    said = [record.message for record in caplog.records]
    assert len(said) == 2, "once that it is away, however often it is tried, and once that it is back"
    assert "it is tried again" in said[0]
    assert said[1] == "the database answers again"


def test_sqlite_waits_for_another_writer(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    free = threading.Timer(0.3, other.rollback)
    free.start()
    assert ready_video(database).state == "ready"
    free.join()
    other.close()
    database.close()


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'kept.sqlite'}")

    def asked(connection: sa.Connection) -> list[object]:
        names = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert database.read(asked) == ["wal", 1, 2, 5000]
    database.close()


def test_a_full_disk_is_said_and_over_when_there_is_room(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'kept.sqlite'}")
    upgrade(database)
    pages = database.read(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar())

    def limit(most: int) -> None:
        with database.engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    limit(int(pages or 0))
    with pytest.raises(DatabaseUnavailable, match=r"full.*free some"):
        Videos(database).create("x" * 100_000)
    limit(100_000)
    assert Videos(database).list() == ()
    assert Videos(database).create("x").name == "x"
    database.close()


def test_what_a_transaction_did_not_finish_is_undone(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        connection.execute(sa.delete(VideoRow))
        raise ZeroDivisionError

    video = ready_video(database)
    with pytest.raises(ZeroDivisionError):
        database.write(work)
    assert Videos(database).get(video.id) == video


def test_rows_that_are_there_are_not_inserted_again(database: Database) -> None:
    video = ready_video(database)
    row = {each: getattr(video, each) for each in Video.__slots__} | {"name": "other"}
    database.write(lambda connection: insert_new(connection, VideoRow.__table__, row))
    assert Videos(database).get(video.id).name == video.name


@pytest.mark.parametrize(
    "url", ["mysql://a/b", "nonsense", "postgresql+nodriver://a/b", "sqlite+aiosqlite:///x", ""]
)
def test_urls_that_cannot_be_are_refused_with_what_can(url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"database_url .*sqlite:///PATH"):
        Database(url)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in shown("postgresql://me:secret@host/name")
    behind = shown("postgresql://host/name?password=secret&sslpassword=secret&sslmode=require")
    assert "secret" not in behind
    assert "sslmode=require" in behind
    with pytest.raises(DatabaseUnavailable) as refused:
        Videos(Database("postgresql://me:secret@127.0.0.1:1/name", give_up_s=0)).list()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [("postgresql://me:1@secret@host/name", "%40"), ("postgresql://me:secret/name", "port")],
)
def test_nor_what_is_left_of_one_that_was_written_wrong(url: str, remedy: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=remedy) as refused:
        Database(url)
    assert "secret" not in str(refused.value)
    assert "secret" not in shown(url)


def test_what_was_to_be_written_is_in_no_error(database: Database) -> None:
    """Keys of streams are, and a defect of ours is logged with where it comes from."""
    query, key = sa.text("INSERT INTO nowhere (settings) VALUES (:settings)"), "a-secret-key"
    with pytest.raises((DatabaseUnavailable, sa.exc.DBAPIError)) as refused:
        database.write(lambda connection: connection.execute(query, {"settings": key}))
    assert "a-secret" + "-key" not in "".join(traceback.format_exception(refused.value))


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        database = Database("sqlite:////proc/nowhere/kept.sqlite", give_up_s=0.2)
    else:
        tmp_path.chmod(0o500)
        database = Database(f"sqlite:///{tmp_path / 'kept.sqlite'}", give_up_s=0.2)
    with pytest.raises(DatabaseUnavailable, match="may be written"):
        upgrade(database)
    database.close()
