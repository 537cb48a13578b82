"""Who publishes by WHIP and watches by WHEP, for tests: one exactly as OBS 32 does it, and aiortc's own way.

OBS's offer is written out as libdatachannel writes it: audio before video, mids 0 and 1, payload types 111
and 96, one codec each, no header extensions, no candidates and none later. It answers no request for a
keyframe, follows redirects, waits 8 s and insists on 201 and 200.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

FPS, SECONDS = 30, 2
WIDTH, HEIGHT = 160, 96
USER_AGENT = "Mozilla/5.0 (OBS-Studio/32.0.1; Linux x86_64; en-US)"
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


@cache
def video_clip(
    profile: str = "high", size: tuple[int, int] = (WIDTH, HEIGHT)
) -> tuple[tuple[bytes, bool], ...]:
    """Two seconds of H.264 as OBS's x264 makes it: a keyframe a second with parameter sets, no B-frames."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base = Fraction(1, FPS)
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(FPS), "bf": "0"}
    encoder.options = {**options, "profile": profile, "x264-params": "scenecut=0:repeat-headers=1"}
    ramp = np.tile(np.linspace(40, 200, size[0]).astype(np.uint8), (size[1], 1))
    units: list[tuple[bytes, bool]] = []
    for number in range(FPS * SECONDS):
        picture = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
        picture[: size[1]] = np.roll(ramp, 3 * number, 1)
        frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts = number
        units += [(bytes(packet), packet.is_keyframe) for packet in encoder.encode(frame)]
    units += [(bytes(packet), packet.is_keyframe) for packet in encoder.encode(None)]
    return tuple(units)


@cache
def sound_clip() -> tuple[bytes, ...]:
    """Two seconds of Opus, 20 ms a packet."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    packets: list[bytes] = []
    for number in range(50 * SECONDS):
        at = (np.arange(960) + number * 960) / 48_000
        tone = (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
        frame.sample_rate, frame.pts = 48_000, number * 960
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets)


class Encoded(MediaStreamTrack):
    """What an encoder has made, over and over, at its pace; packets of libav, which aiortc only packs."""

    def __init__(self, kind: str, units: tuple[bytes, ...], per_s: int, begin_at: int = 0) -> None:
        self.kind = kind
        super().__init__()
        self._units, self._per_s, self._count = units, per_s, begin_at
        self._begun_s = time.monotonic() - begin_at / per_s

    async def recv(self) -> av.Packet:
        await asyncio.sleep(max(0.0, self._begun_s + self._count / self._per_s - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        packet = av.Packet(self._units[self._count % len(self._units)])
        packet.pts, packet.time_base = self._count, Fraction(1, self._per_s)
        self._count += 1
        return packet


class Refused(Exception):
    """The server said no."""

    def __init__(self, status: int, headers: Any, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.headers, self.body = status, headers, body


class Client:
    """An aiortc connection with an offer of its own over HTTP."""

    def __init__(self, url: str, http: aiohttp.ClientSession, key: str = "") -> None:
        self.url, self.http, self.key = url, http, key
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.location = self.etag = self.answer = ""
        self.redirects: list[str] = []

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    async def post(self, offer: str) -> None:
        """As curl does it for OBS: redirects are followed with everything, the bearer token too."""
        url = self.url
        async with asyncio.timeout(8):
            while True:
                headers = {**self.headers, "Content-Type": SDP, "User-Agent": USER_AGENT}
                async with self.http.post(url, data=offer, headers=headers, allow_redirects=False) as reply:
                    body = await reply.text()
                    if reply.status == 307:
                        url = urljoin(url, reply.headers["Location"])
                        self.redirects.append(url)
                        continue
                    if reply.status != 201:
                        raise Refused(reply.status, reply.headers, body)
                    assert body
                    assert reply.content_type == SDP
                    self.etag = reply.headers["ETag"]
                    location = reply.headers["Location"]
                    assert location.startswith("/")  # OBS puts it in the place of the path of the last URL
                    self.location = "://".join(urlsplit(url)[:2]) + location
                    self.answer = body
                    return

    async def connect(self) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))

    async def delete(self) -> int:
        async with self.http.delete(self.location, headers=self.headers) as reply:
            return reply.status

    async def vanish(self) -> None:
        """Without a word, as a machine that lost its power."""
        for transceiver in self.pc.getTransceivers():
            ice = transceiver.sender.transport.transport._connection
            for protocol in ice._protocols:
                protocol.transport.abort()

    async def close(self) -> None:
        transports = [t.receiver.transport for t in self.pc.getTransceivers()]
        connections = [t.transport._connection for t in transports if t is not None]
        await self.pc.close()
        for connection in connections:  # stock aioice starts this one even when closed while connecting
            if connection._query_consent_task is not None:
                connection._query_consent_task.cancel()


class Obs(Client):
    """OBS Studio 32's WHIP output."""

    def __init__(
        self,
        url: str,
        http: aiohttp.ClientSession,
        key: str = "",
        begin_at: int = 0,
        profile: str = "high",
        size: tuple[int, int] = (WIDTH, HEIGHT),
        sound: bool = True,
    ) -> None:
        super().__init__(url, http, key)
        units = tuple(data for data, _ in video_clip(profile, size))
        self.tracks: list[Encoded] = [Encoded("audio", sound_clip(), 50)] if sound else []
        self.tracks.append(Encoded("video", units, FPS, begin_at))
        for track in self.tracks:
            self.pc.addTransceiver(track, direction="sendonly")

    async def publish(self) -> Obs:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        await self.post(obs_offer(self.pc))
        await self.connect()
        return self

    async def stop(self) -> None:
        """As its stop button: the connection, then DELETE, which must be answered 200."""
        await self.close()
        assert await self.delete() == 200


