"""A live stream to push: pictures and sound of `lip_sync`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from fractions import Fraction

import av
import numpy as np

from gpu.types import EncodedFrame
from server.peer.types import EncodedAudio
from server.push.connection import Patience
from server.push.pushers import Pushers
from server.streams.types import Target, TargetFacts, Viewer
from tests.server import lip_sync

FPS = 25
SIZE = (160, 120)
FILLER = b"\x00\x00\x00\x01\x0c"  # a NAL that means nothing (H.264 §7.4.2.7)
PRE_SKIP = 312  # libopus's, at 48 kHz
QUICK = Patience(
    opening_s=4.0, writing_s=3.0, first_s=0.2, most_s=1.0, good_s=60.0, ending_s=1.0, tick_s=0.05
)


class LiveFeed:
    """Plays as fast as the wall clock goes, to whoever views it. `start_s`: its clock at the begin;
    `filler`: bytes that make every picture larger."""

    name = "live"

    def __init__(self, start_s: float = 100.0, sound: bool = True, filler: int = 0) -> None:
        self.viewers: list[Viewer] = []
        self.keyframes_wanted = 0
        self._start_s, self._sound = start_s, sound
        self._filler = FILLER + b"\xff" * filler if filler else b""
        self._force = True
        self._video = av.CodecContext.create("libx264", "w")
        self._video.width, self._video.height = SIZE
        self._video.pix_fmt, self._video.time_base = "yuv420p", Fraction(1, 90_000)
        self._video.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "x264-params": "keyint=1000:repeat-headers=1",
        }
        self._opus = av.CodecContext.create("libopus", "w")
        self._opus.sample_rate, self._opus.layout, self._opus.format = 48_000, "stereo", "s16"
        self._opus.options = {"frame_duration": "20"}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LiveFeed:
        self._task = asyncio.get_running_loop().create_task(self._play())
        return self

    async def __aexit__(self, *what: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    # a Feed

    async def add_viewer(self, viewer: Viewer) -> None:
        self.viewers.append(viewer)
        self._force = True

    def remove_viewer(self, viewer: Viewer) -> None:
        if viewer in self.viewers:
            self.viewers.remove(viewer)

    def want_keyframe(self, viewer: Viewer) -> None:
        self.keyframes_wanted += 1
        self._force = True

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        frames = packets = 0
        while True:
            for frame in self._picture(frames):
                for viewer in list(self.viewers):
                    viewer.send_video(frame)
            frames += 1
            while self._sound and packets * FPS < frames * 50:
                for packet in self._beep(packets):
                    for viewer in list(self.viewers):
                        viewer.send_audio(packet)
                packets += 1
            await asyncio.sleep(max(0.0, began_s + frames / FPS - loop.time()))

    def _picture(self, number: int) -> list[EncodedFrame]:
        at_s = self._start_s + number / FPS
        luma = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
        luma[: SIZE[1]] = lip_sync.luma(at_s)
        picture = av.VideoFrame.from_ndarray(luma, "yuv420p")
        picture.pts, picture.time_base = round(at_s * 90_000), Fraction(1, 90_000)
        if self._force:
            picture.pict_type, self._force = av.video.frame.PictureType.I, False
        return [
            EncodedFrame(bytes(p) + self._filler, int(p.pts or 0), p.is_keyframe)
            for p in self._video.encode(picture)
        ]

    def _beep(self, number: int) -> list[EncodedAudio]:
        first = round(self._start_s * 48_000) + number * 960
        at = (first + np.arange(960)) / 48_000
        tone = np.where(at % 1.0 < lip_sync.BEEP_S, 12_000 * np.sin(2 * np.pi * 1000 * at), 0).astype(
            np.int16
        )
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), number * 960
        return [EncodedAudio(bytes(p), first - PRE_SKIP) for p in self._opus.encode(frame)]


@contextlib.asynccontextmanager
async def pushed(
    *urls: str, feed: LiveFeed | None = None, patience: Patience = QUICK
) -> AsyncIterator[tuple[Pushers, LiveFeed]]:
    """A live stream with a target for each URL."""
    async with feed or LiveFeed() as playing:
        pushers = Pushers(playing, patience)
        pushers.sync(Target(name=f"target {number}", url=url) for number, url in enumerate(urls))
        try:
            yield pushers, playing
        finally:
            await pushers.close()


Condition = Callable[[TargetFacts], bool]


async def until(pushers: Pushers, condition: Condition, limit_s: float = 30.0) -> TargetFacts:
    """The facts of the first target, once they are so."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + limit_s
    while not condition(pushers.facts()[0]):
        assert loop.time() < end_s, pushers.facts()
        await asyncio.sleep(0.02)
    return pushers.facts()[0]
