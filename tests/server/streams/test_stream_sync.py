"""Flash and beep of one instant are one instant to who watches the edited stream, by real clients."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from pathlib import Path
from statistics import median

import av
import numpy as np
import pytest

from bench.streams_sync import watching
from bench.sync_clip import by_rtmp, by_whip
from bench.sync_viewer import pairs
from server.rtmp.server import RtmpServer
from tests.server.streams.studio import Studio, studio
from tests.server.visitor import until

pytestmark = [pytest.mark.realtime, pytest.mark.slow]

SETTLING = 5  # events, until reports of both ways have come and are followed
EVENTS = 4


async def apart_ms(here: Studio, publishing: AbstractAsyncContextManager[None]) -> list[float]:
    async with publishing:
        await until(lambda: here.stream.facts().fps_out, 30, "pictures")
        async with watching() as viewer:
            await viewer.watch(here.whep)
            await until(lambda: len(viewer.video.begins) >= SETTLING + EVENTS, 40, "flashes")
            by_report, by_arrival = viewer.apart_ms()
    assert abs(median(by_arrival[-EVENTS:])) < 250  # what is timed on a busy machine
    return by_report[-EVENTS:]


@pytest.mark.parametrize("late_s", [0.0, 0.08])
async def test_by_whip(late_s: float) -> None:
    """`late_s`: its encoder takes longer for pictures; its reports say so."""
    async with studio() as here:
        assert median(map(abs, await apart_ms(here, by_whip(here.whip, here.key, late_s)))) <= 20


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="FFmpeg is not installed")
async def test_by_rtmp_with_aac(tmp_path: Path) -> None:
    """And to FFmpeg, which plays it by RTMP, its sound made AAC again."""
    async with studio() as here:
        rtmp = RtmpServer("127.0.0.1", 0, here.served.state.streams, ("h264",))
        await rtmp.start()
        try:
            url = f"rtmp://127.0.0.1:{rtmp.port}/live/live"
            played = asyncio.create_task(play(here, url, tmp_path / "played.mkv"))
            assert median(map(abs, await apart_ms(here, by_rtmp(f"{url}?key={here.key}")))) <= 20
            found = await played
            assert len(found) >= 3
            assert median(map(abs, found)) <= 20
        finally:
            await rtmp.close()


async def play(here: Studio, url: str, path: Path) -> list[float]:
    """Five seconds of it -> ms by which each beep is later than its flash."""
    await until(lambda: here.stream.facts().fps_out, 30, "pictures")
    player = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", "-i", url, "-t", "5", "-c", "copy", str(path)
    )
    try:
        await asyncio.wait_for(player.wait(), 40)
    finally:
        if player.returncode is None:
            player.kill()
            await player.wait()
    return await asyncio.to_thread(played_apart_ms, path)


def played_apart_ms(path: Path) -> list[float]:
    flashes: list[float] = []
    beeps: list[float] = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                if frame.to_ndarray(format="gray").mean() > 125:
                    flashes.append(frame.time or 0.0)
            elif len(loud := np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1)):
                beeps.append((frame.time or 0.0) + int(loud[0]) / frame.sample_rate)
    return pairs(begins(flashes), begins(beeps))


def begins(times: list[float]) -> list[float]:
    """Those with nothing half a second before them."""
    return [at for before, at in pairwise([-1.0, *times]) if at - before > 0.5]
