"""Viewers of one stream by WHEP, in a process of their own: `python -m bench.whep_crowd CONFIG_JSON`.

Either they decode and read the numbers in the pictures, or they do all that a receiver does but decode, so
that a machine that also runs the server measures the server. Same lines of JSON as bench.client.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import aiortc.rtcrtpreceiver
import av
import msgspec
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from yarl import URL

from bench.client import ClientReport, say
from bench.error import BenchError
from bench.frameid import STRIP_ROWS, read_id

FIRST_S = 20.0  # until a viewer's first frame


class CrowdConfig(msgspec.Struct, frozen=True):
    whep: str = ""  # where an offer is posted
    decodes: bool = True
    max_s: float = 120.0  # the process ends itself then, whatever its parent does


class Dropping:
    """In a decoder's place."""

    def decode(self, _frame: Any) -> list[Any]:
        return []


class Watching:
    """One viewer. `frames` it has had so far."""

    def __init__(self, report: ClientReport, decodes: bool) -> None:
        self._report, self._decodes = report, decodes
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.frames = 0
        self.connected_ns = 0
        self.first_ms = 0.0  # from being connected to the first picture decoded
        self.at = ""  # its WHEP session
        self._task: asyncio.Task[None] | None = None
        self._packet: Callable[..., Awaitable[None]]
        self._pc.on("track", self._on_track)
        self._pc.on("connectionstatechange", self._on_state)
        self._leaving = False

    @property
    def state(self) -> str:
        return str(self._pc.connectionState)

    async def watch(self, http: aiohttp.ClientSession, whep: str) -> None:
        """Until the first frame. Raises BenchError."""
        receiver: Any = self._pc.addTransceiver("video", direction="recvonly").receiver
        if not self._decodes:
            self._packet = receiver._handle_rtp_packet
            receiver._handle_rtp_packet = self._count
        await self._pc.setLocalDescription(await self._pc.createOffer())
        head = {"Content-Type": "application/sdp"}
        async with http.post(whep, data=self._pc.localDescription.sdp, headers=head) as reply:
            answer = await reply.text()
            if reply.status != 201:
                raise BenchError(f"{whep} answered {reply.status}: {answer[:200]}")
            self.at = str(reply.url.join(URL(reply.headers["Location"])))
        await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        deadline = time.monotonic() + FIRST_S
        while not self.frames:
            if time.monotonic() > deadline:
                raise BenchError(f"a viewer had no frame within {FIRST_S:.0f} s: its peer is {self.state}")
            await asyncio.sleep(0.02)

    def _on_state(self) -> None:
        if self.state == "connected" and not self.connected_ns:
            self.connected_ns = time.monotonic_ns()
        if not self._leaving:
            say({"event": "state", "state": self.state})

    async def _count(self, packet: Any, arrival_time_ms: int) -> None:
        self.frames += packet.marker  # the last packet of a picture (RFC 6184 §5.1)
        await self._packet(packet, arrival_time_ms)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if self._decodes:
            self._task = asyncio.ensure_future(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                now_ns = time.monotonic_ns()
                assert isinstance(frame, av.VideoFrame)
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8, STRIP_ROWS * plane.line_size)
                number = read_id(rows.reshape(STRIP_ROWS, plane.line_size)[:, : frame.width])
                self._report.shown.append((frame.pts or 0, -1 if number is None else number, now_ns))
                if not self.frames:
                    self.first_ms = (now_ns - self.connected_ns) / 1e6
                self.frames += 1

    async def leave(self, http: aiohttp.ClientSession) -> None:
        self._leaving = True
        if self.at:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.delete(self.at):
                    pass
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pc.close(), 5)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Crowd:
    """As many viewers as asked for."""

    def __init__(self, config: CrowdConfig, http: aiohttp.ClientSession) -> None:
        self._config, self._http = config, http
        self.report = ClientReport()
        self._viewers: list[Watching] = []

    async def become(self, count: int) -> None:
        """Returns when every one has a picture. Raises BenchError."""
        while len(self._viewers) > count:
            await self._viewers.pop().leave(self._http)
        while len(self._viewers) < count:
            viewer = Watching(self.report, self._config.decodes)
            self._viewers.append(viewer)
            await viewer.watch(self._http, self._config.whep)

    def first_ms(self) -> list[float]:
        """How long each viewer was connected before its first picture."""
        return [viewer.first_ms for viewer in self._viewers]

    def frames(self) -> list[int]:
        """That each viewer has had."""
        return [viewer.frames for viewer in self._viewers]


async def main(config: CrowdConfig) -> None:
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader(limit=1 << 16)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    if not config.decodes:
        inside: Any = aiortc.rtcrtpreceiver
        inside.get_decoder = lambda _codec: Dropping()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http:
        crowd = Crowd(config, http)
        try:
            while line := await stdin.readline():  # an empty read: the parent is gone, and so are we
                command = msgspec.json.decode(line)
                if command["do"] == "become":
                    await crowd.become(command["count"])
                    say({"event": "watching", "firstMs": crowd.first_ms()})
                elif command["do"] == "count":
                    say({"event": "counted", "frames": crowd.frames()})
                elif command["do"] == "stop":
                    say({"event": "report", "report": msgspec.to_builtins(crowd.report)})
                    break
        finally:
            await crowd.become(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    chosen = msgspec.json.decode(sys.argv[1] if len(sys.argv) > 1 else "{}", type=CrowdConfig)
    signal.alarm(int(chosen.max_s) + 10)
    asyncio.run(main(chosen))
