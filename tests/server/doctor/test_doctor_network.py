"""The candidates this host would offer, with a STUN server of the test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import aioice
import pytest
from aioice import stun

from server.config import Config
from server.doctor import network
from server.peer.types import IceServer


def candidate(kind: str, host: str) -> aioice.Candidate:
    return aioice.Candidate("f", 1, "udp", 1, host, 40_000, kind)


class Answering(asyncio.DatagramProtocol):
    """Tells everybody that they come from 203.0.113.7."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        asked = stun.parse_message(data)
        reply = stun.Message(asked.message_method, stun.Class.RESPONSE, asked.transaction_id)
        reply.attributes["XOR-MAPPED-ADDRESS"] = ("203.0.113.7", 4321)
        self._transport.sendto(bytes(reply), address)


@pytest.fixture
def stun_port() -> Iterator[int]:
    """A STUN server on a thread of its own: `candidates` runs a loop itself."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    port = 0

    async def serve() -> None:
        nonlocal port
        transport, _ = await loop.create_datagram_endpoint(Answering, local_addr=("0.0.0.0", 0))
        port = transport.get_extra_info("sockname")[1]
        ready.set()
        await stop.wait()
        transport.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="test-stun")
    thread.start()
    assert ready.wait(10)
    yield port
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def test_host_candidates_are_gathered_and_let_go() -> None:
    (finding,) = network.candidates(Config())
    kinds = {entry["type"] for entry in finding.facts["candidates"]}
    assert kinds <= {"host"}
    assert finding.ok == bool(finding.facts["candidates"])
    if finding.ok:
        assert "UDP ports" in finding.detail


def test_a_stun_server_that_answers(stun_port: int) -> None:
    url = f"stun:127.0.0.1:{stun_port}"
    offered, server = network.candidates(Config(ice_servers=(IceServer((url,)),)))
    if not any(entry["type"] == "host" for entry in offered.facts["candidates"]):
        pytest.skip("this machine has no network but loopback")
    assert server.name == f"ICE server {url}"
    assert server.ok
    assert "203.0.113.7" in server.detail
    assert "srflx 203.0.113.7" in offered.detail


def test_a_stun_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gather(_: tuple[IceServer, ...]) -> list[aioice.Candidate]:
        return [candidate("host", "192.0.2.1")]

    monkeypatch.setattr(network, "gather", gather)
    offered, server = network.candidates(Config(ice_servers=(IceServer(("stun:192.0.2.9:3478",)),)))
    assert offered.ok
    assert not server.ok
    assert not server.needed
    assert "firewall" in server.remedy


@pytest.mark.parametrize("error", [OSError("no route"), TimeoutError(), stun.TransactionTimeout()])
def test_gathering_that_fails_is_a_finding(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gather(_: tuple[IceServer, ...]) -> list[aioice.Candidate]:
        raise error

    monkeypatch.setattr(network, "gather", gather)
    (finding,) = network.candidates(Config())
    assert not finding.ok
    assert type(error).__name__ in finding.detail


def test_servers_that_are_no_addresses() -> None:
    (finding,) = network.candidates(Config(ice_servers=(IceServer(("http:nowhere",)),)))
    assert not finding.ok
    assert "stun:host:port" in finding.remedy


def test_inside_a_container_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = [candidate("host", "172.17.0.2")]

    async def gather(_: tuple[IceServer, ...]) -> list[aioice.Candidate]:
        return found

    monkeypatch.setattr(network, "gather", gather)
    monkeypatch.setattr(network, "_CONTAINER", tmp_path)
    (finding,) = network.candidates(Config())
    assert not finding.ok
    assert "network_mode: host" in finding.remedy
    found.append(candidate("srflx", "203.0.113.7"))
    assert network.candidates(Config())[0].ok


def test_where_the_system_does_not_tell_its_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(network, "_PORTS", tmp_path / "nothing")
    assert network._ports() == "1024-65535"
