"""Several publishers at once, one of which has a key and sends nonsense: it costs its own pictures alone."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise

import pytest

from server.rtmp import messages
from server.rtmp.chunks import Message
from tests.server.rtmp.rtmp_client import Client, avc_tags, metadata, rtmp_server
from tests.server.streams.stream_parts import KEY, Server, Watcher, clip, until


async def publishing(port: int, name: str) -> Client:
    client = await Client.open(port)
    await client.connect()
    assert (await client.publish(f"{name}?key={KEY}"))["code"] == "NetStream.Publish.Start"
    return client


async def watched(served: Server, name: str) -> Watcher:
    watcher = Watcher()
    stream = served.streams.get(name)
    assert stream is not None
    await stream.add_viewer(watcher)
    return watcher


async def send(client: Client, origin_ms: int = 0) -> None:
    for time_ms, payload in avc_tags(clip(frames=40), origin_ms):
        client.video(time_ms, payload)
        await asyncio.sleep(0.01)


async def nonsense(client: Client) -> None:
    """Behind a sequence header that is right: pictures whose lengths are wrong, or whose bits are."""
    config, (_, key), *_ = avc_tags(clip(frames=2))
    client.video(*config)
    for number in range(60):
        noise = os.urandom(300)
        broken = (
            key[:5] + len(noise).to_bytes(4, "big") + b"\x65" + noise[1:],
            key[:5] + noise,
            key[: len(key) // 2],
            noise,
            b"\x17\x00\x00\x00\x00" + noise,
            b"\x17",
        )[number % 6]
        client.video(number * 10, broken)
        client.audio(number * 10, b"\xaf" + noise)
        client.send(Message(messages.DATA, 0, 1, noise))
        await asyncio.sleep(0.005)


async def test_several_at_once_and_one_that_lies() -> None:
    async with rtmp_server() as (served, rtmp):
        for name in ("one", "two"):
            await served.stream(name)
        clients = [await publishing(rtmp.port, name) for name in ("cam", "one", "two")]
        watchers = [await watched(served, name) for name in ("cam", "one", "two")]
        for client in clients:
            client.send(metadata())
        await asyncio.gather(nonsense(clients[0]), send(clients[1]), send(clients[2]))
        for watcher in watchers[1:]:
            await until(lambda watcher=watcher: len(watcher.frames) > 20)  # type: ignore[misc]
            times = [frame.pts for frame in watcher.frames]
            assert all(0 < after - before < 90_000 for before, after in pairwise(times))
            assert not watcher.ends
        assert rtmp.connections in (2, 3), "it may have sent a codec that is not taken"
        for client in clients:
            client.close()


async def test_a_picture_that_breaks_off_is_lost_alone() -> None:
    async with rtmp_server() as (served, rtmp):
        client = await publishing(rtmp.port, "cam")
        watcher = await watched(served, "cam")
        tags = list(avc_tags(clip(frames=40)))
        client.video(*tags[0])
        for broken in (b"\x17", b"\x27\x01\x00\x00\x00\xff\xff\xff\xff\x41", b"\x17\x00\x00\x00\x00\x02"):
            client.video(0, broken)
        for tag in tags[1:]:
            client.video(*tag)
            await asyncio.sleep(0.01)
        await until(lambda: len(watcher.frames) > 15)
        (publisher,) = (peer._publisher for peer in rtmp._peers.values())
        assert publisher is not None
        assert publisher.lost == 3
        client.close()


async def test_a_defect_of_ours_ends_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rtmp_server() as (served, rtmp):
        good = await publishing(rtmp.port, "cam")
        watcher = await watched(served, "cam")

        def fail(*_: object) -> None:
            raise ZeroDivisionError

        bad = await Client.open(rtmp.port)
        await bad.connect()
        monkeypatch.setattr(served.streams, "get", fail)
        bad.call("publish", 5, None, f"cam?key={KEY}", "live", stream=1)
        assert "a defect of relens" in (await bad.status())["description"]
        assert await bad.gone()
        await send(good)
        await until(lambda: len(watcher.frames) > 10)
        good.close()
