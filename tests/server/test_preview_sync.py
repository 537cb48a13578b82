"""A film's preview is heard: flash and beep of one moment are one to who watches, wherever it was sought."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from visitor import Served, serving, until

from bench.sync_viewer import Viewer
from tests.gpu.film.flashing import Sound, make_flashes
from tests.gpu.film.test_film_pcm import spoil
from tests.server.lip_sync import apart_s

pytestmark = pytest.mark.realtime  # films at their pace over WebRTC

APART_S = 0.04


class Watcher(Viewer):
    """Sees how bright and hears how loud it is, by RTP timestamps, and speaks on the data channel."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[dict[str, Any]] = []
        self.seen: list[tuple[int, float]] = []  # (pts, luma)
        self.heard: list[tuple[int, float, float]] = []  # (pts, peak of a millisecond, when it came)
        self._channel = self._pc.createDataChannel("edits")
        self._channel.on("message", lambda data: self.said.append(json.loads(data)))

    async def _see(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame: Any = await track.recv()
                luma = frame.to_ndarray(format="yuv420p")[: frame.height]
                self.seen.append((frame.pts, float(luma.mean())))

    async def _hear(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                left = np.abs(frame.to_ndarray().reshape(-1, 2)[:, 0].astype(float)) / 32_768
                for ms, peak in enumerate(left[: len(left) // 48 * 48].reshape(-1, 48).max(1)):
                    self.heard.append(((frame.pts or 0) + 48 * ms, float(peak), time.monotonic()))

    def say(self, **message: Any) -> None:
        self._channel.send(json.dumps(message))

    def errors(self) -> list[dict[str, Any]]:
        return [each for each in self.said if each["type"] == "error"]

    def apart_s(self) -> list[float]:
        """Of each beep, by the sender reports."""
        pictures = [(_ntp_s(self.video, pts), luma) for pts, luma in self.seen]
        return apart_s(pictures, [(_ntp_s(self.audio, pts), peak) for pts, peak, _ in self.heard])


def _ntp_s(side: Any, pts: int) -> float:
    """When it is, by the report nearest to it."""
    origin = side._receiver._RTCRtpReceiver__timestamp_mapper._origin
    half = 1 << 31
    behind = [(ntp_s, (origin + pts - rtp + half) % (2 * half) - half) for ntp_s, rtp in side.reports]
    ntp_s, ticks = min(behind, key=lambda each: abs(each[1]))
    return float(ntp_s + ticks / side.hz)


@asynccontextmanager
async def watching(data: Path, film: Path, at: str = "0") -> AsyncIterator[tuple[Served, Watcher]]:
    async with serving(data_dir=str(data)) as served:
        form = aiohttp.FormData()
        form.add_field("file", film.read_bytes(), filename="film.mp4")  # noqa: ASYNC240
        async with served.http.post(served.base + "/videos", data=form) as reply:
            video = f"{served.base}/videos/{(await reply.json())['id']}"
        async with asyncio.timeout(20):
            while (await (await served.http.get(video)).json())["state"] != "ready":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        watcher = Watcher()
        try:
            await watcher.watch(f"{video}/preview?at={at}")
            yield served, watcher
        finally:
            await watcher.close()


async def test_flash_and_beep_are_one_moment_behind_a_seek_and_a_pause_too(tmp_path: Path) -> None:
    film = make_flashes(tmp_path / "film.mp4", 24.0, Sound(rate=44_100))
    async with watching(tmp_path / "data", film) as (served, watcher):
        await until(lambda: len(watcher.heard) > 2500, what="sound comes")
        watcher.say(type="seek", at=11.5)
        await until(lambda: len(watcher.heard) > 4700, what="sound of the other place comes")
        watcher.say(type="pause")
        (session,) = served.state.sessions.all()
        await until(lambda: session._film is not None and not session._film.position().playing)
        await asyncio.sleep(0.3)
        count = len(watcher.heard)
        await asyncio.sleep(0.5)
        assert len(watcher.heard) == count, "it is silent while it stands"
        watcher.say(type="resume")
        await until(lambda: len(watcher.heard) > count + 1500, what="sound goes on")
        await until(lambda: min(len(watcher.video.reports), len(watcher.audio.reports)) >= 2, what="reports")
        assert session._audio.dropped == 0
    apart = watcher.apart_s()
    assert len(apart) >= 4
    assert max(map(abs, apart)) <= APART_S, apart
    assert watcher.errors() == []


async def test_sound_that_cannot_be_decoded_is_said_once_and_the_pictures_come(tmp_path: Path) -> None:
    film = spoil(make_flashes(tmp_path / "film.mp4", 6.0, Sound()), lambda at: True)
    async with watching(tmp_path / "data", film, "1") as (_, watcher):
        await until(watcher.errors)
        count = len(watcher.seen)
        watcher.say(type="seek", at=3.0)
        await until(lambda: len(watcher.seen) > count + 10, what="pictures go on")
        assert [each["code"] for each in watcher.errors()] == ["no-sound"]
        assert "cannot be decoded: the preview goes on without it" in watcher.errors()[0]["message"]
        assert watcher.heard == []
