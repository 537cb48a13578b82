"""A UDP relay that spoils a path on purpose: loss, delay, jitter, reordering, a rate. Seeded, in-process.

Knows datagrams and the clear part of RTP headers (SRTP leaves them readable); knows no SDP, no sessions.
What happens to the n-th datagram of a direction follows from the seed alone, so a run can be repeated.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

MAX_MAPPINGS = 64  # client addresses one relay follows; more are ignored
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Path:
    """What one direction does to datagrams. The default harms nothing.

    loss, reorder: 0..1. `jitter_ms` is drawn evenly from [0, jitter_ms] for each datagram; those drawn by
    `reorder` may overtake, the others keep their order. `rate_bps` 0 means no limit; what does not fit in
    `queue_bytes` is lost.
    """

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    rate_bps: int = 0
    queue_bytes: int = 64_000

    @property
    def clean(self) -> bool:
        return self == Path()


class Link:
    """One direction: decides when each datagram leaves, or that it never does. No I/O, no clock."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self._draw = random.Random(seed)
        self._in_order_until_s = 0.0
        self._busy_until_s = 0.0
        self.passed = 0
        self.lost = 0

    def plan(self, size_bytes: int, now_s: float) -> float | None:
        """When a datagram that came at `now_s` is handed on (same clock), or None when it is lost."""
        path = self.path
        # three draws for every datagram, used or not: the fate of one does not shift the next ones'
        lost, jitter, overtakes = self._draw.random(), self._draw.random(), self._draw.random()
        if lost < path.loss:
            self.lost += 1
            return None
        out_s = now_s
        if path.rate_bps:
            waiting_bytes = max(0.0, self._busy_until_s - now_s) * path.rate_bps / 8
            if waiting_bytes + size_bytes > path.queue_bytes:
                self.lost += 1
                return None
            self._busy_until_s = max(now_s, self._busy_until_s) + size_bytes * 8 / path.rate_bps
            out_s = self._busy_until_s
        out_s += (path.delay_ms + jitter * path.jitter_ms) / 1e3
        if overtakes >= path.reorder:
            out_s = self._in_order_until_s = max(out_s, self._in_order_until_s)
        self.passed += 1
        return out_s


@dataclass(slots=True)
class FramePackets:
    """The packets of one RTP timestamp as they passed the relay, first transmissions only."""

    first_ns: int
    last_ns: int
    packets: int = 0
    size_bytes: int = 0
    seen: set[int] = field(default_factory=set)


class Sight:
    """The frames seen in one direction, by RTP timestamp. Bounded: the oldest are forgotten."""

    def __init__(self, payload_type: int, max_frames: int = 100_000) -> None:
        self.payload_type = payload_type
        self.frames: dict[int, FramePackets] = {}
        self._max_frames = max_frames

    def look(self, data: bytes, now_ns: int) -> None:
        if len(data) < 12 or data[0] >> 6 != 2 or data[1] & 0x7F != self.payload_type:
            return  # not RTP of our video (RFC 7983 §7, RFC 5761 §4)
        seq, timestamp = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:8], "big")
        frame = self.frames.get(timestamp)
        if frame is None:
            if len(self.frames) >= self._max_frames:
                del self.frames[next(iter(self.frames))]
            frame = self.frames[timestamp] = FramePackets(now_ns, now_ns)
        if seq in frame.seen:
            return
        frame.seen.add(seq)
        frame.last_ns = now_ns
        frame.packets += 1
        frame.size_bytes += len(data)


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own is not a subclass

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._received(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        pass  # an ICMP refusal while an end goes away: UDP loses, so do we


class Relay:
    """Stands between one client and one server like a NAT: each client address gets its own socket upstream.

    `await Relay.open(server, ...)`, hand `address` to the client in place of the server's, `await close()`.
    `up` and `down` may be exchanged while it runs; `up_sight` and `down_sight` note RTP frames where asked.
    """

    def __init__(self, server: Address, seed: int = 1, host: str = "127.0.0.1") -> None:
        self.server = server
        self.up = Link(Path(), seed * 2)
        self.down = Link(Path(), seed * 2 + 1)
        self.up_sight: Sight | None = None
        self.down_sight: Sight | None = None
        self.delivered = 0
        self._seed = seed
        self._host = host
        self._front: _Socket | None = None
        self._backs: dict[Address, _Socket] = {}
        self._opening: dict[Address, asyncio.Task[None]] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._closed = False

    @classmethod
    async def open(cls, server: Address, seed: int = 1, host: str = "127.0.0.1") -> Relay:
        relay = cls(server, seed, host)
        loop = asyncio.get_running_loop()
        front = _Socket(relay._from_client)
        await loop.create_datagram_endpoint(lambda: front, local_addr=(host, 0))
        relay._front = front
        return relay

    @property
    def address(self) -> Address:
        assert self._front is not None
        assert self._front.transport is not None
        host, port = self._front.transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def impair(self, path: Path, down: Path | None = None) -> None:
        """From now on: `path` up, and down too unless `down` says otherwise. The draws start anew."""
        self.up = Link(path, self._seed * 2)
        self.down = Link(path if down is None else down, self._seed * 2 + 1)

    def _from_client(self, data: bytes, client: Address) -> None:
        if self.up_sight is not None:
            self.up_sight.look(data, time.monotonic_ns())
        back = self._backs.get(client)
        if back is not None:
            self._carry(self.up, back, data, self.server)
        elif client not in self._opening and len(self._backs) + len(self._opening) < MAX_MAPPINGS:
            self._opening[client] = asyncio.ensure_future(self._map(client, data))

    async def _map(self, client: Address, data: bytes) -> None:
        back = _Socket(lambda reply, _: self._from_server(reply, client))
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: back, local_addr=(self._host, 0))
        self._backs[client] = back
        self._opening.pop(client, None)
        self._carry(self.up, back, data, self.server)

    def _from_server(self, data: bytes, client: Address) -> None:
        if self.down_sight is not None:
            self.down_sight.look(data, time.monotonic_ns())
        if self._front is not None:
            self._carry(self.down, self._front, data, client)

    def _carry(self, link: Link, socket: _Socket, data: bytes, to: Address) -> None:
        if self._closed:
            return
        if link.path.clean:
            self._send(socket, data, to)
            link.passed += 1
            return
        loop = asyncio.get_running_loop()
        out_s = link.plan(len(data), loop.time())
        if out_s is None:
            return

        def deliver() -> None:
            self._timers.discard(timer)
            self._send(socket, data, to)

        timer = loop.call_at(out_s, deliver)
        self._timers.add(timer)

    def _send(self, socket: _Socket, data: bytes, to: Address) -> None:
        if socket.transport is not None and not socket.transport.is_closing():
            socket.transport.sendto(data, to)
            self.delivered += 1

    async def close(self) -> None:
        """Idempotent; what is still under way is dropped."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        for socket in (self._front, *self._backs.values()):
            if socket is not None and socket.transport is not None:
                socket.transport.close()
        self._backs.clear()
        await asyncio.sleep(0)
