"""Nothing is rendered twice, live streams come first, and one job's fault is not another's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gpu.errors import ModelError
from gpu.film.types import Span
from gpu.models.passthrough import PassthroughModel
from server.jobs import tender
from server.jobs.courtesy import PRESSED, Courtesy
from server.jobs.patience import Signal
from tests.server.jobs.job_film import Brake, working
from tests.server.visitor import Visitor, until


async def test_a_second_job_of_the_same_edit_computes_nothing(tmp_path: Path, film: Path) -> None:
    async with working(tmp_path / "kept") as jobs:
        video = await jobs.add(film)
        first = (await jobs.post(video))["job_id"]
        await jobs.until(first, "DONE")
        frames = jobs.segments("frames")
        second = (await jobs.post(await jobs.add(film, "another upload.mp4")))["job_id"]
        await jobs.until(second, "DONE")
        assert (jobs.segments("rendered"), jobs.segments("reused"), jobs.segments("frames")) == (3, 3, frames)
        assert await jobs.result(first) == await jobs.result(second)


@pytest.mark.slow
async def test_only_what_an_edit_changes_is_rendered_anew(tmp_path: Path, film: Path) -> None:
    async with working(tmp_path / "kept", model="nano", threads=1) as jobs:
        video = await jobs.add(film)
        night = {"at": 0, "prompt": "make it night", "transitionMs": 0}
        first = (await jobs.post(video, timeline={"edits": [night]}))["job_id"]
        await jobs.until(first, "DONE")
        later = {"at": 4.0, "prompt": "make it sepia", "transitionMs": 0}  # in the last of three scenes
        second = (await jobs.post(video, timeline={"edits": [night, later]}))["job_id"]
        await jobs.until(second, "DONE")
        assert (jobs.segments("rendered"), jobs.segments("reused")) == (4, 2)


async def test_two_workers_at_the_same_edit_do_not_compute_it_twice(
    tmp_path: Path, film: Path, brake: Brake
) -> None:
    async with working(tmp_path / "kept", render_workers=2) as jobs:
        video = await jobs.add(film)
        both = [(await jobs.post(video))["job_id"] for _ in range(2)]
        brake.let(1)
        await until(lambda: brake.stepped == 1)
        brake.go()
        for job in both:
            await jobs.until(job, "DONE")
        assert (jobs.segments("rendered"), jobs.segments("reused")) == (3, 3)
        assert await jobs.result(both[0]) == await jobs.result(both[1])


async def test_a_fault_fails_its_job_with_a_reason_and_a_retry_goes_on(
    tmp_path: Path, film: Path, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = PassthroughModel.step
    broken = [True]

    def fails(model: PassthroughModel, state: Any, chunk: Any) -> Any:
        if broken[0] and chunk[0].pts > 4 * 90_000:
            raise ModelError("the model does not like this picture: choose another")
        return step(model, state, chunk)

    monkeypatch.setattr(PassthroughModel, "step", fails)
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        other = (await jobs.post(await jobs.add(silent)))["job_id"]
        failed = await jobs.until(job, "FAILED")
        assert "does not like this picture" in failed["reason"]
        assert failed["done"] == [[0.0, 3.52]]
        await jobs.until(other, "DONE")
        rendered = jobs.segments("rendered")
        broken[0] = False
        async with jobs.http.post(f"{jobs.base}/jobs/{job}/retry") as reply:
            assert reply.status == 202
        done = await jobs.until(job, "DONE")
        assert done["reason"] == ""
        assert jobs.segments("rendered") == rendered + 1


@pytest.mark.slow
async def test_a_defect_fails_its_job_and_not_the_worker(
    tmp_path: Path, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(tmp_path / "kept") as jobs:
        with monkeypatch.context() as patched:
            patched.setattr(PassthroughModel, "step", lambda *_: 1 / 0)
            job = (await jobs.post(await jobs.add(silent)))["job_id"]
            failed = await jobs.until(job, "FAILED")
            assert "defect of relens" in failed["reason"]
        async with jobs.http.post(f"{jobs.base}/jobs/{job}/retry"):
            pass
        await jobs.until(job, "DONE")


@pytest.mark.slow
async def test_a_film_whose_bytes_are_gone_fails_its_job(tmp_path: Path, silent: Path) -> None:
    async with working(tmp_path / "kept") as jobs:
        video = await jobs.add(silent)
        jobs.kept.blobs.delete(f"videos/{video}/film")
        failed = await jobs.until((await jobs.post(video))["job_id"], "FAILED")
        assert "upload it again" in failed["reason"]


@pytest.mark.parametrize("workers", [1, 3])
async def test_rendering_rests_while_a_stream_is_served(
    tmp_path: Path, film: Path, brake: Brake, workers: int
) -> None:
    async with working(tmp_path / "kept", render_workers=workers, threads=2) as jobs:
        video = await jobs.add(film)
        visitor = await Visitor(jobs.base, jobs.http).connect()
        try:
            brake.go()
            await until(lambda: visitor.pictures > 5)
            assert jobs.served.state.workers.serving(0.5)
            job = (await jobs.post(video))["job_id"]
            await jobs.until(job, "DONE", seconds=60)
            assert jobs.runner.board.counted().rested_s > 0
            pictures = visitor.pictures
            await until(lambda: visitor.pictures > pictures + 5)
        finally:
            await visitor.leave()
        await until(lambda: not jobs.served.state.workers.serving(0.5))


class Streams:
    def __init__(self) -> None:
        self.live = self.late = False

    def serving(self, within_s: float) -> bool:
        return self.live

    def busy(self) -> bool:
        return self.late


def test_rest_is_as_long_as_the_work_before_it_longer_for_late_streams_and_none_without() -> None:
    rested: list[float] = []
    streams = Streams()
    courtesy = Courtesy(streams, Signal(threading.Event()), rested.append)
    time.sleep(0.02)
    courtesy.rest()
    assert rested == []
    streams.live = True
    time.sleep(0.03)
    courtesy.rest()
    assert rested[0] >= 0.03
    streams.late = True
    time.sleep(0.03)
    courtesy.rest()
    assert rested[1] >= (1 + PRESSED) * 0.03


def test_of_those_that_render_side_by_side_one_goes_on_while_streams_are_served() -> None:
    streams, alone, given_up = Streams(), threading.Lock(), threading.Event()
    first = Courtesy(streams, Signal(threading.Event()), alone=alone)
    second = Courtesy(streams, Signal(given_up), alone=alone)
    went_on = threading.Event()

    def rests() -> None:
        second.rest()
        went_on.set()
        second.end()

    first.rest()
    second.rest()  # nothing is live
    streams.live = True
    first.rest()
    for go_on in (first.end, lambda: setattr(streams, "live", False), given_up.set):
        went_on.clear()
        streams.live = True
        first.rest()
        other = threading.Thread(target=rests)
        other.start()
        assert not went_on.wait(0.1)
        first.rest()
        go_on()
        assert went_on.wait(5)
        other.join(5)
    first.end()
    assert not alone.locked()


def test_rest_ends_when_the_work_is_abandoned() -> None:
    streams, abandoned = Streams(), threading.Event()
    streams.live = streams.late = True
    courtesy = Courtesy(streams, Signal(abandoned))
    abandoned.set()
    time.sleep(0.2)
    began_s = time.monotonic()
    courtesy.rest()
    assert time.monotonic() - began_s < 0.2


async def test_a_server_that_stops_gives_its_segment_back_and_the_next_goes_on(
    tmp_path: Path, film: Path, brake: Brake
) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        brake.let(60)
        await until(lambda: brake.stepped == 60)
        closing = asyncio.get_running_loop().run_in_executor(None, jobs.runner.close)
        await until(lambda: jobs.runner.closing)
        brake.let(1)  # the step that is waiting
        await closing
        states = [each.state for each in jobs.kept.segments.list(job)]
        assert states == ["DONE", "PENDING", "PENDING"]
        assert (await jobs.get(f"/jobs/{job}"))["status"] == "RUNNING"
    brake.go()
    async with working(tmp_path / "kept") as jobs:
        await jobs.until(job, "DONE")
        assert jobs.segments("rendered") == 2


async def test_a_film_is_rendered_while_it_is_still_being_cut(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tender, "LAY_EVERY_S", 0.0)
    async with working(tmp_path / "kept") as jobs:
        lay, laid = jobs.kept.segments.lay, []

        def noted(job_id: str, spans: Sequence[Span], keys: Sequence[str] = ()) -> Any:
            laid.append(len(spans))
            return lay(job_id, spans, keys)

        monkeypatch.setattr(jobs.kept.segments, "lay", noted)
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        await jobs.until(job, "DONE")
    assert laid[0] == 1
    assert laid[-1] == 3


@pytest.mark.slow
async def test_segments_that_are_damaged_or_gone_are_rendered_again_before_the_film_is_put_together(
    tmp_path: Path, film: Path
) -> None:
    async with working(tmp_path / "kept") as jobs:
        video = await jobs.add(film)
        first = (await jobs.post(video))["job_id"]
        await jobs.until(first, "DONE")
        expected = await jobs.result(first)
        blobs = [f"work/{each.work_key}" for each in jobs.kept.segments.list(first)]
        jobs.kept.blobs.put(blobs[1], jobs.kept.blobs.get(blobs[1])[:-7])
        jobs.kept.blobs.put(blobs[2], jobs.kept.blobs.get(blobs[0]))
        second = (await jobs.post(video))["job_id"]
        await jobs.until(second, "DONE")
        assert await jobs.result(second) == expected
        assert (jobs.segments("rendered"), jobs.segments("reused")) == (5, 3)
