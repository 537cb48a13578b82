"""A real S3 server goes away in mid-render and comes back: connections refused for a while, or it is deaf.

Nothing is lost, nothing half-written is served, and what was computed is not computed again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from server.jobs import patience
from server.kept import blobs
from tests.server.jobs.job_film import Brake, Jobs, shown, working
from tests.server.kept.s3_process import S3Process
from tests.server.visitor import until

pytestmark = pytest.mark.realtime  # an outage lasts as long as it lasts

AWAY_S = float(os.environ.get("S3_AWAY_S", "2"))  # 30 was tried, too


class Door:
    """The way to a server: while it is shut, connections are refused and those there were are cut."""

    def __init__(self, port: int) -> None:
        self._inside, self.port = port, 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self._inside)
        both = {writer, outer}
        self._writers |= both
        ways = [asyncio.create_task(_copy(reader, outer)), asyncio.create_task(_copy(inner, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= both
            for each in both:
                each.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Process]:
    with S3Process("films", tmp_path_factory.mktemp("s3")) as running:
        yield running


@contextlib.asynccontextmanager
async def rendering(
    bucket: S3Process, folder: Path, film: Path, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Jobs, Door, str]]:
    """A job that is held after its first segment; its films and segments lie in the bucket."""
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(patience, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setitem(blobs.Blobs.__init__.__kwdefaults__, "tries_s", 1.0)
    bucket.set_environment(monkeypatch)
    door = Door(bucket.port)
    await door.open()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{door.port}")
    try:
        async with working(folder, storage_url=f"s3://films/{folder.name}") as jobs:
            job = (await jobs.post(await jobs.add(film)))["job_id"]
            brake.let(60)  # the first scene, and some of the second
            await until(lambda: brake.stepped == 60)
            await until(lambda: jobs.segments("rendered") == 1)
            yield jobs, door, job
    finally:
        await door.shut()


async def _ends_whole(jobs: Jobs, job: str, film: Path, folder: Path) -> None:
    done = await jobs.until(job, "DONE")
    assert done["reason"] == ""
    assert (jobs.segments("rendered"), jobs.segments("frames")) == (3, 150)  # each once
    async with jobs.http.get(f"{jobs.base}/jobs/{job}/result") as reply:
        assert reply.status == 200
        (folder / "result.mp4").write_bytes(await reply.read())
    times, _ = shown(folder / "result.mp4")
    assert times == shown(film)[0]


async def test_a_storage_that_refuses_for_a_while_is_waited_for(
    bucket: S3Process, tmp_path: Path, film: Path, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rendering(bucket, tmp_path, film, brake, monkeypatch) as (jobs, door, job):
        await door.shut()
        brake.go()
        async with asyncio.timeout(60):
            while not (await jobs.get(f"/jobs/{job}"))["reason"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        found = await jobs.get(f"/jobs/{job}")
        assert found["status"] == "RUNNING"
        assert found["done"] == [[0.0, 2.0]]
        async with jobs.http.get(f"{jobs.base}/jobs/{job}/result") as reply:
            assert reply.status in (404, 409)  # nothing half-written
        await asyncio.sleep(AWAY_S)
        await door.open()
        await _ends_whole(jobs, job, film, tmp_path)


async def test_a_storage_that_is_deaf_for_a_while_is_waited_for(
    bucket: S3Process, tmp_path: Path, film: Path, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rendering(bucket, tmp_path, film, brake, monkeypatch) as (jobs, _, job):
        bucket.signal(signal.SIGSTOP)
        try:
            brake.go()
            await asyncio.sleep(5)
            assert (await jobs.get(f"/jobs/{job}"))["status"] == "RUNNING"
            assert jobs.segments("rendered") == 1
        finally:
            bucket.signal(signal.SIGCONT)
        await _ends_whole(jobs, job, film, tmp_path)
