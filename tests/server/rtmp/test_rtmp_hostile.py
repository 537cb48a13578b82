"""What strangers send to an open port: each is refused or let go in time, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from dataclasses import replace

import pytest

from gpu.types import EncodedFrame
from server.peer.types import EncodedAudio
from server.rtmp import messages
from server.rtmp.amf0 import encode
from server.rtmp.chunks import SET_CHUNK_SIZE, Message
from server.rtmp.handshake import PART_BYTES
from server.rtmp.limits import RtmpLimits
from server.rtmp.server import RtmpServer
from server.rtmp.viewer import RtmpViewer
from tests.server.rtmp.rtmp_client import HELLO, Client, rtmp_server
from tests.server.streams.stream_parts import KEY, Caster, Server, until

pytestmark = pytest.mark.realtime
QUICK = RtmpLimits(handshake_s=1, ask_s=1, idle_s=1, hang_up_s=0.5)
SHAKEN = HELLO + bytes(PART_BYTES)
CONNECT = messages.command(0, "connect", 1, {"app": "live"})


async def raw(port: int, data: bytes, piece_bytes: int = 0) -> bytes:
    """Send it, and -> what came back until the server hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with suppress(ConnectionError):
            if piece_bytes:
                for at in range(0, len(data), piece_bytes):
                    writer.write(data[at : at + piece_bytes])
                    await writer.drain()
                    await asyncio.sleep(0)
            else:
                writer.write(data)
                await writer.drain()
            return await asyncio.wait_for(reader.read(-1), 10)
        return b""
    finally:
        writer.transport.abort()


def wire(*said: Message) -> bytes:
    client = Client(None, None)  # type: ignore[arg-type]  # to write with
    return SHAKEN + b"".join(client.out.write(3, message) for message in said)


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "garbage": os.urandom(4000),
    "zeros": bytes(4000),
    "HTTP": b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "half a handshake": HELLO[:700],
    "handshake alone": SHAKEN,
    "garbage behind the handshake": SHAKEN + os.urandom(5000),
    "chunk size 0": wire(Message(SET_CHUNK_SIZE, 0, 0, bytes(4))),
    "chunk size 1": wire(Message(SET_CHUNK_SIZE, 0, 0, b"\0\0\0\x01")),
    "chunk size 2^32-1": wire(Message(SET_CHUNK_SIZE, 0, 0, b"\xff" * 4)),
    "a message of 16 MiB": SHAKEN + b"\x03\0\0\0\xff\xff\xff\x14\0\0\0\0" + bytes(1000),
    "a thousand chunk streams": SHAKEN + b"".join(b"\0" + bytes((i % 256,)) + bytes(11) for i in range(1000)),
    "type 3 first": SHAKEN + b"\xc3",
    "deep AMF": wire(Message(messages.COMMAND, 0, 0, encode("connect", 1.0) + b"\x03\0\x01a" * 10_000)),
    "a large AMF array": wire(
        Message(messages.COMMAND, 0, 0, encode("connect", 1.0) + b"\x0a\xff\xff\xff\xff")
    ),
    "AMF3": wire(Message(messages.COMMAND_AMF3, 0, 0, b"\x00\x11\x0a\x0b\x01")),
    "publish without connect": wire(messages.command(1, "publish", 2, None, f"cam?key={KEY}")),
    "media without connect": wire(Message(messages.VIDEO, 0, 1, bytes(100))),
    "connect twice": wire(CONNECT, CONNECT),
    "connect and no more": wire(CONNECT),
    "streams without end": wire(CONNECT, *(messages.command(0, "createStream", i, None) for i in range(50))),
    "publish nothing": wire(CONNECT, messages.command(1, "publish", 2, None)),
    "publish a number": wire(CONNECT, messages.command(1, "publish", 2, None, 5.0)),
    "publish and be silent": wire(
        CONNECT, messages.command(1, "publish", 2, None, f"cam?key={KEY}&takeover=0")
    ),
}


class Bystander:
    """A player of the stream `other` that must not notice."""

    def __init__(self, served: Server, rtmp: RtmpServer) -> None:
        self._served, self._rtmp = served, rtmp

    async def __aenter__(self) -> Bystander:
        self._stream = await self._served.stream("other")
        self._caster = await Caster(self._stream).publish()
        self._player = await Client.open(self._rtmp.port)
        await self._player.connect()
        assert (await self._player.play("other"))["code"] == "NetStream.Play.Start"
        return self

    async def __aexit__(self, *_: object) -> None:
        before = len(await self._player.watch(1))
        await self._player.watch(before + 5)
        assert not self._caster.ends
        self._caster.stop()
        self._player.close()


async def test_each_is_let_go_and_nobody_is_disturbed() -> None:
    async with rtmp_server(replace(QUICK, strangers=100)) as (served, rtmp), Bystander(served, rtmp):
        found = await asyncio.gather(*(raw(rtmp.port, data) for data in HOSTILE.values()))
        answers = dict(zip(HOSTILE, found, strict=True))
        assert answers["HTTP"].startswith(b"HTTP/1.1 400 ")
        assert b"speaks RTMP" in answers["HTTP"]
        for name in ("nothing", "garbage", "zeros", "half a handshake"):
            assert answers[name] == b""
        for name in ("publish without connect", "media without connect", "chunk size 0", "deep AMF"):
            assert b"NetConnection.Connect.Rejected" in answers[name], name
        for name in (
            "connect twice",
            "streams without end",
            "publish nothing",
            "publish a number",
            "connect and no more",
        ):
            assert b"NetStream.Publish.Rejected" in answers[name], name
        assert b"no media within 1 s" in answers["publish and be silent"]
        assert b"neither publish nor play within 1 s" in answers["connect and no more"]
        await until(lambda: rtmp.connections == 1)


