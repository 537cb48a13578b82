"""How a stream fares, as server-sent events: at once, at changes, and never more than the listener reads."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpu.types import Edit
from server.listeners import Listeners
from server.routes import stream_events as routes
from server.streams.stream import Stream
from server.streams.types import StreamSettings, Target
from tests.server.streams.stream_parts import Caster
from tests.server.visitor import Served, serving, until

pytestmark = pytest.mark.realtime  # events as they happen


class Listener:
    """Reads a stream of events as HTML's EventSource does."""

    def __init__(self, served: Served, key: str = "") -> None:
        self._served = served
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ended = False

    async def listen(self) -> None:
        """Until the server ends it."""
        url = f"{self._served.base}/streams/live/events"
        async with self._served.http.get(url, headers=self._headers) as reply:
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            kind = ""
            async for line in reply.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.events.append((kind, msgspec.json.decode(value)))
        self.ended = True

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return [data for said, data in self.events if said == kind]


def live(served: Served) -> Stream:
    stream = served.state.streams.get("live")
    assert stream is not None
    return stream


async def test_facts_and_what_is_applied_are_told_until_the_stream_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "EVENT_S", 0.2)
    async with serving(data_dir=str(tmp_path)) as served:
        listener = Listener(served)
        listening = asyncio.ensure_future(listener.listen())
        await until(lambda: listener.heard("facts"))
        assert listener.heard("facts")[0]["state"] == "idle"
        await Caster(live(served)).publish()
        await until(lambda: listener.heard("facts")[-1]["state"] == "live")
        received = live(served).edit(Edit(prompt="", transition_ms=0))
        await until(lambda: [e for e in listener.heard("applied") if e["revision"] == received.revision])
        assert listener.heard("applied")[-1]["pts"] >= 0
        many = len(listener.events)
        await until(lambda: len(listener.events) > many + 1, what="facts at least every EVENT_S")
        await served.state.streams.delete("live")
        await asyncio.wait_for(listening, 10)
        assert len(served.state.streams.listeners) == 0


async def test_listeners_hear_what_their_key_opens_and_end_when_it_is_another(tmp_path: Path) -> None:
    keys = {"operator": "the-operators", "publisher": "publishers", "viewer": "viewers.", "stranger": ""}
    async with serving(data_dir=str(tmp_path), operator_key="the-operators") as served:
        target = Target(name="a platform", url="rtmp://127.0.0.1:9/app/key-of-it", enabled=False)
        settings = StreamSettings(key="publishers", view_key="viewers.", targets=(target,))
        await served.state.streams.put("live", settings)
        await Caster(live(served)).publish()
        await until(lambda: live(served).facts().width)
        heard = {who: Listener(served, key) for who, key in keys.items()}
        listening = {who: asyncio.ensure_future(one.listen()) for who, one in heard.items()}
        await until(lambda: all(one.heard("facts") for one in heard.values()))
        live(served).edit(Edit(prompt="a secret"))
        live(served).edit(Edit(prompt="", transition_ms=0))
        await until(lambda: all(heard[who].heard("applied") for who in keys if who != "stranger"))
        told = {who: str(one.events) for who, one in heard.items()}
        assert [who for who in keys if "a platform" in told[who]] == ["operator", "publisher"]
        assert [who for who in keys if "192.0.2.7" in told[who]] == ["operator"]
        assert [who for who in keys if "'width': 96" in told[who]] == ["operator", "publisher", "viewer"]
        assert {kind for kind, _ in heard["stranger"].events} == {"facts"}
        assert heard["stranger"].heard("facts")[-1]["needsKey"]
        await served.state.streams.put("live", msgspec.structs.replace(settings, key="of-tomorrow"))
        for who in ("publisher", "viewer", "stranger"):
            await asyncio.wait_for(listening[who], 10)
        assert not heard["operator"].ended
        await served.state.streams.delete("live")
        await asyncio.wait_for(listening["operator"], 10)


async def test_many_changes_are_told_as_one(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        listener = Listener(served)
        listening = asyncio.ensure_future(listener.listen())
        await until(lambda: listener.heard("facts"))
        for number in range(200):
            live(served).edit(Edit(prompt=f"edit {number}"))
        await until(
            lambda: live(served).edit_facts().revision == listener.heard("facts")[-1]["edit"]["revision"]
        )
        assert len(listener.heard("facts")) < 20
        listening.cancel()
        await until(lambda: len(served.state.streams.listeners) == 0, what="who hung up is not counted")


async def test_listeners_are_counted_and_end_with_the_server(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path), operator_key="the-operators") as served:
        served.state.streams.listeners = Listeners(1, kept_free=1)
        listener = Listener(served)
        listening = asyncio.ensure_future(listener.listen())
        await until(lambda: listener.heard("facts"))
        url = f"{served.base}/streams/live/events"
        async with served.http.get(url) as reply:
            assert reply.status == 503
            assert int(reply.headers["Retry-After"]) > 0
        operator = Listener(served, "the-operators")
        hearing = asyncio.ensure_future(operator.listen())
        await until(lambda: operator.heard("facts"), what="guests do not shut the operator out")
        async with served.http.get(url, headers={"Authorization": "Bearer the-operators"}) as reply:
            assert reply.status == 503
        async with served.http.get(f"{served.base}/streams/other/events") as reply:
            assert reply.status == 404
        served.state.places.draining = True  # as SIGTERM does
        for ending in (listening, hearing):
            await asyncio.wait_for(ending, 10)
        assert listener.ended
        async with served.http.head(url) as reply:
            assert reply.status == 200
            assert reply.content_type == routes.SSE


async def test_whose_place_another_gets_is_ended(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path), operator_key="the-operators") as served:
        served.state.streams.listeners = Listeners(2, fewest_each=2)
        first, second = Listener(served), Listener(served)
        ending = asyncio.ensure_future(first.listen())
        await until(lambda: first.heard("facts"))
        staying = asyncio.ensure_future(second.listen())
        await until(lambda: second.heard("facts"))
        url = f"{served.base}/streams/live/events"
        async with served.http.get(url, headers={"X-Forwarded-For": "203.0.113.9"}) as reply:
            assert reply.status == 200
            await asyncio.wait_for(ending, 10)
            assert first.ended
            assert not staying.done()
        staying.cancel()


async def test_who_reads_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "GAP_S", 0.0)
    monkeypatch.setattr(routes, "WRITE_S", 0.3)
    async with serving(data_dir=str(tmp_path)) as served:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", int(served.base.rpartition(":")[2])))
            await loop.sock_sendall(deaf, b"GET /streams/live/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: len(served.state.streams.listeners) == 1)

            async def change() -> None:
                while True:
                    live(served).edit(Edit(prompt="\N{SNOWMAN}" * 2000))
                    await asyncio.sleep(0)

            changing = asyncio.ensure_future(change())
            try:
                await until(lambda: len(served.state.streams.listeners) == 0, 30)
            finally:
                changing.cancel()
        finally:
            deaf.close()
