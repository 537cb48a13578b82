"""A running server and a stock aiortc client that visits it, for the tests of sessions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from typing import Any

import aiohttp
import av
import msgspec
import numpy as np
from aiohttp import web
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

from server.app import make_app
from server.config import Config
from server.state import STATE, ServerState

SDP = {"Content-Type": "application/sdp"}


async def until(condition: Callable[[], object], seconds: float = 15.0, what: str = "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"what was waited for did not happen: {what}")
        await asyncio.sleep(0.02)


class Camera(VideoStreamTrack):
    """320x240 pictures that move, 20 a second."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._began = time.monotonic()

    async def recv(self) -> av.VideoFrame:
        self._count += 1
        await asyncio.sleep(max(0.0, self._began + self._count / 20 - time.monotonic()))
        picture = np.full((360, 320), 128, np.uint8)
        picture[:240] = np.roll(np.tile(np.arange(320, dtype=np.uint8), (240, 1)), self._count * 3, 1)
        frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts, frame.time_base = self._count * 4500, Fraction(1, 90000)
        return frame


class Visitor:
    """Streams a camera to one session and keeps every message and the count of pictures that come back."""

    def __init__(
        self,
        base: str,
        http: aiohttp.ClientSession,
        audio: bool = False,
        camera: VideoStreamTrack | None = None,
    ) -> None:
        self.base = base
        self.http = http
        self.pc = RTCPeerConnection()
        self.channel = self.pc.createDataChannel("edits")
        self.messages: list[dict[str, Any]] = []
        self.binary: list[dict[str, Any]] = []
        self.pictures = 0
        self.sounds = 0
        self.location = ""
        self.etag = ""
        self.on_picture: Callable[[av.VideoFrame], None] = lambda _: None
        self._readers: list[asyncio.Task[None]] = []
        self.channel.on("message", self._on_message)
        self.pc.on("track", lambda track: self._readers.append(asyncio.ensure_future(self._read(track))))
        self.pc.addTrack(camera or Camera())
        if audio:
            self.pc.addTrack(AudioStreamTrack())

    def _on_message(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self.binary.append(msgspec.msgpack.decode(data))
        else:
            self.messages.append(json.loads(data))

    async def _read(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                came = await track.recv()
                if track.kind == "video":
                    self.pictures += 1
                    self.on_picture(came)
                else:
                    self.sounds += 1

    async def offer(self, query: str = "") -> aiohttp.ClientResponse:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return await self.http.post(
            f"{self.base}/sessions{query}", data=self.pc.localDescription.sdp, headers=SDP
        )

    async def connect(self, query: str = "") -> Visitor:
        reply = await self.offer(query)
        assert reply.status == 201, await reply.text()
        self.location, self.etag = self.base + reply.headers["Location"], reply.headers["ETag"]
        await self.pc.setRemoteDescription(RTCSessionDescription(await reply.text(), "answer"))
        await until(lambda: self.channel.readyState == "open", what="the channel opens")
        return self

    def say(self, **message: Any) -> None:
        self.channel.send(json.dumps(message))

    def edit(self, revision: int, prompt: str = "", **more: Any) -> None:
        self.say(type="edit", revision=revision, prompt=prompt, **more)

    def heard(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["type"] == kind and fields.items() <= m.items()]

    async def hears(self, kind: str, **fields: Any) -> dict[str, Any]:
        await until(lambda: self.heard(kind, **fields), what=f"{kind} {fields} in {self.messages[-5:]}")
        return self.heard(kind, **fields)[0]

    async def leave(self) -> None:
        await self.pc.close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


class Served:
    """One running application."""

    def __init__(self, base: str, state: ServerState, http: aiohttp.ClientSession) -> None:
        self.base, self.state, self.http = base, state, http
        self._visitors: list[Visitor] = []

    def visitor(self, audio: bool = False) -> Visitor:
        self._visitors.append(Visitor(self.base, self.http, audio))
        return self._visitors[-1]

    async def close(self) -> None:
        for visitor in self._visitors:
            await visitor.leave()


@contextlib.asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Served]:
    app = make_app(Config(**{"model": "passthrough", **settings}))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as http:
            served = Served(base, app[STATE], http)
            try:
                yield served
            finally:
                await served.close()
    finally:
        await runner.cleanup()
