"""Listens for RTMP, runs a peer for each connection, ends them all. Knows no protocol."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time

from gpu.types import Codec
from server.rtmp.aac_fan import AacFan
from server.rtmp.limits import RtmpLimits
from server.rtmp.peer import RtmpPeer
from server.streams.streams import Streams

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 3.0
_LOG_EVERY_S = 1.0


class RtmpServer:
    """Loop thread only. `start`, then `close`."""

    def __init__(
        self,
        host: str,
        port: int,
        streams: Streams,
        codecs: tuple[Codec, ...],
        limits: RtmpLimits | None = None,
    ) -> None:
        """`port` 0: a free one. `codecs`: of video that publishers may send."""
        self._host, self._asked_port, self._streams, self._codecs = host, port, streams, codecs
        self._limits = limits or RtmpLimits()
        self._server: asyncio.Server | None = None
        self._peers: dict[asyncio.Task[None], RtmpPeer] = {}
        self._fans: dict[str, AacFan] = {}
        self._logged_s = 0.0

    @property
    def port(self) -> int:
        """Where it listens; 0 before `start`."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    @property
    def connections(self) -> int:
        return len(self._peers)

    async def start(self) -> None:
        """Raises OSError where the address cannot be listened on."""
        self._server = await asyncio.start_server(
            self._came, self._host, self._asked_port, limit=2 * self._limits.read_bytes
        )

    async def close(self) -> None:
        """End every connection; bounded in time."""
        if self._server is not None:
            self._server.close()
        for peer in self._peers.values():
            peer.end("going-away", "the server stops: connect again")
        tasks = list(self._peers)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._server.wait_closed()

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = RtmpPeer(reader, writer, self._streams, self._codecs, self._limits, self._fan)
        if not self._has_room(peer.address):
            writer.transport.abort()
            return
        connection: socket.socket | None = writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
            )  # players say nothing by themselves
        task = asyncio.get_running_loop().create_task(peer.run(), name=f"rtmp-{peer.address}")
        self._peers[task] = peer
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        del self._peers[task]
        if not task.cancelled() and task.exception() is not None:
            log.error("an RTMP connection failed", exc_info=task.exception())

    def _has_room(self, address: str) -> bool:
        strangers = sum(peer.is_stranger and peer.address == address for peer in self._peers.values())
        if len(self._peers) < self._limits.connections and strangers < self._limits.strangers:
            return True
        now_s = time.monotonic()
        if now_s - self._logged_s > _LOG_EVERY_S:
            self._logged_s = now_s
            log.warning("RTMP from %s: no room for another connection", address)
        return False

    def _fan(self, name: str) -> AacFan:
        return self._fans.setdefault(name, AacFan())
