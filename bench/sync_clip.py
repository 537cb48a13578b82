"""Flashes and beeps at the same instants, sent to a stream: by WHIP with aiortc, by RTMP with FFmpeg."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtcpSrPacket

from bench.error import BenchError
from bench.processes import end

FPS, EVERY_S, LASTS_S = 16, 1.0, 0.2  # few enough for a model on a small machine
WIDTH, HEIGHT = 320, 192
_NTP_S = 3.9e9  # where its NTP clock stands, as good as any
_PRE_SKIP = 312  # libopus's look-ahead: a packet's sound is this many samples older than what went in


@dataclass(frozen=True, slots=True)
class Unit:
    """What an encoder made, and the time of its first sample or of its picture, in ticks of `hz`."""

    data: bytes
    pts: int


@cache
def pictures() -> tuple[Unit, ...]:
    """Two seconds of H.264, a keyframe a second: white for LASTS_S at each half second, else dark. 90 kHz."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(FPS), "profile": "baseline"}
    units: list[Unit] = []
    for number in range(2 * FPS):
        picture = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        picture[:HEIGHT] = 220 if (number - FPS // 2) % FPS < LASTS_S * FPS else 30
        frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts = number
        units += [Unit(bytes(packet), number * 90_000 // FPS) for packet in encoder.encode(frame)]
    return tuple(units)


@cache
def sounds() -> tuple[Unit, ...]:
    """Two seconds of Opus: 1 kHz for LASTS_S at each half second, else silence. 48 kHz."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    units: list[Unit] = []
    for number in range(100):
        at = (np.arange(960) + number * 960) / 48_000
        tone = (20_000 * np.sin(2 * np.pi * 1000 * at) * ((at + EVERY_S / 2) % EVERY_S < LASTS_S)).astype(
            np.int16
        )
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
        frame.sample_rate, frame.pts = 48_000, number * 960
        units += [Unit(bytes(packet), number * 960 - _PRE_SKIP) for packet in encoder.encode(frame)]
    return tuple(units)


class Loop(MediaStreamTrack):
    """Units over and over, each `late_s` after its time; packets of libav, which aiortc only packs."""

    def __init__(self, kind: str, units: tuple[Unit, ...], hz: int, began_s: float, late_s: float) -> None:
        self.kind = kind
        super().__init__()
        self._units, self._late_s, self._count = units, late_s, 0
        self.hz, self.began_s = hz, began_s
        self.pts = 0  # of the unit given last

    async def recv(self) -> av.Packet[Any]:
        turn, at = divmod(self._count, len(self._units))
        unit = self._units[at]
        pts = unit.pts + (2 * turn + 1) * self.hz  # from the second second on: none is below 0
        await asyncio.sleep(max(0.0, self.began_s + pts / self.hz + self._late_s - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        self._count, self.pts = self._count + 1, pts
        packet = av.Packet(unit.data)
        packet.pts, packet.time_base = pts, Fraction(1, self.hz)
        return packet


def _report_well(sender: RTCRtpSender, track: Loop) -> None:
    """As browsers do it: aiortc pairs the time with the packet sent last, however old that is."""
    port: Any = sender  # what it keeps to itself
    inner = port._send_rtcp

    async def send(packets: list[Any]) -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and packet.sender_info.packet_count:
                now_s = time.monotonic()
                origin = packet.sender_info.rtp_timestamp - track.pts  # a random one of aiortc's
                ticks = origin + round((now_s - track.began_s) * track.hz)
                packet.sender_info.ntp_timestamp = round((now_s + _NTP_S) * (1 << 32))
                packet.sender_info.rtp_timestamp = ticks & 0xFFFFFFFF
        await inner(packets)

    port._send_rtcp = send


@contextlib.asynccontextmanager
async def by_whip(url: str, key: str, late_s: float = 0.0) -> AsyncIterator[None]:
    """Publishes while inside. `late_s`: how much later than sound of its time pictures are sent."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    began_s = time.monotonic()
    video = Loop("video", pictures(), 90_000, began_s, late_s)
    audio = Loop("audio", sounds(), 48_000, began_s, 0.0)
    try:
        for track in (audio, video):
            sender = pc.addTransceiver(track, direction="sendonly").sender
            _report_well(sender, track)
        _only_h264(pc)
        await pc.setLocalDescription(await pc.createOffer())
        answer = await post(url, pc.localDescription.sdp, key)
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        yield
    finally:
        await asyncio.wait_for(pc.close(), 5)


def _only_h264(pc: RTCPeerConnection) -> None:
    codecs = RTCRtpSender.getCapabilities("video").codecs
    wanted = [codec for codec in codecs if codec.mimeType in ("video/H264", "video/rtx")]
    next(t for t in pc.getTransceivers() if t.kind == "video").setCodecPreferences(wanted)


async def post(url: str, offer: str, key: str = "") -> str:
    headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {key}"} if key else {})
    async with aiohttp.ClientSession() as http, http.post(url, data=offer, headers=headers) as reply:
        text = await reply.text()
        if reply.status != 201:
            raise BenchError(f"{url} answered {reply.status}: {text[:200]}")
        return text


@contextlib.asynccontextmanager
async def by_rtmp(url: str, rate: int = 44_100) -> AsyncIterator[None]:
    """FFmpeg publishes H.264 and AAC while inside. Raises BenchError where it is not installed."""
    if shutil.which("ffmpeg") is None:
        raise BenchError("there is no ffmpeg here: install it, or leave --kinds rtmp out")
    on = f"lt(mod(t+0.001,{EVERY_S}),{LASTS_S})"
    picture = f"color=0x202020:s={WIDTH}x{HEIGHT}:r={FPS},drawbox=c=white:t=fill:enable='{on}'"
    sound = f"aevalsrc='0.6*sin(2*PI*1000*t)*lt(mod(t,{EVERY_S}),{LASTS_S})|0':s={rate}"
    process = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", picture, "-re", "-f", "lavfi", "-i", sound,
        "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", str(FPS),
        "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", "-f", "flv", url,
        stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        await end(process)
