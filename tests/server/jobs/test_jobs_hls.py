"""A job played while it is rendered: libav as the player, over HTTP."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import av
import pytest

from server.listeners import Listeners
from server.routes import hls
from tests.server.jobs.job_film import Brake, Jobs, shown, working
from tests.server.visitor import until


async def test_a_player_shows_the_film_from_its_playlists(tmp_path: Path, film: Path) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        await jobs.until(job, "DONE")
        url = f"{jobs.base}/jobs/{job}/preview.m3u8"
        times, lumas, sounds = await asyncio.to_thread(_play, url)
        before, was = shown(film)
        assert times == before
        assert max(abs(a - b) for a, b in zip(lumas, was, strict=True)) < 2
        assert sounds > 6 * 48000 * 0.95
        async with jobs.http.get(f"{jobs.base}/jobs/{job}/segments/0.m4s") as reply:
            assert "immutable" in reply.headers["Cache-Control"]
            assert reply.content_type == "video/iso.segment"
        await jobs.get(f"/jobs/{job}/segments/3.m4s", status=404)
        await jobs.get(f"/jobs/{job}/segments/-1.m4s", status=404)


@pytest.mark.slow
async def test_a_silent_film_has_no_sound_in_its_playlist(tmp_path: Path, silent: Path) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(silent)))["job_id"]
        await jobs.until(job, "DONE")
        async with jobs.http.get(f"{jobs.base}/jobs/{job}/preview.m3u8") as reply:
            assert "AUDIO" not in await reply.text()
        await jobs.get(f"/jobs/{job}/sound.m3u8", status=404)
        times, _, sounds = await asyncio.to_thread(_play, f"{jobs.base}/jobs/{job}/preview.m3u8")
        assert (times, sounds) == (shown(silent)[0], 0)


async def test_the_whole_film_is_in_the_list_at_once_and_what_is_wanted_comes_first(
    tmp_path: Path, film: Path, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls, "WAIT_S", 1.0)
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        brake.let(1)
        await until(lambda: brake.stepped == 1)
        text = await _text(jobs, f"/jobs/{job}/pictures.m3u8")
        assert re.findall(r"segments/\d", text) == [f"segments/{number}" for number in range(3)]
        assert sum(float(each) for each in re.findall(r"EXTINF:([\d.]+)", text)) == pytest.approx(6.0)
        assert "#EXT-X-ENDLIST" in text
        async with jobs.http.get(f"{jobs.base}/jobs/{job}/segments/2.m4s") as reply:
            assert reply.status == 503, "it waits for a while, then says when to ask again"
            assert int(reply.headers["Retry-After"]) > 0
        brake.let(49 + 10)  # the segment in work, and a bit of the next
        await until(lambda: brake.stepped == 60)
        done = await jobs.get(f"/jobs/{job}")
        assert done["done"] == [[0.0, 2.0]]
        (running,) = [each for each in jobs.kept.segments.list(job) if each.state == "RUNNING"]
        assert running.index == 2
        waiting = asyncio.ensure_future(_bytes(jobs, f"/jobs/{job}/segments/2.m4s"))
        brake.go()
        data = await waiting
        assert data[4:8] == b"moof"
        await jobs.until(job, "DONE")
        assert await _bytes(jobs, f"/jobs/{job}/segments/2.m4s") == data


@pytest.mark.slow
async def test_of_a_job_that_was_cancelled_only_what_is_rendered_is_played(
    tmp_path: Path, film: Path, brake: Brake
) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        brake.let(55)
        await until(lambda: brake.stepped == 55)
        async with jobs.http.delete(f"{jobs.base}/jobs/{job}"):
            pass
        brake.go()
        await until(lambda: not jobs.runner.board.now()[0])
        assert (await _bytes(jobs, f"/jobs/{job}/segments/0.m4s"))[4:8] == b"moof"
        refused = await jobs.get(f"/jobs/{job}/segments/2.m4s", status=409)
        assert "CANCELLED" in refused["detail"]


async def test_a_segment_whose_bytes_are_gone_is_rendered_again(
    tmp_path: Path, film: Path, brake: Brake
) -> None:
    async with working(tmp_path / "kept") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        brake.let(60)
        await until(lambda: brake.stepped == 60)
        data = await _bytes(jobs, f"/jobs/{job}/segments/0.m4s")
        (first, *_) = jobs.kept.segments.list(job)
        jobs.kept.blobs.delete(f"work/{first.work_key}")
        await jobs.get(f"/jobs/{job}/segments/0.m4s", status=503)
        brake.go()
        assert await _bytes(jobs, f"/jobs/{job}/segments/0.m4s") == data
        assert (await jobs.until(job, "DONE"))["framesDone"] == 150


async def _text(jobs: Jobs, path: str) -> str:
    """Asked again while the film is cut, as players do."""
    for _ in range(100):
        async with jobs.http.get(jobs.base + path) as reply:
            if reply.status == 200:
                return await reply.text()
            assert reply.status == 503
            assert "Retry-After" in reply.headers
        await asyncio.sleep(0.1)
    raise AssertionError("it never came")


async def _bytes(jobs: Jobs, path: str) -> bytes:
    async with jobs.http.get(jobs.base + path) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.read()


def _play(url: str) -> tuple[list[int], list[float], int]:
    """(pts of pictures in ticks, their mean luma, samples of sound)."""
    times, lumas, sounds = [], [], 0
    with av.open(url) as film:
        for frame in film.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            times.append(round(frame.pts * frame.time_base * 90_000))
            lumas.append(float(frame.to_ndarray()[: frame.height].mean()))
    with av.open(url) as film:
        if film.streams.audio:
            sounds = sum(frame.samples for frame in film.decode(audio=0))
    return times, lumas, sounds


async def test_players_of_one_address_do_not_wait_in_the_places_of_all(
    tmp_path: Path, film: Path, brake: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls, "WAIT_S", 1.0)
    async with working(tmp_path / "kept", operator_key="the-operators") as jobs:
        job = (await jobs.post(await jobs.add(film)))["job_id"]
        await until(lambda: len(jobs.kept.segments.list(job)) == 3)
        jobs.runner.waiting = Listeners(2, fewest_each=1, doing="wait for a segment")
        url = f"{jobs.base}/jobs/{job}/segments/2.m4s"

        async def ask(**headers: str) -> str:
            async with jobs.http.get(url, headers=headers) as reply:
                assert reply.status == 503
                assert int(reply.headers["Retry-After"]) > 0
                return await reply.text()

        first = asyncio.ensure_future(ask())
        await until(lambda: len(jobs.runner.waiting) == 1)
        assert "1 wait for a segment already from 127.0.0.1" in await ask()
        other = ask(**{"X-Forwarded-For": "203.0.113.9"})
        assert all("being rendered" in said for said in await asyncio.gather(first, other))
        assert len(jobs.runner.waiting) == 0
        brake.go()
