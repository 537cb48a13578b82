"""Many light peers in one process: `python -m bench.load CONFIG_JSON`.

They send a clip encoded once beforehand and throw away what comes back unread, so that a machine that also
runs the server measures the server.

Same lines of JSON as bench.client, with an `id` for each peer.
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
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from bench.client import ClientConfig, say
from bench.clip import load_clip
from bench.frameid import draw_id

_CLOCK_HZ = 90_000
_KEYFRAME_S = 1.0  # a request for one cannot be obeyed, so one comes often
_BITRATE_BPS = 1_000_000


def encode_clip(config: ClientConfig) -> list[bytes]:
    """A loop of access units, Annex-B baseline, that starts with a keyframe."""
    clip = load_clip(config.clip, config.width, config.height)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = config.width, config.height, "yuv420p"
    encoder.bit_rate = _BITRATE_BPS
    encoder.time_base = fractions.Fraction(1, round(config.fps))
    encoder.framerate = fractions.Fraction(round(config.fps), 1)
    encoder.profile = "Baseline"
    encoder.options = {
        "tune": "zerolatency",
        "preset": "veryfast",
        "level": "31",
        "x264-params": f"keyint={round(config.fps * _KEYFRAME_S)}:scenecut=0",
    }
    out = []
    for number in range(2 * len(clip.frames) - 2):
        picture = clip.frame(number)
        draw_id(picture[: clip.height], number)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = number
        out += [bytes(packet) for packet in encoder.encode(frame)]
    return out


class EncodedTrack(MediaStreamTrack):
    """Hands out encoded access units at the clip's pace; what was due while nobody asked is sent late."""

    kind = "video"

    def __init__(self, units: list[bytes], fps: float, silent: bool = False) -> None:
        super().__init__()
        self._silent = silent
        self._units, self._fps = units, fps
        self._started_s: float | None = None
        self._next = 0

    async def recv(self) -> av.Packet[Any]:
        if self._silent:
            await asyncio.Event().wait()  # until the sender is stopped
        if self._started_s is None:
            self._started_s = time.monotonic()
        await asyncio.sleep(max(0.0, self._started_s + self._next / self._fps - time.monotonic()))
        packet = av.Packet(self._units[self._next % len(self._units)])
        packet.pts = round(self._next * _CLOCK_HZ / self._fps)
        packet.time_base = fractions.Fraction(1, _CLOCK_HZ)
        self._next += 1
        return packet


class Load:
    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._units = encode_clip(config)
        self._peers: dict[int, RTCPeerConnection] = {}
        self._channels: dict[int, Any] = {}

    async def offer(self, key: int, silent: bool = False) -> str:
        pc = self._peers[key] = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        channel = self._channels[key] = pc.createDataChannel("edits")
        channel.on("open", lambda: say({"event": "open", "id": key}))
        pc.on(
            "connectionstatechange", lambda: say({"event": "state", "id": key, "state": pc.connectionState})
        )
        track = EncodedTrack(self._units, self._config.fps, silent)
        transceiver = pc.addTransceiver(track, direction="sendrecv")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([c for c in codecs if c.mimeType in ("video/H264", "video/rtx")])
        transceiver.receiver._enabled = False  # what comes back is counted at the relay, not decoded here
        await pc.setLocalDescription(await pc.createOffer())
        return pc.localDescription.sdp

    async def answer(self, key: int, sdp: str) -> None:
        await self._peers[key].setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    def send(self, key: int, message: dict[str, Any]) -> None:
        if self._channels[key].readyState == "open":
            self._channels[key].send(json.dumps(message))

    async def end(self, key: int) -> None:
        pc = self._peers.pop(key, None)
        self._channels.pop(key, None)
        if pc is not None:
            await asyncio.wait_for(pc.close(), 5)

    async def close(self) -> None:
        await asyncio.gather(*(self.end(key) for key in list(self._peers)), return_exceptions=True)


async def main(config: ClientConfig) -> None:
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    load = Load(config)
    try:
        while line := await stdin.readline():
            command = json.loads(line)
            key = command.get("id", 0)
            if command["do"] == "offer":
                say({"event": "offer", "id": key, "sdp": await load.offer(key, command.get("silent", False))})
            elif command["do"] == "answer":
                await load.answer(key, command["sdp"])
            elif command["do"] == "send":
                load.send(key, command["message"])
            elif command["do"] == "end":
                await load.end(key)
                say({"event": "gone", "id": key})
    finally:
        await load.close()


if __name__ == "__main__":
    import uvloop

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    chosen = msgspec.json.decode(sys.argv[1] if len(sys.argv) > 1 else "{}", type=ClientConfig)
    signal.alarm(int(chosen.max_s) + 10)
    uvloop.run(main(chosen))
