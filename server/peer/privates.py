"""The only place that touches what aiortc 1.16.0 and aioice 0.13.0 keep to themselves.

Everything is done per instance; nothing of theirs is changed for others in the same process. What is relied on is
listed in PINNED with its shape, and tests/server/peer/test_privates.py holds it to the installed versions.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aioice
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc import clock as aiortc_clock
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport, connection_kwargs
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, is_rtcp, pack_remb_fci, unpack_remb_fci, wrap_rtx

from .types import IceServer

__all__ = ["RemoteBitrateEstimator", "RtpPacket", "pack_remb_fci", "unpack_remb_fci", "wrap_rtx"]

logger = logging.getLogger(__name__)
MAX_DATAGRAMS = 4096  # received, waiting for the loop
MAX_FAULTS = 10_000  # malformed packets of an authenticated peer before its transport is let fail


def _ice_servers(servers: tuple[IceServer, ...]) -> list[RTCIceServer]:
    return [RTCIceServer(list(s.urls), s.username, s.credential) for s in servers]


def open_connection(servers: tuple[IceServer, ...]) -> RTCPeerConnection:
    """One transport for everything, and no STUN server that was not asked for."""
    return RTCPeerConnection(RTCConfiguration(_ice_servers(servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


def dtls_of(pc: RTCPeerConnection) -> RTCDtlsTransport:
    transceivers = pc.getTransceivers()
    transport: RTCDtlsTransport = transceivers[0].receiver.transport if transceivers else pc.sctp.transport
    return transport


class IcePath:
    """The datagrams of one connection: guarded, bounded, and going on over an ICE restart.

    Takes the place of aioice's queue under a DTLS transport, so that the aioice connection can be exchanged while
    DTLS, SRTP and SCTP above go on.
    """

    def __init__(self, dtls: RTCDtlsTransport, servers: tuple[IceServer, ...], max_ssrcs: int) -> None:
        self._dtls = dtls
        self._ice: RTCIceTransport = dtls.transport
        self._servers = servers
        self._max_ssrcs = max_ssrcs
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_DATAGRAMS)
        self._active: aioice.Connection = self._ice._connection
        self._closed = False
        self._faults = 0
        self.refused = 0
        self.last_heard = time.monotonic()
        self._guard_queue(self._active)
        self._ice._recv = self._recv
        self._ice._send = self._send
        self._recv_next: Callable[[], Awaitable[None]] = dtls._recv_next
        dtls._recv_next = self._tolerate
        self._route_rtp = dtls._rtp_router.route_rtp
        dtls._rtp_router.route_rtp = self._route

    @property
    def connected(self) -> bool:
        return bool(self._active._nominated)

    @property
    def remote_ufrag(self) -> str | None:
        ufrag: str | None = self._ice._connection.remote_username
        return ufrag

    # what comes in

    def _guard_queue(self, connection: aioice.Connection) -> None:
        connection.data_received = self._data_received

    def guard_sockets(self) -> None:
        """To be called once candidates are gathered: before that there are no sockets."""
        for protocol in self._ice._connection._protocols:
            if "datagram_received" not in vars(protocol):
                protocol.datagram_received = _guarded(self, protocol, protocol.datagram_received)

    def _data_received(self, data: bytes, component: int) -> None:
        if len(data) < 12 or self._queue.full() or not self._wanted(data):
            self.refused += 1
            return
        self._queue.put_nowait(data)

    def _wanted(self, data: bytes) -> bool:
        """No new SSRC beyond the cap: libsrtp, the router and statistics keep state for each for ever."""
        if data[0] >> 6 != 2 or is_rtcp(data):
            return True
        table = self._dtls._rtp_router.ssrc_table
        return len(table) < self._max_ssrcs or int.from_bytes(data[8:12], "big") in table

    def _route(self, packet: RtpPacket) -> Any:
        table = self._dtls._rtp_router.ssrc_table
        if packet.ssrc not in table and len(table) >= self._max_ssrcs:
            return None
        return self._route_rtp(packet)

    async def _recv(self) -> bytes:
        data = None if self._closed else await self._queue.get()
        if data is None:
            raise ConnectionError("closed")
        return data

    async def _tolerate(self) -> None:
        """One received datagram; a malformed one is counted and forgotten, where aiortc would end the session."""
        try:
            await self._recv_next()
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, AssertionError, struct.error) as exc:
            self._faults += 1
            self.refused += 1
            logger.debug("malformed packet from an authenticated peer: %r", exc)
            if self._faults > MAX_FAULTS:
                raise

    async def _send(self, data: bytes) -> None:
        try:
            await self._active.send(data)
        except ConnectionError:
            pass  # as any lost datagram; the peer is given up by time, not by this

    # restart

    async def restart(self, ufrag: str, pwd: str, candidates: list[aioice.Candidate], timeout: float) -> Callable[[], Awaitable[bool]]:
        """Gathers anew, so that an answer made after this names the new ufrag; -> what connects it.

        The old path carries on until the new one is nominated, and stays where it never is.
        """
        old, gatherer = self._ice._connection, self._ice.iceGatherer
        new = aioice.Connection(ice_controlling=old.ice_controlling, **connection_kwargs(_ice_servers(self._servers)))
        new.remote_is_lite, new.remote_username, new.remote_password = old.remote_is_lite, ufrag, pwd
        self._guard_queue(new)
        try:
            await new.gather_candidates()
        except BaseException:
            await new.close()
            raise
        if old is not self._active:  # a restart on top of one that has not connected
            await old.close()
        self._ice._connection = gatherer._connection = new
        self._ice._remote_candidates_end = False
        self.guard_sockets()
        for candidate in candidates:
            await new.add_remote_candidate(candidate)

        async def connect() -> bool:
            try:
                await asyncio.wait_for(new.connect(), timeout)
            except (ConnectionError, TimeoutError):
                await new.close()
                return False
            if self._ice._connection is not new or self._closed:
                await new.close()
                return False
            before, self._active = self._active, new
            monitor = self._ice._RTCIceTransport__monitor_task
            if monitor is not None:
                monitor.cancel()
                await asyncio.gather(monitor, return_exceptions=True)
            self._ice._RTCIceTransport__monitor_task = asyncio.ensure_future(self._ice._monitor())
            self._ice._RTCIceTransport__setState("completed")
            await before.close()
            return True

        return connect

    async def add_candidate(self, candidate: aioice.Candidate) -> None:
        await self._ice._connection.add_remote_candidate(candidate)

    async def close(self) -> None:
        """After the connection above is closed: ends what waits here and what a restart left."""
        self._closed = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        for connection in {self._active, self._ice._connection}:
            await connection.close()


def _guarded(path: IcePath, protocol: Any, inner: Callable[[bytes, tuple[Any, ...]], None]) -> Callable[..., None]:
    known: set[tuple[str, int]] = set()

    def datagram_received(data: bytes, addr: tuple[Any, ...]) -> None:
        if len(data) < 12:
            path.refused += 1
            return
        if data[0] > 3:  # not STUN (RFC 7983)
            source = (addr[0], addr[1])
            if source not in known:
                pairs = protocol.receiver._check_list
                if not any(p.protocol is protocol and p.remote_addr == source for p in pairs):
                    path.refused += 1
                    return
                if len(known) < 64:
                    known.add(source)
            path.last_heard = time.monotonic()
            protocol.receiver.data_received(data, protocol.local_candidate.component)
            return
        if data[0] > 1 or len(data) < 20:
            path.refused += 1
            return
        try:
            inner(data, addr)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, struct.error) as exc:
            path.refused += 1
            logger.debug("malformed STUN: %r", exc)

    return datagram_received


class ReceiverPort:
    """A receiver of aiortc whose packets come to us; it keeps its RTCP reports, and starts no decoder."""

    def __init__(self, receiver: RTCRtpReceiver, on_packet: Callable[[RtpPacket, int], None]) -> None:
        self._receiver = receiver
        self._on_packet = on_packet
        self.codecs: dict[int, RTCRtpCodecParameters] = {}
        receiver._handle_rtp_packet = self._handle
        receiver.receive = self._receive

    async def _receive(self, parameters: RTCRtpReceiveParameters) -> None:
        receiver: Any = self._receiver
        if receiver._RTCRtpReceiver__started:
            return
        receiver._RTCRtpReceiver__started = True
        self.codecs = {codec.payloadType: codec for codec in parameters.codecs if codec.payloadType is not None}
        receiver.transport._register_rtp_receiver(receiver, parameters)
        receiver._RTCRtpReceiver__rtcp_task = asyncio.ensure_future(receiver._run_rtcp())

    async def _handle(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        codec = self.codecs.get(packet.payload_type)
        if codec is None:
            return
        streams = self._receiver._RTCRtpReceiver__remote_streams
        if packet.ssrc not in streams:
            streams[packet.ssrc] = StreamStatistics(codec.clockRate)
        streams[packet.ssrc].add(packet)
        self._on_packet(packet, arrival_time_ms)

    @property
    def rtcp_ssrc(self) -> int:
        ssrc: int = self._receiver._RTCRtpReceiver__rtcp_ssrc
        return ssrc

    def jitter(self, ssrc: int) -> int:
        """In ticks of the codec's clock."""
        stream = self._receiver._RTCRtpReceiver__remote_streams.get(ssrc)
        return int(stream.jitter) if stream else 0

    async def send_nack(self, ssrc: int, lost: list[int]) -> None:
        await self._receiver._send_rtcp_nack(ssrc, lost)

    async def send_pli(self, ssrc: int) -> None:
        await self._receiver._send_rtcp_pli(ssrc)

    async def send_rtcp(self, packet: Any) -> None:
        await self._receiver._send_rtcp(packet)


