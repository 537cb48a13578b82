"""How far a job is, as server-sent events: to the end, and not beyond."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from server.listeners import Listeners
from server.routes import job_events as routes
from tests.server.jobs.job_film import Brake, Jobs, working
from tests.server.visitor import until

pytestmark = pytest.mark.realtime  # events as they happen


class Listener:
    """Reads a stream of events as HTML's EventSource does."""

    def __init__(self, jobs: Jobs, job: str) -> None:
        self._jobs, self._job = jobs, job
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.comments = 0
        self.headers: Any = None

    async def listen(self) -> None:
        """Until the server ends it."""
        url = f"{self._jobs.base}/jobs/{self._job}/events"
        async with self._jobs.http.get(url, timeout=aiohttp.ClientTimeout(40)) as reply:
            assert reply.status == 200
            self.headers = reply.headers
            kind = ""
            async for line in reply.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                self.comments += line.startswith(b":")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.events.append((kind, msgspec.json.decode(value)))


async def test_progress_is_told_until_the_end(
    tmp_path: Path, film: Path, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "EVENT_S", 0.05)
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        listener = Listener(jobs, job)
        listening = asyncio.ensure_future(listener.listen())
        brake.let(60)
        await until(lambda: any(e["framesDone"] >= 55 for _, e in listener.events))
        await until(lambda: listener.events[-1][1]["done"] == [[0.0, 2.0]])
        last = listener.events[-1][1]
        assert (last["status"], last["stage"], last["frames"]) == ("RUNNING", "rendering", 150)
        assert last["fps"] > 0
        assert last["etaS"] is not None
        brake.go()
        await asyncio.wait_for(listening, 20)
    assert [kind for kind, _ in listener.events].count("end") == 1
    assert listener.events[-1][0] == "end"
    assert listener.events[-1][1]["status"] == "DONE"
    done = [event["framesDone"] for _, event in listener.events]
    assert done == sorted(done)
    assert listener.headers["Content-Type"].startswith("text/event-stream")
    assert listener.headers["X-Content-Type-Options"] == "nosniff"


async def test_one_who_listens_to_what_is_over_hears_just_that(tmp_path: Path, film: Path) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        await jobs.until(job, "DONE")
        listener = Listener(jobs, job)
        await asyncio.wait_for(listener.listen(), 5)
        assert [kind for kind, _ in listener.events] == ["end"]
        assert len(jobs.runner.listeners) == 0


async def test_where_nothing_changes_a_comment_keeps_the_line_open_and_listeners_are_counted(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "EVENT_S", 0.05)
    monkeypatch.setattr(routes, "COMMENT_S", 0.2)
    async with working(tmp_path / "kept", render_workers=0, operator_key="the-operators") as jobs:
        jobs.runner.listeners = Listeners(2, kept_free=1, fewest_each=1)
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        listener = Listener(jobs, job)
        listening = asyncio.ensure_future(listener.listen())
        await until(lambda: listener.comments > 2)
        url = f"{jobs.base}/jobs/{job}/events"
        async with jobs.http.get(url) as reply:
            assert reply.status == 503
            assert int(reply.headers["Retry-After"]) > 0
            assert "from 127.0.0.1" in await reply.text()
        async with jobs.http.get(url, headers={"X-Forwarded-For": "203.0.113.9"}) as reply:
            assert reply.status == 200, "one address does not shut out another"
        async with jobs.http.get(url, headers={"Authorization": "Bearer the-operators"}) as reply:
            assert reply.status == 200, "nor does it the operator"
        await until(lambda: len(jobs.runner.listeners) == 1)
        listening.cancel()
        await until(lambda: len(jobs.runner.listeners) == 0, what="who hung up is not counted")
        listener = Listener(jobs, job)
        listening = asyncio.ensure_future(listener.listen())
        await until(lambda: listener.events)
        jobs.served.state.places.draining = True  # as SIGTERM does
        await asyncio.wait_for(listening, 5)
