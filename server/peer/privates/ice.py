"""The datagrams under a connection: aioice guarded, bounded, and exchangeable while DTLS above goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aioice
from aiortc import RTCIceServer
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import connection_kwargs
from aiortc.rtp import RtpPacket, is_rtcp

from server.peer.types import IceServer

logger = logging.getLogger(__name__)
MAX_DATAGRAMS = 4096  # received, waiting for the loop
MAX_FAULTS = 10_000  # malformed packets of an authenticated peer before its transport is let fail
MALFORMED = (ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error)


def ice_servers(servers: tuple[IceServer, ...]) -> list[RTCIceServer]:
    return [RTCIceServer(list(s.urls), s.username, s.credential) for s in servers]


def check_ice_servers(servers: tuple[IceServer, ...]) -> None:
    """Raises ValueError for an address that is none."""
    connection_kwargs(ice_servers(servers))


class IcePath:
    """The datagrams of one connection: guarded, bounded, and going on over an ICE restart.

    Takes the place of aioice's queue under a DTLS transport, so that the aioice connection can be exchanged
    while DTLS, SRTP and SCTP above go on.
    """

    def __init__(self, dtls: RTCDtlsTransport, servers: tuple[IceServer, ...], max_ssrcs: int) -> None:
        self._dtls = cast(Any, dtls)
        self._ice = cast(Any, dtls.transport)
        self._servers = servers
        self._max_ssrcs = max_ssrcs
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_DATAGRAMS)
        self._active: aioice.Connection = self._ice._connection
        self._closed = False
        self._faults = 0
        self.refused = 0
        self.last_heard = time.monotonic()
        self._adopt(self._active)
        self._ice._recv = self._recv
        self._ice._send = self._send
        self._stop_ice: Callable[[], Awaitable[None]] = self._ice.stop
        self._ice.stop = self._stop
        self._recv_next: Callable[[], Awaitable[None]] = self._dtls._recv_next
        self._dtls._recv_next = self._tolerate
        self._route_rtp = self._dtls._rtp_router.route_rtp
        self._dtls._rtp_router.route_rtp = self._route

    @property
    def connected(self) -> bool:
        return bool(self._active._nominated)

    # what comes in

    def _adopt(self, connection: Any) -> None:
        consent = connection.query_consent

        async def query_consent() -> None:
            if not connection._closing:  # aioice starts it even where it was closed while connecting
                await consent()

        connection.query_consent = query_consent
        connection.data_received = self._data_received

    def guard_sockets(self) -> None:
        """To be called once candidates are gathered: before that there are no sockets."""
        for protocol in self._ice._connection._protocols:
            if "datagram_received" not in vars(protocol):
                protocol.datagram_received = _guarded(self, protocol, protocol.datagram_received)

    def _data_received(self, data: bytes, component: int) -> None:
        if len(data) < 12 or data[0] < 20 or self._queue.full() or not self._wanted(data):
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
        """One received datagram; a malformed one is counted and forgotten; aiortc would end the session."""
        try:
            await self._recv_next()
        except MALFORMED as exc:
            self._faults += 1
            self.refused += 1
            logger.debug("malformed packet from an authenticated peer: %r", exc)
            if self._faults > MAX_FAULTS:
                raise

    async def _send(self, data: bytes) -> None:
        with contextlib.suppress(
            ConnectionError
        ):  # as any lost datagram; the peer is given up by time, not by this
            await self._active.send(data)

    # restart

    async def restart(self, ufrag: str, pwd: str, within_s: float) -> Callable[[], Awaitable[bool]]:
        """Gathers anew, so that an answer made after this names the new ufrag; -> what connects it.

        The old path carries on until the new one is nominated, and stays where it never is.
        """
        await self._abandon_restart()
        old = self._active
        servers = connection_kwargs(ice_servers(self._servers))
        new = cast(Any, aioice.Connection(ice_controlling=old.ice_controlling, **servers))
        new.remote_is_lite, new.remote_username, new.remote_password = old.remote_is_lite, ufrag, pwd
        self._adopt(new)
        try:
            await new.gather_candidates()
        except BaseException:
            await new.close()
            raise
        self._use(new)
        self.guard_sockets()
        return lambda: self._connect(new, within_s)

    def _use(self, connection: aioice.Connection) -> None:
        """What signalling speaks of from now on."""
        self._ice._connection = self._ice.iceGatherer._connection = connection

    async def _connect(self, new: aioice.Connection, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await new.connect()
        except (ConnectionError, TimeoutError):
            if self._ice._connection is new:
                await self._abandon_restart()
            return False
        if self._ice._connection is not new or self._closed:
            return False
        before, self._active = self._active, new
        self.last_heard = time.monotonic()
        monitor = self._ice._RTCIceTransport__monitor_task  # of the old one: its end is no failure now
        if monitor is not None:
            monitor.cancel()
            await asyncio.gather(monitor, return_exceptions=True)
        self._ice._RTCIceTransport__monitor_task = asyncio.ensure_future(self._ice._monitor())
        self._ice._RTCIceTransport__setState("completed")
        await before.close()
        return True

    async def _abandon_restart(self) -> None:
        pending = self._ice._connection
        if pending is not self._active:
            self._use(self._active)
            await pending.close()

    async def add_candidate(self, candidate: aioice.Candidate) -> None:
        await self._ice._connection.add_remote_candidate(candidate)

    async def _stop(self) -> None:
        await self._abandon_restart()  # or the monitor of the path in use is waited for in vain
        await self._stop_ice()

    async def close(self) -> None:
        """After the connection above is closed: ends what still waits here."""
        self._closed = True
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
        await self._active.close()


def _guarded(
    path: IcePath, protocol: Any, inner: Callable[[bytes, tuple[Any, ...]], None]
) -> Callable[[bytes, tuple[Any, ...]], None]:
    known: set[tuple[str, int]] = set()

    def is_known(source: tuple[str, int]) -> bool:
        if source in known:
            return True
        pairs = protocol.receiver._check_list
        found = any(p.protocol is protocol and p.remote_addr == source for p in pairs)
        if found and len(known) < 64:
            known.add(source)
        return found

    def datagram_received(data: bytes, addr: tuple[Any, ...]) -> None:
        expected = is_known((addr[0], addr[1]))
        if expected:
            path.last_heard = time.monotonic()
        if len(data) >= 20 and data[0] < 2:  # STUN (RFC 7983), which authenticates itself
            try:
                inner(data, addr)
            except MALFORMED as exc:
                path.refused += 1
                logger.debug("malformed STUN: %r", exc)
        elif expected:
            protocol.receiver.data_received(data, protocol.local_candidate.component)
        else:
            path.refused += 1

    return datagram_received
