"""A disk that is full, a storage or a database that is away: the job waits, says why, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.jobs import patience
from server.kept import database
from server.kept.errors import StorageFull, StorageUnavailable
from tests.server.jobs.job_film import Brake, Jobs, working
from tests.server.visitor import until

pytestmark = pytest.mark.realtime  # storages that come back after a while


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(patience, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(database, "BUSY_S", 0.1)


async def _waiting(jobs: Jobs, job: str, words: str) -> dict[str, Any]:
    for _ in range(200):
        found = await jobs.get(f"/jobs/{job}")
        if words in found["reason"]:
            assert found["status"] == "RUNNING"
            return found
        assert found["status"] in ("QUEUED", "RUNNING"), found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("put", StorageFull),
        pytest.param("size", StorageUnavailable, marks=pytest.mark.slow),
        pytest.param("open_local", StorageFull, marks=pytest.mark.slow),
    ],
)
async def test_a_storage_that_is_full_or_away_is_waited_for(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: type[Exception]
) -> None:
    async with working(tmp_path / "kept") as jobs:
        video = await jobs.add(film)
        works = getattr(jobs.kept.blobs, call)
        away = [True]

        def fails(*given: Any) -> Any:
            if away[0]:
                raise error("the storage is on holiday: free some room")
            return works(*given)

        monkeypatch.setattr(jobs.kept.blobs, call, fails)
        job = (await jobs.post(video))["job_id"]
        await _waiting(jobs, job, "on holiday")
        assert jobs.runner.board.now() == (1, 1)
        away[0] = False
        done = await jobs.until(job, "DONE")
        assert done["reason"] == ""
        assert (jobs.segments("rendered"), jobs.segments("frames")) == (3, 150)


async def test_a_storage_that_goes_in_mid_render_loses_nothing_that_was_computed(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(tmp_path / "kept") as jobs:
        video = await jobs.add(film)
        put, away = jobs.kept.blobs.put, [False]

        def fails(key: str, data: Any) -> int:
            if away[0] and key.startswith("work/"):
                raise StorageUnavailable("the storage is on holiday")
            away[0] = away[0] or key.startswith("work/")  # after the first segment
            return put(key, data)

        monkeypatch.setattr(jobs.kept.blobs, "put", fails)
        job = (await jobs.post(video))["job_id"]
        found = await _waiting(jobs, job, "on holiday")
        assert found["done"] == [[0.0, 2.0]]
        monkeypatch.setattr(jobs.kept.blobs, "put", put)
        await jobs.until(job, "DONE")
        assert jobs.segments("rendered") == 3


async def test_a_job_that_waits_can_be_cancelled(
    tmp_path: Path, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(tmp_path / "kept") as jobs:
        video = await jobs.add(silent)

        def fails(*given: Any) -> int:
            raise StorageFull("the storage is full")

        monkeypatch.setattr(jobs.kept.blobs, "put", fails)
        job = (await jobs.post(video))["job_id"]
        await _waiting(jobs, job, "full")
        async with jobs.http.delete(f"{jobs.base}/jobs/{job}") as reply:
            assert reply.status == 200
        await until(lambda: jobs.runner.board.now() == (0, 0))
        assert (await jobs.get(f"/jobs/{job}"))["status"] == "CANCELLED"


async def test_a_database_that_another_holds_is_waited_for(
    tmp_path: Path, film: Path, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        brake.let(10)
        await until(lambda: brake.stepped == 10)
        monkeypatch.setattr(jobs.kept.database, "_give_up_s", 0.3)
        other = sqlite3.connect(tmp_path / "kept" / "relens.sqlite", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            brake.go()
            await _waiting(jobs, job, "locked")
            assert [each.state for each in jobs.kept.segments.list(job)] == ["RUNNING", "PENDING", "PENDING"]
        finally:
            other.close()
        await jobs.until(job, "DONE")
        assert jobs.segments("rendered") == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_disk_that_runs_full_stops_a_job_until_there_is_room(
    small_disk: Path, film: Path, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(small_disk) as jobs:
        monkeypatch.setattr(jobs.kept.database, "_give_up_s", 0.3)
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        brake.let(30)
        await until(lambda: brake.stepped == 30)
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        brake.go()
        await _waiting(jobs, job, "full")
        filler.unlink()
        await jobs.until(job, "DONE")
        assert jobs.segments("rendered") == 3
        assert len(await jobs.result(job)) > 10_000
