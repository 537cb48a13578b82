"""A whole film edited over HTTP: the request, its refusals, its result. A real server, a real film."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import av
import pytest

from server.routes.jobs import disposition
from tests.server.jobs.job_film import Brake, Jobs, shown, working
from tests.server.visitor import serving, until


async def test_a_film_goes_in_and_comes_out_whole_in_time_and_with_its_sound(
    tmp_path: Path, film: Path
) -> None:
    async with working(tmp_path / "kept") as jobs:
        started = await jobs.post(await jobs.add(film))
        assert set(started) == {"job_id", "status"}
        done = await jobs.until(started["job_id"], "DONE")
        assert (done["frames"], done["framesDone"], done["done"]) == (150, 150, [[0.0, 6.0]])
        out = tmp_path / "out.mp4"
        out.write_bytes(await jobs.result(started["job_id"]))
        assert done["bytes"] == out.stat().st_size
        listed = await jobs.get("/jobs")
        assert [each["id"] for each in listed["jobs"]] == [started["job_id"]]
        assert (await jobs.get("/jobs?before=1"))["jobs"] == []
        scraped = await (await jobs.http.get(jobs.base + "/metrics")).text()
    times, lumas = shown(out)
    before, was = shown(film)
    assert times == before
    assert max(abs(a - b) for a, b in zip(lumas, was, strict=True)) < 2
    with av.open(str(out)) as made:
        assert len(made.streams.audio) == 1
    assert 'relens_jobs_ended_total{state="DONE"} 1.0' in scraped
    assert "relens_render_frames_total 1" in scraped
    assert 'relens_render_segments_total{how="rendered"} 3.0' in scraped


async def test_nano_edits_a_film_as_asked(tmp_path: Path, film: Path) -> None:
    async with working(tmp_path / "kept", model="nano", threads=1) as jobs:
        video = await jobs.add(film)
        refused = await jobs.post(video, status=422, instruction="change the colour")
        assert refused["type"] == "urn:relens:instruction"
        started = await jobs.post(video, instruction="make it night")
        await jobs.until(started["job_id"], "DONE", seconds=60)
        out = tmp_path / "out.mp4"
        out.write_bytes(await jobs.result(started["job_id"]))
    lumas, before = shown(out)[1], shown(film)[1]
    assert len(lumas) == 150
    assert max(lumas) < min(before), "it is night from the first frame on"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instruction": "", "timeline": None}, "instruction is empty"),
        ({"instruction": "x", "timeline": {"edits": []}}, "not both"),
        ({"instruction": "x", "promt": "y"}, "promt"),
        ({"instruction": "x", "strength": "strong"}, "strength"),
        ({"timeline": {"edits": [{"at": 0, "promt": ""}]}}, "promt"),
        ({"timeline": {"edits": []}, "seed": 3}, "seed"),
        ({"instruction": "x", "videoId": "also"}, "video_id and videoId"),
        ({"instruction": "x" * 2001}, "2001"),
    ],
)
async def test_a_request_that_is_wrong_is_refused_naming_what(
    nothing: Jobs, body: dict[str, Any], words: str
) -> None:
    refused = await nothing.post("any", status=400, **body)
    assert words in refused["detail"]


async def test_other_refusals(nothing: Jobs, film: Path) -> None:
    await nothing.post("nobody", status=404, instruction="x")
    video = await nothing.add(film)
    await nothing.post(video, status=422, instruction="make it night")  # passthrough understands nothing
    await nothing.post(video, status=422, timeline={"edits": [{"at": -1}]})
    await nothing.post(video, status=400, timeline={"edits": []}, model="nobody's")
    await nothing.post(video, status=400, key="two words")
    waiting = nothing.kept.videos.create("half.mp4", 10)
    refused = await nothing.post(waiting.id, status=409)
    assert "uploading" in refused["detail"]
    for path in ("", "/events", "/result", "/preview.m3u8", "/segments/0.m4s", "/init.mp4", "/sound.mp4"):
        await nothing.get(f"/jobs/none{path}", status=404)
        await nothing.get(f"/jobs/%00{path}", status=404)
    await nothing.post("\0", status=404, instruction="x")
    await nothing.get("/jobs?videoId=%00", status=404)
    await nothing.get("/jobs?before=yesterday", status=400)
    async with nothing.http.head(f"{nothing.base}/jobs/none/events") as reply:
        assert reply.status == 404
    async with nothing.http.post(nothing.base + "/edit-video", data=b"{", headers={}) as reply:
        assert reply.status == 415
    async with nothing.http.post(
        nothing.base + "/edit-video", data=b"{", headers={"Content-Type": "application/json"}
    ) as reply:
        assert reply.status == 400


@pytest.fixture
async def nothing(tmp_path: Path) -> Any:
    """A server that renders nothing: jobs stay as they are."""
    async with working(tmp_path / "kept", render_workers=0) as jobs:
        yield jobs


async def test_the_same_request_under_the_same_key_is_the_same_job(nothing: Jobs, film: Path) -> None:
    video = await nothing.add(film)
    first = await nothing.post(video, key="k1")
    assert (await nothing.post(video, key="k1"))["job_id"] == first["job_id"]
    assert (await nothing.post(video, key="k2"))["job_id"] != first["job_id"]
    answers = await asyncio.gather(*(nothing.post(video, key="k3") for _ in range(4)))
    assert len({each["job_id"] for each in answers}) == 1
    await nothing.post(video, key="k1", status=409, timeline={"edits": [{"at": 1}]})


async def test_cancelling_stops_within_a_frame_and_a_retry_goes_on_from_there(
    tmp_path: Path, film: Path, brake: Brake
) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        brake.let(60)  # the first scene has 50 frames
        await until(lambda: brake.stepped == 60)
        assert 0 < (await jobs.get(f"/jobs/{job}"))["framesDone"] <= 60
        async with jobs.http.get(f"{jobs.base}/jobs/{job}/result") as reply:
            assert reply.status == 409
        async with jobs.http.delete(f"{jobs.base}/jobs/{job}?forget=true") as reply:
            assert reply.status == 409
        async with jobs.http.delete(f"{jobs.base}/jobs/{job}") as reply:
            assert reply.status == 200
            assert (await reply.json())["status"] == "CANCELLED"
        brake.let(1)  # the step that is waiting
        await until(lambda: not jobs.runner.board.now()[0], what="the job is left")
        assert brake.stepped in (60, 61)
        assert jobs.segments("rendered") == 1
        brake.go()
        async with jobs.http.post(f"{jobs.base}/jobs/{job}/retry") as reply:
            assert reply.status == 202
        done = await jobs.until(job, "DONE")
        assert (done["attempt"], jobs.segments("rendered"), jobs.segments("reused")) == (2, 3, 0)
        async with jobs.http.post(f"{jobs.base}/jobs/{job}/retry") as reply:
            assert reply.status == 409
        async with jobs.http.delete(f"{jobs.base}/jobs/{job}?forget=true") as reply:
            assert reply.status == 204
        await jobs.get(f"/jobs/{job}", status=404)


async def test_a_result_is_given_in_the_parts_that_are_asked_for(tmp_path: Path, film: Path) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film, 'Été — 1/2 "x".mov')))["job_id"]
        await jobs.until(job, "DONE")
        whole, url = await jobs.result(job), f"{jobs.base}/jobs/{job}/result"

        async def part(**headers: str) -> tuple[int, bytes, Any]:
            async with jobs.http.get(url, headers=headers) as reply:
                return reply.status, await reply.read(), reply.headers

        status, data, said = await part(Range="bytes=10-19")
        assert (status, data, said["Content-Range"]) == (206, whole[10:20], f"bytes 10-19/{len(whole)}")
        assert (await part(Range="bytes=-5"))[:2] == (206, whole[-5:])
        assert (await part(Range=f"bytes=100-{len(whole) + 9}"))[:2] == (206, whole[100:])
        assert (await part(Range="bytes=0-"))[:2] == (206, whole)
        status, _, said = await part(Range=f"bytes={len(whole)}-")
        assert (status, said["Content-Range"]) == (416, f"bytes */{len(whole)}")
        assert (await part(Range="bytes=1-2,5-6"))[:2] == (200, whole)
        assert (await part(**{"Range": "bytes=1-2", "If-Range": '"other"'}))[:2] == (200, whole)
        _, _, said = await part()
        assert "filename*=UTF-8''%C3%89t%C3%A9%20%E2%80%94%20" in said["Content-Disposition"] or (
            "filename*=UTF-8''2%20" in said["Content-Disposition"]
        )
        status, data, _ = await part(**{"Range": "bytes=1-2", "If-Range": said["ETag"]})
        assert (status, data) == (206, whole[1:3])
        assert (await part(**{"If-None-Match": said["ETag"]}))[0] == 304
        async with jobs.http.head(url) as reply:
            assert int(reply.headers["Content-Length"]) == len(whole)
            assert await reply.read() == b""


def test_a_download_has_the_films_name() -> None:
    said = disposition("Été à la mer.mov")
    assert said.startswith('attachment; filename="_t_ _ la mer edited.mp4"; filename*=UTF-8')
    assert said.endswith("''%C3%89t%C3%A9%20%C3%A0%20la%20mer%20edited.mp4")
    assert "\n" not in disposition('x"\r\nSet-Cookie: a=b')


async def test_a_server_that_can_keep_nothing_says_so_and_goes_on_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with serving(data_dir=str(tmp_path / "file" / "below")) as served:
        for path in ("/jobs", "/jobs/x", "/jobs/x/preview.m3u8", "/jobs/x/result"):
            async with served.http.get(served.base + path) as reply:
                assert reply.status == 503
        async with served.http.get(served.base + "/readyz") as reply:
            assert reply.status == 200
