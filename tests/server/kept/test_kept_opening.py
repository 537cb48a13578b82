"""Kept as a whole: opening where that fails, calls from a loop, sessions written down beside it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gpu.film.timeline import read_timeline, write_timeline
from server.kept import kept as module
from server.kept.errors import DatabaseUnavailable, KeptError, NotKept, Unavailable
from server.kept.kept import Kept
from server.kept.session_log import SessionLog, edits_at


def test_it_opens_in_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    kept = Kept.open(str(tmp_path / "a" / "b"))
    kept.blobs.put("work/a", b"1")
    kept.close()
    kept.close()
    again = Kept.open(str(tmp_path / "a" / "b"))
    assert again.blobs.get("work/a") == b"1"
    again.close()


@pytest.mark.parametrize(("before", "after"), [(None, 0o600), (0o644, 0o640), (0o660, 0o660)])
def test_other_users_of_the_machine_read_no_keys(tmp_path: Path, before: int | None, after: int) -> None:
    file = tmp_path / "relens.sqlite"
    if before is not None:
        file.touch()
        file.chmod(before)
    kept = Kept.open(str(tmp_path))
    beside = [each for each in tmp_path.iterdir() if each.name.startswith(file.name)]
    assert len(beside) > 1, "SQLite's own"
    assert {each.stat().st_mode & 0o777 for each in beside} == {after}
    kept.close()


@pytest.mark.parametrize(("folder", "url"), [("/proc/nowhere", ""), ("", "mysql://x/y")])
def test_where_nothing_can_be_kept_the_remedy_is_named(tmp_path: Path, folder: str, url: str) -> None:
    with pytest.raises(KeptError, match=r"data_dir|database_url"):
        Kept.open(folder or str(tmp_path), url)


def test_importing_it_loads_no_database() -> None:
    """A server that keeps nothing, and `relens --help`, must not wait for it."""
    modules = "{'sqlalchemy', 'alembic', 'obstore'} & set(sys.modules)"
    script = f"import sys, server.app, server.__main__; print({modules})"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "set()\n"


async def test_calls_do_not_hold_the_loop_up(kept: Kept) -> None:
    slow = asyncio.create_task(kept.run(time.sleep, 0.3))
    began = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - began < 0.25
    assert await kept.run(kept.videos.list) == ()
    await slow
    with pytest.raises(NotKept):
        await kept.run(kept.videos.get, "nowhere")


async def test_a_call_that_takes_too_long_is_given_up(kept: Kept) -> None:
    released = threading.Event()
    with pytest.raises(Unavailable, match=r"within 0\.05 s"):
        await kept.run(released.wait, 10, timeout_s=0.05)
    released.set()
    with pytest.raises(TimeoutError, match="its own"):
        await kept.run(_time_out)


def _time_out() -> None:
    raise TimeoutError("its own")


async def test_a_bucket_that_hangs_leaves_the_database_its_threads(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(type(kept.blobs), "get", lambda _self, _key: released.wait(20))
    hanging = [
        asyncio.create_task(kept.run(kept.blobs.get, "work/a")) for _ in range(3 * module.BLOB_THREADS)
    ]
    await asyncio.sleep(0)
    assert await kept.run(kept.videos.list, timeout_s=10) == ()
    released.set()
    await asyncio.gather(*hanging)


async def test_too_much_at_once_is_refused(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    released = threading.Event()
    running = [asyncio.create_task(kept.run(released.wait, 10)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too much"):
        await kept.run(kept.videos.list)
    released.set()
    await asyncio.gather(*running)
    assert await kept.run(kept.videos.list) == ()


async def test_a_session_is_written_down(kept: Kept) -> None:
    log = SessionLog(kept)
    log.begin("s", "nano", 640, 480)
    log.edit("s", 1, 0, "make it night")
    log.edit("s", 2, 90_000 * 7, "ink", strength=0.5, transition_ms=0, seed=3)
    log.edit("s", 2, 1, "said twice: the first counts")
    log.edit("other", 1, 0, "of a session that never began")
    log.size("s", 1280, 720)
    log.end("s", "bye")
    log.end("s", "said twice")
    await log.flush()
    session, edits = kept.sessions.get("s"), kept.sessions.edits("s")
    assert (session.model, session.width, session.height, session.reason) == ("nano", 1280, 720, "bye")
    assert session.ended_at is not None
    assert [(edit.number, edit.at_ticks, edit.prompt) for edit in edits] == [
        (1, 0, "make it night"), (2, 630_000, "ink"),
    ]  # fmt: skip
    made = read_timeline(write_timeline(edits_at(edits), "nano"))
    assert [(edit.at, edit.strength, edit.transition_ms, edit.seed) for edit in made.edits] == [
        (0.0, 1.0, 400, 0), (7.0, 0.5, 0, 3),
    ]  # fmt: skip
    with pytest.raises(NotKept):
        kept.sessions.edits("other")
    await log.close()


async def test_sessions_are_written_without_being_asked(kept: Kept) -> None:
    log = SessionLog(kept)
    log.begin("s", "nano")
    for _ in range(200):
        await asyncio.sleep(0.05)
        if kept.sessions.list():
            break
    assert [session.id for session in kept.sessions.list()] == ["s"]
    log.end("s", "bye")
    await log.close()
    assert kept.sessions.get("s").reason == "bye", "the last ones are written at the end"


async def test_what_is_said_before_the_database_is_there_is_written_once_it_is(kept: Kept) -> None:
    log = SessionLog(most=3)
    log.begin("early", "nano")
    log.edit("early", 1, 0, "snow")
    log.end("early", "bye")
    log.begin("one-too-many", "nano")
    with pytest.raises(Unavailable, match="not there yet"):
        await log.flush()
    await log.take_up(kept)
    await log.flush()
    log.begin("late", "nano")
    await log.close()
    assert {session.id: session.reason for session in kept.sessions.list()} == {"early": "bye", "late": None}
    assert [edit.prompt for edit in kept.sessions.edits("early")] == ["snow"]
    assert log.dropped == 1


async def test_what_cannot_be_written_waits_and_has_a_bound(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SessionLog(kept, most=3)
    real = kept.database.write
    monkeypatch.setattr(kept.database, "write", _away)
    log.begin("s", "nano")
    with pytest.raises(DatabaseUnavailable):
        await log.flush()
    for number in range(5):
        log.edit("s", number, number, "x")
    assert log.dropped == 3
    monkeypatch.setattr(kept.database, "write", real)
    await log.close()
    assert [edit.number for edit in kept.sessions.edits("s")] == [0, 1]


async def test_a_record_that_no_database_takes_holds_up_no_other(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    log = SessionLog(kept)
    log.begin("s", "nano")
    log.edit("s", 1, 0, "snow\0")
    log.edit("s", 2, 1 << 70, "never")
    log.edit("s", 3, 2, "ink")
    log.end("s", "bye")
    await log.flush()
    assert [(edit.number, edit.prompt) for edit in kept.sessions.edits("s")] == [(1, "snow"), (3, "ink")]
    assert kept.sessions.get("s").reason == "bye"
    assert caplog.text.count("is left out") == 1
    await kept.stop()


def _away(_work: object) -> None:
    raise DatabaseUnavailable("away")


async def test_a_server_collects_by_itself(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_COLLECT_S", 0.01)
    kept.blobs.put("work/orphan", b"x")
    os.utime(kept.blobs.open_local("work/orphan"), (0, 0))
    kept.start(30.0)
    for _ in range(200):
        await asyncio.sleep(0.05)
        if not kept.blobs.exists("work/orphan"):
            break
    assert not kept.blobs.exists("work/orphan")
    await kept.stop()
