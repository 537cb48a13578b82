"""A server that starts while its database is away serves, and takes everything up once that is there."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server import keeping
from server.jobs.runner import Runner
from server.kept.database import Database
from server.kept.kept import Kept
from tests.server.jobs.conftest import silent
from tests.server.jobs.job_film import Jobs, add_film
from tests.server.kept.conftest import cluster
from tests.server.kept.postgres import Cluster
from tests.server.visitor import Served, serving, until

__all__ = ["cluster", "silent"]


async def problem(served: Served, path: str, method: str = "GET", **body: Any) -> dict[str, Any]:
    """What a 503 says; it names the remedy, and when to come again."""
    async with served.http.request(method, served.base + path, **body) as reply:
        said: dict[str, Any] = await reply.json(content_type=None)
        assert reply.status == 503, (path, said)
        assert 1 <= int(reply.headers["Retry-After"]) <= 16
        assert "database cannot be used for now: its log and `relens doctor` say more" in said["detail"]
        assert "relens@" not in said["detail"], "where it is is nobody's business"
        assert said["remedy"]
        return said


async def ready(served: Served, **headers: str) -> dict[str, Any]:
    async with served.http.get(served.base + "/readyz", headers=headers) as reply:
        said: dict[str, Any] = await reply.json()
        assert reply.status == 200, "live edits are not off"
        return said


@pytest.mark.slow
async def test_everything_is_taken_up_once_the_database_is_there(
    cluster: Cluster, tmp_path: Path, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "give_up_s", 0.2)
    monkeypatch.setattr(keeping, "MOST_S", 0.1)
    url = cluster.make_database("film-work")
    before = Kept.open(str(tmp_path), url)
    video = add_film(before, silent)
    job, _ = before.jobs.create(video, "passthrough", {"version": 1, "edits": []})
    before.uploads.create("expired.mp4", 1000, 0.0)
    before.close()
    cluster.stop()
    try:
        async with serving(data_dir=str(tmp_path), database_url=url, media="cpu") as served:
            for path in ("/videos", f"/videos/{video}", "/jobs", f"/jobs/{job.id}", "/sessions/x/timeline"):
                await problem(served, path)
            await problem(served, "/files", "POST", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
            await problem(served, "/edit-video", "POST", json={"videoId": video, "instruction": "night"})
            assert "see that it runs" in (await ready(served))["waitsFor"], "who runs it is told all"
            assert "relens@" not in (await ready(served, Via="a proxy"))["waitsFor"]
            visitor = await served.visitor().connect()
            await until(lambda: visitor.pictures > 3, what="live edits go on")
            await asyncio.to_thread(cluster.start)
            await until(lambda: served.state.jobs is not None, 30)
            assert (await ready(served))["waitsFor"] == ""
            done = await Jobs(served).until(job.id, "DONE")
            assert done["frames"] == done["framesDone"] > 0
            await _swept(served)
            location = visitor.location
            await visitor.leave()
            timeline = await _timeline(served, location)
            assert timeline["model"] == "passthrough", "a session of meanwhile is written down too"
            added = await Jobs(served).add(silent, "another.mov")
            made = await Jobs(served).post(added)
            await Jobs(served).until(made["job_id"], "DONE")
            await asyncio.to_thread(cluster.stop)  # and once more, in the middle
            while not (await ready(served))["waitsFor"]:  # noqa: ASYNC110  # who looks for jobs finds it out
                await asyncio.sleep(0.05)
            assert "relens@" not in (await ready(served, Via="a proxy"))["waitsFor"]
            await asyncio.to_thread(cluster.start)
            while (await ready(served))["waitsFor"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        cluster.stop()
        cluster.start()


async def test_what_cannot_begin_begins_anew_and_nothing_of_it_stays(
    tmp_path: Path, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_S", 0.1)
    (tmp_path / "workers").write_text("in the way")
    async with serving(data_dir=str(tmp_path), media="cpu") as served:
        state = served.state
        assert (state.films, state.jobs) == (None, None)
        assert state.kept is not None, "streams and sessions are kept all the same"
        assert f"data_dir {tmp_path} cannot be written" in (await ready(served))["waitsFor"]
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert "sweep-uploads" not in names
        (tmp_path / "workers").unlink()
        await until(lambda: state.jobs is not None, 30)
        assert (await ready(served))["waitsFor"] == ""
        made = await Jobs(served).post(await Jobs(served).add(silent))
        await Jobs(served).until(made["job_id"], "DONE")
        async with served.http.get(served.base + "/metrics") as reply:
            assert 'relens_jobs_ended_total{state="DONE"} 1.0' in await reply.text()


async def test_jobs_that_cannot_be_started_begin_anew_and_are_counted_once(
    tmp_path: Path, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "FIRST_S", 0.1)
    tried: list[Runner] = []
    start = Runner.start

    def start_later(self: Runner) -> None:
        tried.append(self)
        if len(tried) == 1:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(Runner, "start", start_later)
    async with serving(data_dir=str(tmp_path), media="cpu") as served:
        state = served.state
        await until(lambda: state.jobs is not None, 30)
        assert [runner.closing for runner in tried] == [True, False]
        assert state.jobs is tried[1]
        assert (await ready(served))["waitsFor"] == ""
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert (names.count("sweep-uploads"), names.count("collect")) == (1, 1)
        made = await Jobs(served).post(await Jobs(served).add(silent))
        await Jobs(served).until(made["job_id"], "DONE")
        async with served.http.get(served.base + "/metrics") as reply:
            assert 'relens_jobs_ended_total{state="DONE"} 1.0' in await reply.text()


async def _swept(served: Served) -> None:
    """Uploads that nobody goes on with go by themselves, as with a database that was there."""
    kept = served.state.kept
    assert kept is not None
    async with asyncio.timeout(30):
        while await kept.run(kept.uploads.expired, time.time()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _timeline(served: Served, location: str) -> dict[str, Any]:
    reply: aiohttp.ClientResponse
    async with served.http.get(f"{location}/timeline") as reply:
        assert reply.status == 200, await reply.text()
        found: dict[str, Any] = await reply.json()
        return found
