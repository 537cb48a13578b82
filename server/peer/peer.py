"""A browser at the other end of WebRTC: encoded frames in and out, messages, and one state. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ParamSpec

from gpu.types import Codec, EncodedFrame
from server.errors import ConfigError, ProtocolError

from .answer import ice_fragment
from .candidates import parse_fragment, parse_password
from .link import Link, LinkListener
from .offer import Codecs
from .peer_clock import Kind, PeerClock
from .privates import check_ice_servers
from .rate import RateControl
from .sdp import parse_offer
from .types import EncodedAudio, PeerConfig, PeerListener, PeerState, PeerStats, SenderReport

logger = logging.getLogger(__name__)
WATCH_EVERY_S = 0.25
P = ParamSpec("P")


def _tell(callback: Callable[P, None]) -> Callable[P, None]:
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(*args, **kwargs)
        except (
            Exception
        ):  # the listener's fault: to be seen in the log, not taken for a fault of the peer's packets
            logger.exception("a listener failed in %s", getattr(callback, "__name__", callback))

    return told


class Peer:
    """One peer over its life, ICE restarts included. Every method on the event loop's thread.

    Raises ConfigError for ICE servers that cannot be used.
    """

    def __init__(self, config: PeerConfig, listener: PeerListener) -> None:
        try:
            check_ice_servers(config.ice_servers)
        except ValueError as exc:
            raise ConfigError(f"ice_servers: {exc}; write stun:host:port or turn:host:port") from exc
        self._config = config
        self._listener = listener
        self._state = PeerState.CONNECTING
        self._link: Link | None = None
        self._rate = RateControl(
            config.min_bitrate_bps, config.start_bitrate_bps, config.max_bitrate_bps, self._on_bitrate
        )
        self._connecting_since = time.monotonic()
        self._restarting: asyncio.Task[Any] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._signalling = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._current_events: LinkListener | None = None
        self._clock = PeerClock(self._report)
        self._last_keyframe = -1e9
        self._keyframe_timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> PeerState:
        return self._state

    @property
    def codec_in(self) -> Codec | None:
        """What the peer was asked to send; None before an offer is accepted, and where it only receives."""
        found = self._link.offer.receive if self._link else None
        return found.codec if found else None

    @property
    def codec_out(self) -> Codec | None:
        """What is sent back; None before an offer is accepted, and where the peer only sends."""
        found = self._link.offer.send if self._link else None
        return found.codec if found else None

    @property
    def hears(self) -> bool:
        """It takes sound; False before an offer is accepted."""
        return self._link is not None and self._link.audio_out is not None

    async def accept(self, offer_sdp: str) -> str:
        """-> the answer, all candidates in it. Raises ProtocolError with a remedy; what was connected stays.

        A second offer renews the connection: with a new ICE ufrag it restarts ICE, from another browser
        connection it replaces this one.
        """
        c = self._config
        codecs = Codecs(c.codecs, c.send_codecs, c.prefer_codecs, c.takes, c.gives, c.whole)
        offer = parse_offer(offer_sdp, codecs, c.max_sdp_bytes, c.max_media_lines)
        async with self._signalling:
            if self._closing is not None or self._state is PeerState.CLOSED:
                raise ProtocolError("The session is over; open a new one.")
            old = self._link
            if old is not None and old.is_from(offer):
                if not old.fits(offer):
                    raise ProtocolError(
                        "A session's media lines stay as they are; open a new session for others."
                    )
                answer, connect = await old.reoffer(offer)
                if connect is not None:
                    self._start_restart(connect)
                return answer
            if old is not None and offer.spoken != old.offer.spoken:
                raise ProtocolError(
                    f"The session speaks {old.offer.spoken}; offer that, or open a new session."
                )
            events = self._events()
            link = Link(offer, c, events, self._rate)
            try:
                answer = await link.open()
            except BaseException:
                await link.close()
                raise
            self._connecting_since = time.monotonic()
            self._link, self._current_events = link, events
            self._set_state(PeerState.CONNECTING)
            if old is not None:
                await old.close()
            self._ensure_watched()
            return answer

    def _ensure_watched(self) -> None:
        if self._watching is None or self._watching.done():
            self._watching = asyncio.ensure_future(self._watch())

    def _events(self) -> LinkListener:
        events = LinkListener()
        events.on_video = _tell(self._on_video)
        events.on_audio = _tell(self._on_audio)
        events.on_message = _tell(self._listener.on_message)
        events.on_keyframe_needed = self._on_keyframe_needed
        events.on_transport = lambda state: self._on_transport(events, state)
        return events

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Raises ProtocolError for what is no fragment, or comes before an offer."""
        ufrag, lines = parse_fragment(sdp_fragment)
        if self._link is None:
            raise ProtocolError("Candidates came before an offer; send the offer first.")
        if ufrag is not None and ufrag != self._link.remote_ufrag:
            return  # of a generation that is over
        self._link.add_candidates(lines)

    async def patch(self, sdp_fragment: str) -> str | None:
        """Candidates, as `add_candidates`: -> None. With ufrag and pwd of a new generation, an ICE restart:
        -> our side of it, a fragment; what is connected stays until that is. Raises ProtocolError."""
        ufrag, lines = parse_fragment(sdp_fragment)
        pwd = parse_password(sdp_fragment)
        if pwd is None or ufrag is None or self._link is None or ufrag == self._link.remote_ufrag:
            await self.add_candidates(sdp_fragment)
            return None
        async with self._signalling:
            link = self._link
            if self._closing is not None or self._state is PeerState.CLOSED:
                raise ProtocolError("The session is over; open a new one.")
            answer, connect = await link.reoffer(link.offer.restarted(ufrag, pwd, lines))
            if connect is not None:
                self._start_restart(connect)
            return ice_fragment(answer)

    def send_video(self, frame: EncodedFrame) -> None:
        """Where there is no room, frames are dropped up to the next keyframe, and one is asked for. Raises
        FrameError for a frame that holds no picture. Its pts and those of the sound sent are of one clock."""
        if self._link is not None and self._link.video_out is not None:
            self._link.video_out.send(frame)

    def send_audio(self, packet: EncodedAudio) -> None:
        if self._link is not None and self._link.audio_out is not None:
            self._link.audio_out.send(packet)

    def send_message(self, data: str | bytes) -> bool:
        """False where the channel is not open or its buffer is full; the message is not sent then."""
        return self._link is not None and self._link.send_message(data)

    def request_keyframe(self) -> None:
        """Asks the browser for a keyframe; requests close together are one."""
        if self._link is not None and self._link.video_in is not None:
            self._link.video_in.request_keyframe()

    # what comes, on one clock

    def _on_video(self, frame: EncodedFrame) -> None:
        self._listener.on_video(replace(frame, pts=self._clock.video(frame.pts)))

    def _on_audio(self, packet: EncodedAudio) -> None:
        self._listener.on_audio(replace(packet, pts=self._clock.audio(packet.pts)))

    def _report(self, kind: Kind) -> SenderReport | None:
        if self._link is None:
            return None
        side = self._link.video_in if kind == "video" else self._link.audio_in
        return side.report if side is not None else None

    # what the other side wants

    def _on_bitrate(self, bps: int) -> None:
        _tell(self._listener.on_bitrate)(bps)

    def _on_keyframe_needed(self) -> None:
        """At once, then at most one an interval; a request within it is passed on at its end."""
        if self._keyframe_timer is not None or self._closing is not None:
            return
        wait = self._last_keyframe + self._config.keyframe_interval_s - time.monotonic()
        if wait <= 0:
            self._tell_keyframe()
        else:
            self._keyframe_timer = asyncio.get_running_loop().call_later(wait, self._tell_keyframe)

    def _tell_keyframe(self) -> None:
        self._keyframe_timer = None
        self._last_keyframe = time.monotonic()
        _tell(self._listener.on_keyframe_needed)()

    # state

    def _set_state(self, state: PeerState) -> None:
        if state is self._state or self._state is PeerState.CLOSED:
            return
        self._state = state
        _tell(self._listener.on_state)(state)

    def _on_transport(self, events: LinkListener, state: str) -> None:
        if events is not self._current_events:
            return  # of a link that was replaced
        if state == "connected":
            self._set_state(PeerState.CONNECTED)
        elif state == "failed":
            self._set_state(PeerState.FAILED)
        elif state == "closed" and self._closing is None:
            self._set_state(PeerState.CLOSED)

    def _start_restart(self, connect: Any) -> None:
        before = self._restarting
        if self._state is PeerState.FAILED:
            self._connecting_since = time.monotonic()
            self._set_state(PeerState.CONNECTING)
            self._ensure_watched()

        async def restart() -> None:
            if before is not None:
                before.cancel()
                await asyncio.gather(before, return_exceptions=True)
            if await connect() and self._link is not None and self._link.connected:
                self._set_state(PeerState.CONNECTED)
                self.request_keyframe()
                self._on_keyframe_needed()

        self._restarting = asyncio.ensure_future(restart())

    async def _watch(self) -> None:
        """Our own clocks: for connecting, and for a peer that went without a word."""
        while self._state not in (PeerState.FAILED, PeerState.CLOSED):
            await asyncio.sleep(WATCH_EVERY_S)
            link = self._link
            if link is None or (self._restarting is not None and not self._restarting.done()):
                continue
            if link.video_in is not None and link.video_out is not None and link.video_out.rtt is not None:
                link.video_in.set_rtt(link.video_out.rtt)
            if self._state is PeerState.CONNECTING:
                if time.monotonic() - self._connecting_since > self._config.connect_timeout_s:
                    self._set_state(PeerState.FAILED)
            elif self._state is PeerState.CONNECTED and link.idle_s > self._config.idle_timeout_s:
                self._set_state(PeerState.FAILED)

    def stats(self) -> PeerStats:
        link = self._link
        receive, send = (link.video_in, link.video_out) if link else (None, None)
        now = time.monotonic()
        buffer = receive.buffer if receive else None
        return PeerStats(
            state=self._state,
            codec_in=self.codec_in,
            codec_out=self.codec_out,
            rtt_s=send.rtt if send else None,
            bitrate_in_bps=receive.meter.rate(now) if receive else 0,
            bitrate_out_bps=send.meter.rate(now) if send else 0,
            target_bitrate_bps=self._rate.target,
            packets_received=receive.packets if receive else 0,
            packets_missing=buffer.noticed if buffer else 0,
            packets_abandoned=buffer.abandoned if buffer else 0,
            nacks_sent=receive.nacks_sent if receive else 0,
            frames_received=buffer.frames if buffer else 0,
            frames_dropped=buffer.dropped if buffer else 0,
            plis_sent=receive.plis_sent if receive else 0,
            jitter_s=receive.jitter_s if receive else 0.0,
            packets_sent=send.packets_sent if send else 0,
            retransmitted=send.retransmitted if send else 0,
            loss_out=self._rate.loss,
            frames_sent=send.frames_sent if send else 0,
            frames_unsent=send.frames_unsent if send else 0,
            send_queue_bytes=send.queued_bytes if send else 0,
            datagrams_refused=link.refused if link else 0,
        )

    async def close(self) -> None:
        """Idempotent; within `close_timeout_s` or so nothing of this peer is left."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._keyframe_timer is not None:
            self._keyframe_timer.cancel()
        tasks = [t for t in (self._watching, self._restarting) if t is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._signalling:
            if self._link is not None:
                await self._link.close()
        self._set_state(PeerState.CLOSED)
