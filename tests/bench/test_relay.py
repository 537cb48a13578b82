"""The relay spoils what it is told to, the same way each time, and leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from tests.relay import Link, Path, Relay, Sight

LOSSY = Path(loss=0.05, jitter_ms=40, reorder=0.5)


def plans(path: Path, seed: int, count: int = 2000) -> list[float | None]:
    link = Link(path, seed)
    return [link.plan(1000, i * 0.004) for i in range(count)]


def test_same_seed_same_fates_another_seed_other_ones():
    assert plans(LOSSY, 3) == plans(LOSSY, 3)
    assert plans(LOSSY, 3) != plans(LOSSY, 4)


def test_loses_the_share_it_was_told():
    lost = plans(LOSSY, 1).count(None)
    assert 60 <= lost <= 140  # 5 % of 2000, four standard deviations either way


def test_fates_of_loss_do_not_depend_on_jitter():
    lost = [out is None for out in plans(LOSSY, 1)]
    assert lost == [out is None for out in plans(Path(loss=0.05), 1)]


def test_jitter_stays_within_its_bound_and_uses_it():
    waits = [
        out - i * 0.004 for i, out in enumerate(plans(Path(jitter_ms=40, reorder=1), 2)) if out is not None
    ]
    assert min(waits) >= 0
    assert max(waits) <= 0.04 + 1e-9
    assert max(waits) > 0.035


def test_without_reordering_order_is_kept():
    outs = [out for out in plans(Path(jitter_ms=40), 2) if out is not None]
    assert outs == sorted(outs)
    free = [out for out in plans(Path(jitter_ms=40, reorder=1), 2) if out is not None]
    assert free != sorted(free)


def test_rate_spaces_packets_and_a_full_queue_loses_them():
    link = Link(Path(rate_bps=800_000, queue_bytes=3000), 1)
    outs = [link.plan(1000, 0.0) for _ in range(6)]
    assert outs[:3] == pytest.approx([0.01, 0.02, 0.03])
    assert outs[3:] == [None] * 3
    assert link.lost == 3


def test_an_untouched_path_is_clean():
    assert Path().clean
    assert not Path(loss=0.01).clean


def rtp(seq: int, timestamp: int, payload_type: int = 96) -> bytes:
    return bytes([0x80, payload_type]) + seq.to_bytes(2, "big") + timestamp.to_bytes(4, "big") + bytes(20)


def test_sight_joins_packets_by_timestamp_and_counts_none_twice():
    sight = Sight(96)
    for now, packet in enumerate([rtp(1, 900), rtp(2, 900), rtp(3, 3900), rtp(2, 900), rtp(4, 900, 97)]):
        sight.look(packet, now)
    sight.look(b"", 9)
    sight.look(b"\x00\x01" + bytes(30), 9)  # STUN
    assert set(sight.frames) == {900, 3900}
    assert (sight.frames[900].first_ns, sight.frames[900].last_ns, sight.frames[900].packets) == (0, 1, 2)


def test_sight_is_bounded():
    sight = Sight(96, max_frames=10)
    for i in range(50):
        sight.look(rtp(i, i), i)
    assert sorted(sight.frames) == list(range(40, 50))


class Peer(asyncio.DatagramProtocol):
    """Keeps what it hears; answers where told to."""

    def __init__(self, answers: bool = False) -> None:
        self.heard: list[bytes] = []
        self.answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)
        if self.answers:
            self.transport.sendto(b"re:" + data, addr)


async def open_peer(answers: bool = False) -> Peer:
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(lambda: Peer(answers), local_addr=("127.0.0.1", 0))
    return peer


async def until(done, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not done():  # noqa: ASYNC110  # sockets tell nobody
            await asyncio.sleep(0.01)


async def test_two_clients_reach_the_server_and_each_hears_its_own_answers():
    server, one, two = await open_peer(answers=True), await open_peer(), await open_peer()
    relay = await Relay.open(server.transport.get_extra_info("sockname"))
    try:
        for i in range(20):
            one.transport.sendto(b"1-%d" % i, relay.address)
            two.transport.sendto(b"2-%d" % i, relay.address)
        await until(lambda: len(one.heard) >= 15 and len(two.heard) >= 15)
        assert all(data.startswith(b"re:1-") for data in one.heard)
        assert all(data.startswith(b"re:2-") for data in two.heard)
    finally:
        await relay.close()
        await relay.close()
        for peer in (server, one, two):
            peer.transport.close()


async def test_what_is_under_way_at_close_never_arrives_and_no_task_stays():
    server, client = await open_peer(), await open_peer()
    relay = await Relay.open(server.transport.get_extra_info("sockname"))
    tasks = asyncio.all_tasks()
    client.transport.sendto(b"clean", relay.address)
    await until(lambda: server.heard == [b"clean"])
    relay.impair(Path(delay_ms=200))
    client.transport.sendto(b"late", relay.address)
    await until(lambda: relay.up.passed == 1)
    await relay.close()
    await asyncio.sleep(0.3)
    assert server.heard == [b"clean"]
    assert asyncio.all_tasks() == tasks
    server.transport.close()
    client.transport.close()
