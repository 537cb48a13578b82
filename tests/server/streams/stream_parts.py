"""A stream with the smallest real model, real encoded frames, and who publishes and watches, for tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast

import numpy as np

from gpu.codec import EncoderConfig, open_encoder
from gpu.types import Codec, EncodedFrame, Frame
from server.config import Config
from server.keeping import Keeping
from server.kept.kept import Kept
from server.kept.session_log import SessionLog
from server.metrics import Metrics
from server.peer.types import EncodedAudio
from server.places import Places
from server.streams.stream import Stream
from server.streams.streams import Streams
from server.streams.types import PublisherFacts, PublisherKind, StreamSettings, ViewerKind
from server.workers import Workers

FPS = 30
TICKS = 90_000 // FPS
KEY = "key-of-the-tests"
SETTINGS = StreamSettings(key=KEY)


@cache
def clip(
    codec: Codec = "h264", frames: int = 90, size: tuple[int, int] = (96, 64)
) -> tuple[EncodedFrame, ...]:
    """A moving picture with a keyframe a second, from pts 0."""
    encoder = open_encoder(EncoderConfig(codec=codec, bitrate_bps=400_000))
    width, height = size
    ramp = np.tile(np.linspace(30, 220, width).astype(np.uint8), (height, 1))
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    made: list[EncodedFrame] = []
    for number in range(frames):
        picture = Frame(np.ascontiguousarray(np.roll(ramp, 3 * number, 1)), chroma, chroma, number * TICKS)
        made += encoder.encode(picture, number % FPS == 0)
    encoder.close()
    return tuple(made)


class Caster:
    """A publisher that sends `clip` at its own pace; its pts count from `origin`."""

    def __init__(
        self,
        stream: Stream,
        origin: int = 0,
        codec: Codec = "h264",
        kind: PublisherKind = "rtmp",
        **clip_is: Any,
    ) -> None:
        self.stream, self.kind, self.codec = stream, kind, codec
        self.origin = origin
        self.sent = 0
        self.asked = 0
        self.ends: list[tuple[str, str]] = []
        self._frames = clip(codec, **clip_is)
        self._task: asyncio.Task[None] | None = None

    def request_keyframe(self) -> None:
        self.asked += 1

    def end(self, code: str, message: str) -> None:
        self.ends.append((code, message))
        self.stop()

    def facts(self) -> PublisherFacts:
        return PublisherFacts(
            kind=self.kind, codec=self.codec, audio="", software="tests", address="192.0.2.7", age_s=0.0,
            fps=0.0, bitrate_bps=0,
        )  # fmt: skip

    def frame(self) -> EncodedFrame:
        """The next one."""
        turn, at = divmod(self.sent, len(self._frames))
        self.sent += 1
        frame = self._frames[at]
        return replace(frame, pts=self.origin + frame.pts + turn * len(self._frames) * TICKS)

    def send(self, frames: int = 1) -> None:
        for _ in range(frames):
            self.stream.on_video(self, self.frame())

    async def publish(self, takeover: bool = False) -> Caster:
        """From now on it sends by itself."""
        await self.stream.publish(self, self.codec, takeover=takeover)
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        began = asyncio.get_running_loop().time()
        for number in itertools.count(1):
            self.send()
            await asyncio.sleep(max(0.0, began + number / FPS - asyncio.get_running_loop().time()))


@dataclass(eq=False)
class Watcher:
    """A viewer that keeps what it is sent."""

    kind: ViewerKind = "whep"
    frames: list[EncodedFrame] = field(default_factory=list)
    sounds: list[EncodedAudio] = field(default_factory=list)
    ends: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False

    def send_video(self, frame: EncodedFrame) -> None:
        if self.broken:
            raise ValueError("a viewer's defect")
        self.frames.append(frame)

    def send_audio(self, packet: EncodedAudio) -> None:
        self.sounds.append(packet)

    def end(self, code: str, message: str) -> None:
        self.ends.append((code, message))


@dataclass
class Server:
    """Streams without HTTP."""

    streams: Streams
    places: Places
    metrics: Metrics
    workers: Workers
    config: Config
    session_log: SessionLog

    async def stream(self, name: str = "live", **settings: Any) -> Stream:
        made, _ = await self.streams.put(name, StreamSettings(key=KEY, **settings))
        return made


@asynccontextmanager
async def server(
    kept: Kept | None = None,
    start: bool = False,
    loaded: Workers | None = None,
    open_kept: Callable[[], Kept] | None = None,
    **settings: Any,
) -> AsyncIterator[Server]:
    """`kept`: whoever gives it closes it. `loaded`: workers whose model is loaded, and stays so. `open_kept`:
    what it gives is closed; tried again where that was away."""
    config = Config(**{"model": "passthrough", "media": "cpu", "linger_s": 0.3, **settings})
    executor = ThreadPoolExecutor(4)
    metrics = Metrics()
    workers = loaded or Workers(config.model, 1, executor)
    places = Places(config.max_sessions, metrics.session_refused)
    session_log = SessionLog()
    streams = Streams(config, workers, metrics, executor, places, session_log)
    keeping = Keeping(open_kept or (lambda: cast(Kept, kept)), executor, session_log.take_up, streams.take_up)
    if loaded is None:
        await workers.start()
    if kept is not None or open_kept is not None:
        await keeping.start()
    if start:
        await streams.start()
    try:
        yield Server(streams, places, metrics, workers, config, session_log)
    finally:
        await keeping.stop()
        await streams.close()
        await session_log.close()
        if open_kept is not None:
            await keeping.close()
        if loaded is None:
            await workers.close()
        executor.shutdown(wait=True)


async def until(condition: Callable[[], object], seconds: float = 30.0, what: str = "") -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what happens has no event
            await asyncio.sleep(0.01)
