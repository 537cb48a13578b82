"""A stock aiortc client in a process of its own: `python -m bench.client CONFIG_JSON`.

Sends the clip with frame numbers drawn in, encoded by aiortc itself; notes when each frame was captured
and when it came back. Speaks lines of JSON: events out, commands in; signalling is the parent's business.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import signal
import sys
import time
from typing import Any

import av
import msgspec
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from bench.clip import Clip, load_clip
from bench.frameid import STRIP_ROWS, draw_id, read_id

_CLOCK_HZ = 90_000


class ClientConfig(msgspec.Struct, frozen=True):
    width: int = 640
    height: int = 480
    fps: float = 30.0
    clip: str = ""
    kind: str = "aiortc"  # or "chromium"
    max_s: float = 120.0  # the process ends itself then, whatever its parent does


class ClientReport(msgspec.Struct):
    """sent: [number, pts, captured_ns]; shown: [pts, number or -1, shown_ns]; messages: [t_ns, message]."""

    sent: list[tuple[int, int, int]] = []
    shown: list[tuple[int, int, int]] = []
    messages: list[tuple[int, dict[str, Any]]] = []
    typed: list[tuple[int, int]] = []  # [revision, sent_ns]


class CameraTrack(MediaStreamTrack):
    """A camera: a frame is there when its time has come; when nobody took it in time it is gone."""

    kind = "video"

    def __init__(self, clip: Clip, fps: float, report: ClientReport) -> None:
        super().__init__()
        self._clip, self._fps, self._report = clip, fps, report
        self._started_s: float | None = None
        self._next = 0

    async def recv(self) -> av.VideoFrame:
        now = time.monotonic()
        if self._started_s is None:
            self._started_s = now
        due = self._started_s + self._next / self._fps
        if now > due + 1 / self._fps:
            self._next = int((now - self._started_s) * self._fps)
            due = self._started_s + self._next / self._fps
        if due > now:
            await asyncio.sleep(due - now)
        number = self._next
        self._next += 1
        picture = self._clip.frame(number)
        draw_id(picture[: self._clip.height], number)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = round(number * _CLOCK_HZ / self._fps)
        frame.time_base = fractions.Fraction(1, _CLOCK_HZ)
        self._report.sent.append((number & 0xFFFF, frame.pts, time.monotonic_ns()))
        return frame


class BenchClient:
    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self.report = ClientReport()
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._pc.createDataChannel("edits")
        self._channel.on("message", self._on_message)
        self._pc.on("track", self._on_track)
        self._pc.on("connectionstatechange", self._on_state)
        self._reader: asyncio.Task[None] | None = None

    async def offer(self) -> str:
        clip = load_clip(self._config.clip, self._config.width, self._config.height)
        transceiver = self._pc.addTransceiver(
            CameraTrack(clip, self._config.fps, self.report), direction="sendrecv"
        )
        codecs = RTCRtpSender.getCapabilities("video").codecs
        wanted = [c for c in codecs if c.mimeType in ("video/H264", "video/rtx")]
        transceiver.setCodecPreferences(wanted)
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return self._pc.localDescription.sdp

    async def answer(self, sdp: str) -> None:
        await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    def edit(self, message: dict[str, Any]) -> None:
        if self._channel.readyState == "open":
            if message.get("type") == "edit":
                self.report.typed.append((message["revision"], time.monotonic_ns()))
            self._channel.send(json.dumps(message))

    def _on_message(self, data: str | bytes) -> None:
        if isinstance(data, str):
            message = json.loads(data)
            self.report.messages.append((time.monotonic_ns(), message))
            if message.get("type") != "stats":
                say({"event": "message", "message": message})

    def _on_state(self) -> None:
        say({"event": "state", "state": self._pc.connectionState})

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._reader = asyncio.ensure_future(self._watch(track))

    async def _watch(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            now_ns = time.monotonic_ns()
            assert isinstance(frame, av.VideoFrame)
            if not self.report.shown:
                say({"event": "first-frame"})
            plane = frame.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8, STRIP_ROWS * plane.line_size)
            number = read_id(rows.reshape(STRIP_ROWS, plane.line_size)[:, : frame.width])
            self.report.shown.append((frame.pts or 0, -1 if number is None else number, now_ns))

    async def close(self) -> None:
        await asyncio.wait_for(self._pc.close(), 5)
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)


def say(event: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


async def main(config: ClientConfig) -> None:
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    client = BenchClient(config)
    try:
        say({"event": "offer", "sdp": await client.offer()})
        while line := await stdin.readline():  # an empty read: the parent is gone, and so are we
            command = json.loads(line)
            if command["do"] == "answer":
                await client.answer(command["sdp"])
            elif command["do"] == "send":
                client.edit(command["message"])
            elif command["do"] == "stop":
                say({"event": "report", "report": msgspec.to_builtins(client.report)})
                break
    finally:
        await client.close()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    chosen = msgspec.json.decode(sys.argv[1] if len(sys.argv) > 1 else "{}", type=ClientConfig)
    signal.alarm(int(chosen.max_s) + 10)
    asyncio.run(main(chosen))
