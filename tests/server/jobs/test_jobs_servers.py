"""Jobs on PostgreSQL and S3: a database that restarts, a worker that is gone, two servers at one job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.jobs import patience, renderer, runner
from server.kept.kept import Kept
from tests.server.jobs.job_film import Brake, add_film, working
from tests.server.kept.postgres import Cluster, found
from tests.server.kept.s3_process import S3Process
from tests.server.visitor import until

pytestmark = pytest.mark.realtime  # servers that wait for each other


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if found() is None:
        pytest.skip("PostgreSQL's initdb and postgres are not here: apt-get install postgresql")
    with Cluster() as running:
        yield running


@pytest.mark.slow
async def test_a_worker_that_is_gone_loses_its_segment(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer, "LEASE_S", 0.5)
    kept = Kept.open(str(tmp_path / "kept"))
    job = kept.jobs.create(add_film(kept, film), "passthrough", {"edits": []})[0].id
    async with working(tmp_path / "kept") as jobs:
        await jobs.until(job, "DONE")
    again = kept.jobs.create(kept.jobs.get(job).video_id, "passthrough", {"edits": []})[0].id
    kept.jobs.start(again)
    spans = [renderer.span_of(each) for each in kept.segments.list(job)]
    kept.segments.lay(again, spans)
    assert kept.segments.claim("somebody/else", 30) is not None
    kept.close()
    async with working(tmp_path / "kept") as jobs:
        await jobs.until(again, "DONE")
        assert jobs.segments("reused") == 3


@pytest.mark.slow
async def test_a_postgresql_that_restarts_in_mid_render_is_waited_for(
    tmp_path: Path, film: Path, brake: Brake, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.1)
    url = cluster.make_database("restarts")
    async with working(tmp_path / "kept", database_url=url) as jobs:
        monkeypatch.setattr(jobs.kept.database, "_give_up_s", 0.5)
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        brake.let(30)
        await until(lambda: brake.stepped == 30)
        await asyncio.to_thread(cluster.stop)
        brake.go()
        await until(lambda: "cannot be used" in jobs.runner.board.progress(job).waiting)
        await jobs.get(f"/jobs/{job}", status=503)
        await asyncio.to_thread(cluster.start)
        await jobs.until(job, "DONE")
        assert jobs.segments("rendered") == 3


@pytest.mark.slow
async def test_two_servers_share_a_job_and_render_nothing_twice(
    tmp_path: Path, film: Path, brake: Brake, cluster: Cluster
) -> None:
    where = {"database_url": cluster.make_database("shared"), "storage_url": str(tmp_path / "blobs")}
    async with working(tmp_path / "a", **where) as a, working(tmp_path / "b", **where) as b:
        job = (await a.post(await a.add(film)))["job_id"]
        brake.let(2)
        await until(lambda: len({e.worker for e in a.kept.segments.list(job) if e.worker}) == 2)
        brake.go()
        await b.until(job, "DONE")
        assert a.segments("rendered") + b.segments("rendered") == 3
        assert b.segments("rendered") > 0
        assert await a.result(job) == await b.result(job)


@pytest.mark.slow
async def test_a_job_whose_server_is_gone_is_gone_on_with_by_another(
    tmp_path: Path, film: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "ORPHAN_S", 1.0)
    where = {"database_url": cluster.make_database("orphan"), "storage_url": str(tmp_path / "blobs")}
    kept = Kept.open(str(tmp_path / "gone"), **where)
    job = kept.jobs.create(add_film(kept, film), "passthrough", {"edits": []})[0].id
    kept.jobs.start(job)
    kept.close()
    async with working(tmp_path / "kept", **where) as jobs:
        await jobs.until(job, "DONE")


@pytest.mark.slow
async def test_a_film_in_a_bucket_is_edited_like_one_in_a_folder(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        await jobs.until(job, "DONE")
        expected = await jobs.result(job)
    (tmp_path / "s3").mkdir()
    with S3Process("films", tmp_path / "s3") as server:
        server.set_environment(monkeypatch)
        async with working(tmp_path / "other", storage_url="s3://films/jobs") as jobs:
            job = (await jobs.post(await jobs.add(film)))["job_id"]
            await jobs.until(job, "DONE")
            assert await jobs.result(job) == expected
            async with jobs.http.get(
                f"{jobs.base}/jobs/{job}/result", headers={"Range": "bytes=100-199"}
            ) as reply:
                assert await reply.read() == expected[100:200]
