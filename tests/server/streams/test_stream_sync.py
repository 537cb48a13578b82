"""Flash and beep of one instant are one instant to who watches the edited stream, by real clients."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AbstractAsyncContextManager
from statistics import median

import pytest

from bench.streams_sync import watching
from bench.sync_clip import by_rtmp, by_whip
from server.rtmp.server import RtmpServer
from tests.server.streams.studio import Studio, studio

pytestmark = [pytest.mark.realtime, pytest.mark.slow]

SETTLING = 5  # events, until reports of both ways have come and are followed
EVENTS = 4


async def apart_ms(here: Studio, publishing: AbstractAsyncContextManager[None]) -> list[float]:
    async with publishing:
        async with asyncio.timeout(20):
            while not here.stream.facts().fps_out:  # noqa: ASYNC110  # what happens has no event
                await asyncio.sleep(0.02)
        async with watching() as viewer:
            await viewer.watch(here.whep)
            async with asyncio.timeout(40):
                while len(viewer.video.begins) < SETTLING + EVENTS:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            by_report, by_arrival = viewer.apart_ms()
    assert abs(median(by_arrival[-EVENTS:])) < 250  # what is timed on a busy machine
    return by_report[-EVENTS:]


@pytest.mark.parametrize("late_s", [0.0, 0.08])
async def test_by_whip(late_s: float) -> None:
    """`late_s`: its encoder takes longer for pictures; its reports say so."""
    async with studio() as here:
        assert max(map(abs, await apart_ms(here, by_whip(here.whip, here.key, late_s)))) <= 20


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="FFmpeg is not installed")
async def test_by_rtmp_with_aac() -> None:
    async with studio() as here:
        rtmp = RtmpServer("127.0.0.1", 0, here.served.state.streams, ("h264",))
        await rtmp.start()
        try:
            url = f"rtmp://127.0.0.1:{rtmp.port}/live/live?key={here.key}"
            assert max(map(abs, await apart_ms(here, by_rtmp(url)))) <= 20
        finally:
            await rtmp.close()