async def test_tls_is_hung_up_on() -> None:
    async with rtmp_server() as (_, rtmp):
        context = ssl.create_default_context()
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            await asyncio.wait_for(asyncio.open_connection("127.0.0.1", rtmp.port, ssl=context), 10)


async def test_one_byte_at_a_time_is_slow_and_right() -> None:
    async with rtmp_server() as (served, rtmp):
        reader, writer = await asyncio.open_connection("127.0.0.1", rtmp.port)
        said = wire(CONNECT, messages.command(1, "publish", 2, None, f"cam?key={KEY}"))
        for byte in said:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        stream = served.streams.get("cam")
        assert stream is not None
        await until(lambda: stream.state == "live")
        writer.transport.abort()
        del reader


async def test_who_dawdles_over_the_handshake_is_let_go() -> None:
    async with rtmp_server(QUICK) as (_, rtmp):
        reader, writer = await asyncio.open_connection("127.0.0.1", rtmp.port)
        began_s = asyncio.get_running_loop().time()
        with suppress(ConnectionError):
            while not reader.at_eof() and asyncio.get_running_loop().time() - began_s < 8:
                writer.write(b"\x03")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
        assert asyncio.get_running_loop().time() - began_s < 8
        writer.transport.abort()


async def test_a_flood_of_empty_messages_is_heard_slowly() -> None:
    """One byte each: they are cheap to send, so they must be to hear."""
    limits = RtmpLimits(rate_messages=2000, burst_s=0.1)
    async with rtmp_server(limits) as (served, rtmp), Bystander(served, rtmp):
        client = await Client.open(rtmp.port)
        await client.connect()
        await client.publish()
        client.writer.write(b"\x04" + bytes(6) + b"\x08\x01\0\0\0" + b"\xc4" * 2_000_000)
        await asyncio.sleep(0.5)  # the bystander's pictures go on meanwhile
        assert rtmp.connections == 2
        client.close()


async def test_who_does_not_read_its_answers_is_let_go() -> None:
    async with rtmp_server(RtmpLimits(reply_bytes=20_000, rate_messages=1_000_000)) as (_, rtmp):
        client = await Client.open(rtmp.port)
        await client.connect()
        ping = client.out.write(2, messages.user_control(messages.PING_REQUEST, 1))
        with suppress(ConnectionError):
            async with asyncio.timeout(20):
                while not client.writer.transport.is_closing():
                    client.writer.write(ping * 1000)
                    await client.writer.drain()
        await until(lambda: rtmp.connections == 0)
        client.close()


async def test_a_slow_player_drops_to_a_keyframe_and_a_stalled_one_is_let_go() -> None:
    limits = RtmpLimits(send_bytes=20_000, stalled_s=0.5, hang_up_s=0.2)
    async with rtmp_server(limits) as (served, rtmp), Bystander(served, rtmp):
        stream = served.streams.get("cam")
        assert stream is not None
        caster = await Caster(stream).publish()
        player = await Client.open(rtmp.port)
        await player.connect()
        await player.play()
        await until(lambda: stream.viewers == 1)
        viewer = viewer_of(rtmp, "cam")
        player.writer.transport.pause_reading()  # type: ignore[attr-defined]
        big = EncodedFrame(b"\0\0\0\1\x65" + os.urandom(100_000).replace(b"\0", b"\1"), 0, True)
        async with asyncio.timeout(15):
            while stream.viewers:  # what the system's own buffers take goes first
                viewer.send_video(big)
                await asyncio.sleep(0.005)
        assert viewer.dropped
        await until(lambda: rtmp.connections == 1)
        caster.stop()
        player.close()


async def test_there_is_room_for_so_many_strangers_only() -> None:
    async with rtmp_server(RtmpLimits(strangers=3)) as (served, rtmp), Bystander(served, rtmp):
        crowd = [await asyncio.open_connection("127.0.0.1", rtmp.port) for _ in range(4)]
        assert await asyncio.wait_for(_ended(crowd[3][0]), 5)
        assert rtmp.connections == 4
        for _, writer in crowd:
            writer.transport.abort()
        await until(lambda: rtmp.connections == 1)
        client = await Client.open(rtmp.port)
        await client.connect()
        assert (await client.publish())["code"] == "NetStream.Publish.Start"
        client.close()


def viewer_of(rtmp: RtmpServer, name: str) -> RtmpViewer:
    (viewer,) = (
        peer._viewer
        for peer in rtmp._peers.values()
        if peer._viewer is not None and peer._stream is not None and peer._stream.name == name
    )
    return viewer


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_sound_that_is_none_leaves_the_picture_alone() -> None:
    async with rtmp_server() as (served, rtmp), Bystander(served, rtmp):
        viewer = viewer_of(rtmp, "other")
        viewer.send_audio(EncodedAudio(b"", 5))  # no Opus packet
        viewer.send_audio(EncodedAudio(os.urandom(100), 10))
