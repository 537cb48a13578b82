"""What a browser that means harm can make a connection hold, or go on doing, has an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    DataChunk,
    ForwardTsnChunk,
)
from aiortc.rtp import RtpPacket

from server.peer.link import Link, LinkListener
from server.peer.offer import OfferedCodec
from server.peer.privates import bound_sctp
from server.peer.privates.sctp import MAX_CHUNKS, MAX_STREAMS
from server.peer.rate import RateControl
from server.peer.receive import VideoReceiver
from server.peer.types import PeerConfig

BASE = 1000
WHOLE = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG


@pytest.fixture
async def sctp() -> AsyncIterator[Any]:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("edits")
    bound_sctp(pc)
    association: Any = pc.sctp
    association._last_received_tsn = BASE
    yield association
    await pc.close()


def chunk(number: int, flags: int = 0, size: int = 1, stream: int = 0) -> DataChunk:
    """`number` counts from 1, the next one expected."""
    made = DataChunk(flags)
    made.tsn, made.stream_id = BASE + number, stream
    made.user_data = bytes(size)
    return made


def held(sctp: Any) -> int:
    return sum(len(s.reassembly) for s in sctp._inbound_streams.values())


async def test_a_message_without_end_is_refused_and_not_acknowledged(sctp: Any) -> None:
    await sctp._receive_data_chunk(chunk(1, SCTP_DATA_FIRST_FRAG, 1000))
    for i in range(2, 3000):
        await sctp._receive_data_chunk(chunk(i, 0, 1000))
    kept = held(sctp)
    assert kept * 1000 <= 2 << 20
    last = sctp._last_received_tsn
    sctp._sack_needed = False
    await sctp._receive_data_chunk(chunk(kept + 1, 0, 1000))
    assert (sctp._last_received_tsn, held(sctp)) == (last, kept)
    assert sctp._sack_needed  # the sender hears where it stands


async def test_small_fragments_are_bounded_by_number(sctp: Any) -> None:
    for i in range(1, 4000):
        await sctp._receive_data_chunk(chunk(i, 0))
    assert held(sctp) == 2 * MAX_CHUNKS


async def test_what_comes_before_its_turn_is_bounded_and_the_missing_one_frees_it(sctp: Any) -> None:
    got: list[int] = []

    async def receive(stream: int, protocol: int, data: bytes) -> None:
        got.append(len(data))

    sctp._receive = receive
    for i in range(2, 3000):
        await sctp._receive_data_chunk(chunk(i, WHOLE | SCTP_DATA_UNORDERED))
    assert len(sctp._sack_misordered) == MAX_CHUNKS == len(got)
    await sctp._receive_data_chunk(chunk(70_000, WHOLE))  # a SACK could not name it
    await sctp._receive_data_chunk(chunk(1, WHOLE))
    assert not sctp._sack_misordered
    assert len(got) == MAX_CHUNKS + 1
    await sctp._receive_data_chunk(chunk(MAX_CHUNKS + 2, WHOLE | SCTP_DATA_UNORDERED))
    assert len(got) == MAX_CHUNKS + 2


async def test_the_missing_fragment_is_taken_when_the_window_is_full(sctp: Any) -> None:
    got: list[int] = []

    async def receive(stream: int, protocol: int, data: bytes) -> None:
        got.append(len(data))

    sctp._receive = receive
    size = 65_536
    for i in range(2, 40):
        await sctp._receive_data_chunk(chunk(i, SCTP_DATA_LAST_FRAG if i == 17 else 0, size))
    assert sctp._advertised_rwnd == 0
    await sctp._receive_data_chunk(chunk(1, SCTP_DATA_FIRST_FRAG, size))
    assert got == [17 * size]
    assert (held(sctp), sctp._advertised_rwnd) == (0, 1 << 20)


async def test_streams_are_bounded(sctp: Any) -> None:
    for i in range(1, 500):
        await sctp._receive_data_chunk(chunk(i, WHOLE | SCTP_DATA_UNORDERED, stream=i))
    assert len(sctp._inbound_streams) == MAX_STREAMS
    forward = ForwardTsnChunk()
    forward.cumulative_tsn = sctp._last_received_tsn + 5
    forward.streams = [(i, 0) for i in range(5000)]
    await sctp._receive_forward_tsn_chunk(forward)
    assert len(sctp._inbound_streams) == MAX_STREAMS


def candidate(i: int) -> str:
    return f"candidate:1 1 udp 2130706431 192.0.2.{i % 250} {10_000 + i} typ host"


async def test_candidates_are_bounded_in_each_generation() -> None:
    taken: list[Any] = []

    class Path:
        async def add_candidate(self, candidate: Any) -> None:
            taken.append(candidate)

        async def restart(self, ufrag: str, pwd: str, within_s: float) -> Any:
            return lambda: None

    def offer(ufrag: str) -> Any:
        transport = SimpleNamespace(ufrag=ufrag, pwd="p")
        return SimpleNamespace(transport=transport, candidates=[], receive=None, send=None)

    async def nothing(offer: Any) -> str:
        return ""

    rate = RateControl(1, 1, 1, lambda bps: None)
    link: Any = Link(offer("a"), PeerConfig(), LinkListener(), rate)
    link._set_remote = link._answer = nothing
    link._path = Path()
    for _ in range(3):
        link.add_candidates([candidate(0)])
    for i in range(200):
        link.add_candidates([candidate(i)])
        await asyncio.sleep(0)
    assert len(taken) == 64 == len({c.port for c in taken})
    await link.reoffer(offer("a"))
    link.add_candidates([candidate(300)])
    await asyncio.sleep(0)
    assert len(taken) == 64
    await link.reoffer(offer("b"))
    link.add_candidates([candidate(i) for i in range(300, 400)])
    await asyncio.sleep(0)
    assert len(taken) == 128
    await link._pc.close()


class Transport:
    """As much of a DTLS transport as a receiver that never starts looks at."""

    state = "new"


@pytest.mark.parametrize("begun", [True, False])
async def test_a_packet_after_the_end_sets_no_timer(begun: bool) -> None:
    receiver: Any = VideoReceiver(
        RTCRtpReceiver("video", Transport()),  # type: ignore[arg-type]
        (OfferedCodec(96, "vp8"),),
        PeerConfig(),
        lambda frame: None,
        None,
    )

    def packet(sequence: int) -> RtpPacket:
        return RtpPacket(96, 0, sequence, 3000 * sequence, 7, b"\x10\x00picture")

    running = asyncio.ensure_future(receiver.run())
    if begun:
        await asyncio.sleep(0)
    receiver._packet(packet(1), 0)
    receiver._packet(packet(3), 0)
    assert receiver._timer is not None  # for the hole
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    if not begun:
        receiver.close()  # as its link does
    assert receiver._timer is None
    receiver._packet(packet(5), 0)
    receiver._on_timer()
    assert receiver._timer is None
    assert receiver.packets == 2
