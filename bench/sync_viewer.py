"""Who watches a stream by WHEP and says how far its flashes and its beeps are apart: by our sender reports,
as a browser lines them up, and by when they arrived."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtcpSrPacket

from bench.sync_clip import EVERY_S, FPS, post

_QUIET_S = 0.5  # of an event's begin: nothing before it for so long
_STEP_S = 1.5 / FPS  # from frame to frame; more: one was left out


class _Side:
    """One stream of it: where its events begin by its own count, and what says when that is."""

    def __init__(self, receiver: Any, hz: int) -> None:
        self.hz, self._receiver = hz, receiver
        self.arrived: dict[int, float] = {}  # by RTP timestamp, of its last packet
        self.reports: list[tuple[float, int]] = []  # (NTP seconds, RTP timestamp)
        self.begins: list[tuple[int, float]] = []  # (RTP timestamp of the packet, seconds behind it)
        self._packet: Callable[..., Awaitable[None]] = receiver._handle_rtp_packet
        self._rtcp: Callable[..., Awaitable[None]] = receiver._handle_rtcp_packet
        receiver._handle_rtp_packet, receiver._handle_rtcp_packet = self._on_packet, self._on_rtcp
        self._seen_s = self._last = -1e9

    async def _on_packet(self, packet: Any, arrival_time_ms: int) -> None:
        self.arrived[packet.timestamp] = time.monotonic()
        await self._packet(packet, arrival_time_ms)

    async def _on_rtcp(self, packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            info = packet.sender_info
            self.reports.append((info.ntp_timestamp / (1 << 32), info.rtp_timestamp))
        await self._rtcp(packet)

    def take(self, pts: int, lit_s: float | None) -> None:
        """A frame; `lit_s`: it is bright, or loud, so long after its begin. An event that begins behind a
        frame left out is not counted: nobody saw when."""
        before_s, self._seen_s = self._seen_s, pts / self.hz
        if lit_s is None:
            return
        at = self._seen_s + lit_s
        if at - self._last > _QUIET_S and self._seen_s - before_s < _STEP_S:
            origin = self._receiver._RTCRtpReceiver__timestamp_mapper._origin
            self.begins.append(((origin + pts) & 0xFFFFFFFF, lit_s))
        self._last = at

    def reported(self) -> list[float]:
        """NTP seconds of each begin, by the reports nearest to it."""
        found: list[float] = []
        for timestamp, behind_s in self.begins:
            by = [
                ntp_s + _signed(timestamp - rtp) / self.hz + behind_s
                for ntp_s, rtp in self.reports
                if abs(_signed(timestamp - rtp)) < 3 * self.hz
            ]
            if by:
                found.append(by[-1])
        return found

    def came(self) -> list[float]:
        """Monotonic seconds of each begin, were it shown as it came."""
        return [self.arrived[at] + behind_s for at, behind_s in self.begins if at in self.arrived]


class Viewer:
    """`watch`, wait, `close`; then `apart_ms`."""

    def __init__(self) -> None:
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        video = self._pc.addTransceiver("video", direction="recvonly").receiver
        audio = self._pc.addTransceiver("audio", direction="recvonly").receiver
        self.video, self.audio = _Side(video, 90_000), _Side(audio, 48_000)
        self._readers: list[asyncio.Task[None]] = []
        self._pc.on("track", self._on_track)

    async def watch(self, url: str) -> Viewer:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await post(url, self._pc.localDescription.sdp)
        await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return self

    def _on_track(self, track: MediaStreamTrack) -> None:
        read = self._see if track.kind == "video" else self._hear
        self._readers.append(asyncio.ensure_future(read(track)))

    async def _see(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame)
                plane = frame.planes[0]
                luma = np.frombuffer(memoryview(plane), np.uint8)[: frame.height * plane.line_size]
                self.video.take(frame.pts or 0, 0.0 if luma.mean() > 125 else None)

    async def _hear(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                left = frame.to_ndarray().reshape(-1, 2)[:, 0]
                loud = np.flatnonzero(np.abs(left) > 3000)
                self.audio.take(frame.pts or 0, int(loud[0]) / 48_000 if len(loud) else None)

    def apart_ms(self) -> tuple[list[float], list[float]]:
        """How much later each beep is than its flash: (by reports, by arrival)."""
        return (
            pairs(self.video.reported(), self.audio.reported()),
            pairs(self.video.came(), self.audio.came()),
        )

    async def close(self) -> None:
        await asyncio.wait_for(self._pc.close(), 5)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


def _signed(ticks: int) -> int:
    return (ticks + (1 << 31)) % (1 << 32) - (1 << 31)


def pairs(flashes: list[float], beeps: list[float]) -> list[float]:
    """ms by which beeps are later than the flashes they belong to. Both in seconds."""
    found: list[float] = []
    for flash in flashes:
        beep = min(beeps, key=lambda at: abs(at - flash), default=None)
        if beep is not None and abs(beep - flash) < EVERY_S / 2:
            found.append((beep - flash) * 1000)
    return found
