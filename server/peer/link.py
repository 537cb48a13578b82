"""One connection with a browser behind a Peer: its aiortc objects, its streams, its data channel, its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import aioice
from aiortc import RTCDataChannel, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription

from gpu.types import EncodedFrame
from server.errors import ProtocolError

from .answer import answer_sdp
from .candidates import MAX_CANDIDATES, parse_candidate
from .offer import Media, Offer
from .privates import IcePath, bound_sctp, dtls_of, name_codecs, name_opus, open_connection
from .rate import RateControl
from .receive import AudioReceiver, VideoReceiver
from .send import AudioSender, VideoSender
from .send_clock import SendClock
from .types import EncodedAudio, PeerConfig

logger = logging.getLogger(__name__)
CHANNEL = "edits"
MAX_TASKS = 128  # of one link at a time: candidates being looked up


class LinkListener:
    """What a Link tells its Peer; on the event loop."""

    on_video: Callable[[EncodedFrame], None]
    on_audio: Callable[[EncodedAudio], None]
    on_message: Callable[[str | bytes], None]
    on_keyframe_needed: Callable[[], None]
    on_transport: Callable[[str], None]  # the DTLS state


class Link:
    """Made by `open`; ended by `close`. Belongs to one Peer."""

    def __init__(self, offer: Offer, config: PeerConfig, listener: LinkListener, rate: RateControl) -> None:
        self.offer = offer
        self._config = config
        self._listener = listener
        self._rate = rate
        self._pc: RTCPeerConnection = open_connection(config.ice_servers)
        self._path: IcePath | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._candidates: set[str] = set()  # taken, of this ICE generation
        self._channel: RTCDataChannel | None = None
        self._clock = SendClock()
        self.video_in: VideoReceiver | None = None
        self.video_out: VideoSender | None = None
        self.audio_in: AudioReceiver | None = None
        self.audio_out: AudioSender | None = None

    @property
    def idle_s(self) -> float:
        return time.monotonic() - self._path.last_heard if self._path else 0.0

    @property
    def refused(self) -> int:
        return self._path.refused if self._path else 0

    @property
    def connected(self) -> bool:
        return self._path is not None and self._path.connected and dtls_of(self._pc).state == "connected"

    async def open(self) -> str:
        """-> the answer. Raises ProtocolError."""
        self._pc.on("datachannel", self._on_channel)
        await self._set_remote(self.offer)
        bound_sctp(self._pc)
        for transceiver, media in zip(self._pc.getTransceivers(), self._lines(self.offer), strict=True):
            if media.direction in ("sendrecv", "recvonly"):
                transceiver.direction = "sendrecv" if media.direction == "sendrecv" else "sendonly"
            self._open_line(transceiver, media)
        dtls = dtls_of(self._pc)
        self._path = IcePath(dtls, self._config.ice_servers, self._config.max_ssrcs)
        dtls.on("statechange", lambda: self._listener.on_transport(dtls.state))
        answer = await self._answer(self.offer)
        self._path.guard_sockets()
        self.add_candidates(self.offer.candidates)
        return answer

    def _open_line(self, transceiver: RTCRtpTransceiver, media: Media) -> None:
        if media.kind == "video":
            if media.direction != "recvonly":
                ssrc = media.ssrcs[0] if media.ssrcs else None
                codecs = self.offer.agreed[media.mid]
                self.video_in = VideoReceiver(
                    transceiver.receiver, codecs, self._config, self._listener.on_video, ssrc
                )
                self._spawn(self.video_in.run())
            if media.direction != "sendonly" and self.offer.send is not None:
                on_keyframe = self._listener.on_keyframe_needed
                self.video_out = VideoSender(
                    transceiver.sender, self.offer.send, self._config, on_keyframe, self._rate, self._clock
                )
        else:
            if media.direction != "recvonly":
                self.audio_in = AudioReceiver(transceiver.receiver, self._listener.on_audio)
            if media.direction != "sendonly" and media.opus is not None:
                self.audio_out = AudioSender(transceiver.sender, media.opus, self._clock)

    @staticmethod
    def _lines(offer: Offer) -> list[Media]:
        return [m for m in offer.media if m.used and m.kind != "application"]

    async def _set_remote(self, offer: Offer) -> None:
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(offer.to_sdp(), "offer"))
        except Exception as exc:  # whatever aiortc finds wrong, and however it says so, is the offer's fault
            raise ProtocolError(
                f"The offer cannot be used ({exc}); offer what a current browser offers."
            ) from exc
        for transceiver, media in zip(self._pc.getTransceivers(), self._lines(offer), strict=True):
            if media.kind == "video":
                name_codecs(transceiver, offer.agreed[media.mid])
            elif media.opus is not None:
                name_opus(transceiver, media.opus)

    async def _answer(self, offer: Offer) -> str:
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return answer_sdp(offer, self._pc.localDescription.sdp)

    async def reoffer(self, offer: Offer) -> tuple[str, Callable[[], Any] | None]:
        """The same browser connection offers again -> (answer, what connects a restarted ICE)."""
        assert self._path is not None
        lead, connect = offer.transport, None
        if lead.ufrag != self.remote_ufrag:
            connect = await self._path.restart(lead.ufrag, lead.pwd, self._config.connect_timeout_s)
            self._candidates.clear()
        self.add_candidates(offer.candidates)
        await self._set_remote(offer)
        answer = await self._answer(offer)
        # A line that is held still speaks what it spoke.
        offer.receive, offer.send = offer.receive or self.offer.receive, offer.send or self.offer.send
        self.offer = offer
        return answer, connect

    def is_from(self, offer: Offer) -> bool:
        """The offer comes from the same browser connection: it has the same DTLS identity."""
        return offer.transport.fingerprints == self.offer.transport.fingerprints

    def fits(self, offer: Offer) -> bool:
        """The same lines and codecs, each going where it went, or nowhere new."""
        mine, theirs = ([m for m in o.media if m.used] for o in (self.offer, offer))
        return len(mine) == len(theirs) and all(
            (a.mid, a.kind, a.opus) == (b.mid, b.kind, b.opus)
            and set(offer.agreed.get(b.mid, ())) <= set(self.offer.agreed.get(a.mid, ()))
            and a.direction in ("sendrecv", b.direction)
            for a, b in zip(mine, theirs, strict=True)
        )

    def add_candidates(self, lines: list[str]) -> None:
        """In the background: a browser's .local name takes seconds to look up, or is never found.

        End-of-candidates is never passed on: aioice would fail before the peer's own checks reveal it.
        """
        assert self._path is not None
        for candidate in map(_candidate, lines):
            if candidate is None or len(self._tasks) >= MAX_TASKS:
                continue
            text = candidate.to_sdp()
            if text not in self._candidates and len(self._candidates) < MAX_CANDIDATES:
                self._candidates.add(text)
                self._spawn(self._path.add_candidate(candidate))

    @property
    def remote_ufrag(self) -> str:
        return self.offer.transport.ufrag

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL:
            logger.info("data channel %.40r refused; only %r is taken", channel.label, CHANNEL)
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_message)

    def _on_message(self, data: str | bytes) -> None:
        if len(data) <= self._config.max_message_bytes:
            self._listener.on_message(data)

    def send_message(self, data: str | bytes) -> bool:
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return False
        size = len(data) if isinstance(data, bytes) else len(data.encode())
        if channel.bufferedAmount + size > self._config.max_message_backlog_bytes:
            return False
        try:
            channel.send(data)
        except ValueError as exc:  # longer than the other side said it takes
            logger.info("a message was not sent: %s", exc)
            return False
        return True

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        if self.video_in is not None:
            self.video_in.close()  # its task may never have begun
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(self._config.close_timeout_s):
                await self._pc.close()
        except TimeoutError:
            logger.warning("a connection did not close in %.0f s", self._config.close_timeout_s)
        if self._path is not None:
            await self._path.close()


def _candidate(line: str) -> aioice.Candidate | None:
    parsed = parse_candidate(line)
    if parsed is None:
        return None
    foundation, component, transport, priority, host, port, kind = parsed
    return aioice.Candidate(foundation, component, transport, priority, host, port, kind)
