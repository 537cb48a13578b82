"""A stand-in for the browser: stock aiortc with real H.264 or VP8; and a listener that echoes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from aiortc.rtcrtpsender import RTCRtpSender

from gpu.types import EncodedFrame
from server.peer import EncodedAudio, Peer, PeerConfig, PeerState


async def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("what was waited for did not happen")
        await asyncio.sleep(0.02)


class Camera(VideoStreamTrack):
    """Pictures that move, 20 a second."""

    def __init__(self, width: int = 320, height: int = 240) -> None:
        super().__init__()
        self._size = (height, width)
        self._count = 0
        self._begun: float | None = None

    async def recv(self) -> av.VideoFrame:
        if self._begun is None:
            self._begun = time.monotonic()
        self._count += 1
        await asyncio.sleep(max(0.0, self._begun + self._count / 20 - time.monotonic()))
        height, width = self._size
        picture = np.full((height * 3 // 2, width), 128, np.uint8)
        picture[:height] = np.roll(np.tile(np.arange(width, dtype=np.uint8), (height, 1)), self._count * 3, 1)
        frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts, frame.time_base = self._count * 4500, Fraction(1, 90000)
        return frame


class Echo:
    """A PeerListener that sends everything back and remembers what it was told."""

    def __init__(self, echo: bool = True) -> None:
        self.peer: Peer | None = None
        self.echo = echo
        self.frames: list[EncodedFrame] = []
        self.audio: list[EncodedAudio] = []
        self.messages: list[str | bytes] = []
        self.bitrates: list[int] = []
        self.states: list[PeerState] = []
        self.keyframes_needed = 0

    def on_video(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)
        if self.echo and self.peer is not None:
            self.peer.send_video(frame)

    def on_audio(self, packet: EncodedAudio) -> None:
        self.audio.append(packet)
        if self.echo and self.peer is not None:
            self.peer.send_audio(packet)

    def on_message(self, data: str | bytes) -> None:
        self.messages.append(data)
        if self.echo and self.peer is not None:
            self.peer.send_message(data)

    def on_keyframe_needed(self) -> None:
        self.keyframes_needed += 1
        if self.echo and self.peer is not None:
            self.peer.request_keyframe()

    def on_bitrate(self, bps: int) -> None:
        self.bitrates.append(bps)

    def on_state(self, state: PeerState) -> None:
        self.states.append(state)


class Browser:
    """Offers camera, channel and perhaps sound; decodes what comes back."""

    def __init__(self, codec: str = "H264", audio: bool = False, camera: bool = True) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.decoded: list[av.VideoFrame] = []
        self.heard: list[av.AudioFrame] = []
        self.received: list[str | bytes] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.channel: RTCDataChannel = self.pc.createDataChannel("edits")
        self.channel.on("message", self.received.append)
        if camera:
            self.pc.addTrack(Camera())
            wanted = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.name in (codec, "rtx")]
            self.pc.getTransceivers()[0].setCodecPreferences(wanted)
        if audio:
            self.pc.addTrack(AudioStreamTrack())
        self.pc.on("track", self._on_track)

    def _on_track(self, track: object) -> None:
        self._tasks.append(asyncio.ensure_future(self._drain(track)))

    async def _drain(self, track: object) -> None:
        kept = self.decoded if track.kind == "video" else self.heard  # type: ignore[attr-defined]
        try:
            while True:
                kept.append(await track.recv())  # type: ignore[attr-defined]
        except MediaStreamError:
            return

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def answer(self, sdp: str) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def close(self) -> None:
        connections = [t.receiver.transport.transport._connection for t in self.pc.getTransceivers()]
        await self.pc.close()
        await asyncio.sleep(0.05)
        for connection in connections:  # stock aioice starts this one even when closed while connecting
            if connection._query_consent_task is not None:
                connection._query_consent_task.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def connect(browser: Browser, config: PeerConfig | None = None, echo: bool = True) -> tuple[Peer, Echo]:
    listener = Echo(echo)
    peer = Peer(config or PeerConfig(), listener)
    listener.peer = peer
    await browser.answer(await peer.accept(await browser.offer()))
    await until(lambda: PeerState.CONNECTED in listener.states)
    return peer, listener