class SenderPort:
    """A sender of aiortc whose loop, history and feedback are ours; it keeps its RTCP reports."""

    def __init__(
        self, sender: RTCRtpSender, run: Callable[[], Awaitable[None]], on_rtcp: Callable[[Any], Awaitable[None]]
    ) -> None:
        self._sender = sender
        self._run = run
        self._on_rtcp = on_rtcp
        self._inner_rtcp: Callable[[Any], Awaitable[None]] = sender._handle_rtcp_packet
        self.payload_type = 0
        sender._run_rtp = self._run_rtp
        sender._handle_rtcp_packet = self._handle_rtcp

    async def _run_rtp(self, codec: RTCRtpCodecParameters) -> None:
        sender: Any = self._sender
        self.payload_type = codec.payloadType or 0
        sender._RTCRtpSender__rtp_started.set()
        try:
            await self._run()
        except asyncio.CancelledError:
            pass  # how aiortc stops it; it waits for the event below
        finally:
            sender._RTCRtpSender__rtp_exited.set()

    async def _handle_rtcp(self, packet: Any) -> None:
        await self._on_rtcp(packet)
        if not hasattr(packet, "fmt"):  # reports: statistics and the round trip
            await self._inner_rtcp(packet)

    @property
    def ssrc(self) -> int:
        ssrc: int = self._sender._ssrc
        return ssrc

    @property
    def rtx_ssrc(self) -> int:
        ssrc: int = self._sender._rtx_ssrc
        return ssrc

    @property
    def rtx_payload_type(self) -> int | None:
        payload_type: int | None = self._sender._RTCRtpSender__rtx_payload_type
        return payload_type

    @property
    def rtt(self) -> float | None:
        rtt: float | None = self._sender._RTCRtpSender__rtt
        return rtt

    async def send(self, packet: RtpPacket, count: bool = True) -> None:
        """Stamped and sent; sender reports tell this packet's clock. Raises ConnectionError when closed."""
        sender: Any = self._sender
        ntp = aiortc_clock.current_ntp_time()
        packet.extensions.abs_send_time = (ntp >> 14) & 0xFFFFFF
        packet.extensions.mid = sender._RTCRtpSender__mid
        extensions: HeaderExtensionsMap = sender._RTCRtpSender__rtp_header_extensions_map
        await sender.transport._send_rtp(packet.serialize(extensions))
        if count:
            sender._RTCRtpSender__ntp_timestamp = ntp
            sender._RTCRtpSender__rtp_timestamp = packet.timestamp
            sender._RTCRtpSender__octet_count += len(packet.payload)
            sender._RTCRtpSender__packet_count += 1