def obs_offer(pc: RTCPeerConnection) -> str:
    """What libdatachannel says of this connection."""
    own = pc.localDescription.sdp.splitlines()
    one = {name: next(x for x in own if x.startswith(name)) for name in ("a=ice-ufrag", "a=ice-pwd")}
    fingerprint = next(x for x in own if x.startswith("a=fingerprint:sha-256"))
    mids = [t.mid for t in pc.getTransceivers()]
    lines = ["v=0", "o=rtc 3164972871 0 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines += [f"a=group:BUNDLE {' '.join(mids)}", f"a=group:LS {' '.join(mids)}", "a=msid-semantic:WMS *"]
    lines += ["a=ice-options:ice2 trickle", fingerprint]
    for transceiver in pc.getTransceivers():
        kind, ssrc = transceiver.kind, transceiver.sender._ssrc
        payload = 111 if kind == "audio" else 96
        lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload}", "c=IN IP4 0.0.0.0", f"a=mid:{transceiver.mid}"]
        lines += ["a=sendonly", f"a=ssrc:{ssrc} cname:hqWSqmrdTBKnwqIb"]
        lines += [f"a=ssrc:{ssrc} msid:TyjFwFGsbrnAYQGh TyjFwFGsbrnAYQGh-{kind}"]
        lines += [f"a=msid:TyjFwFGsbrnAYQGh TyjFwFGsbrnAYQGh-{kind}", "a=rtcp-mux"]
        if kind == "audio":
            lines += ["a=rtpmap:111 opus/48000/2"]
            lines += ["a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1"]
        else:
            lines += ["a=rtpmap:96 H264/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli"]
            lines += ["a=rtcp-fb:96 goog-remb"]
            lines += ["a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1"]
        lines += ["a=setup:actpass", one["a=ice-ufrag"], one["a=ice-pwd"]]
    return "\r\n".join(lines) + "\r\n"


class Trickler(Client):
    """The second, independent client: aiortc's own encoders and offer; candidates come by PATCH."""

    async def patch(self, body: str, etag: str | None = None, kind: str = FRAGMENT) -> aiohttp.ClientResponse:
        headers = {**self.headers, "Content-Type": kind}
        if etag is not None:
            headers["If-Match"] = etag
        reply = await self.http.patch(self.location, data=body, headers=headers)
        await reply.read()
        return reply

    async def open(self, trickle: bool = True) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        own = self.pc.localDescription.sdp
        if not trickle:
            await self.post(own)
        else:
            kept, later = without_candidates(own)
            await self.post(kept)
            assert (await self.patch(later, self.etag)).status == 204
        await self.connect()


def without_candidates(sdp: str) -> tuple[str, str]:
    """(the offer without its candidates, a fragment with them)."""
    lines = sdp.splitlines()
    later = [x for x in lines if x.startswith(("a=candidate:", "a=end-of-candidates"))]
    first = sdp[sdp.index("m=") :].split("m=")[1].splitlines()
    ice = [x for x in first if x.startswith(("a=ice-ufrag:", "a=ice-pwd:"))]
    found = [x for x in first if x.startswith(("a=candidate:", "a=end-of-candidates"))]
    fragment = [*ice, "m=" + first[0], "a=mid:0", *found]
    kept = [x for x in lines if x not in later]
    return "\r\n".join(kept) + "\r\n", "\r\n".join(fragment) + "\r\n"


class Player(Trickler):
    """Watches by WHEP; decodes what comes."""

    def __init__(self, url: str, http: aiohttp.ClientSession, key: str = "", sound: bool = True) -> None:
        super().__init__(url, http, key)
        self.pictures: list[av.VideoFrame] = []
        self.sounds = 0
        self.on_picture: Callable[[av.VideoFrame], None] = lambda _: None
        self._readers: list[asyncio.Task[None]] = []
        self.pc.on("track", lambda track: self._readers.append(asyncio.ensure_future(self._read(track))))
        if sound:
            self.pc.addTransceiver("audio", direction="recvonly")
        self.pc.addTransceiver("video", direction="recvonly")

    async def watch(self, trickle: bool = False) -> Player:
        await self.open(trickle)
        return self

    async def _read(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                came = await track.recv()
                if track.kind == "video":
                    self.pictures.append(came)
                    self.on_picture(came)
                else:
                    self.sounds += 1

    async def close(self) -> None:
        await super().close()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
