"""An RTMP client for tests, as encoders and players speak, and FLV's forms of encoded frames."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av

from gpu.types import CLOCK_HZ, Codec, EncodedFrame, Frame
from server.rtmp import messages
from server.rtmp.amf0 import Value, encode
from server.rtmp.chunks import ChunkLimits, ChunkReader, ChunkWriter, Message
from server.rtmp.handshake import PART_BYTES
from server.rtmp.limits import RtmpLimits
from server.rtmp.messages import Command, read_command
from server.rtmp.nal import to_lengths
from server.rtmp.server import RtmpServer
from tests.foreign import to_picture
from tests.server.streams.stream_parts import KEY, Server, server

HELLO = b"\x03" + bytes(8) + os.urandom(PART_BYTES - 8)
_AUDIO_STREAM, _VIDEO_STREAM, _COMMAND_STREAM = 4, 6, 3


@asynccontextmanager
async def rtmp_server(
    limits: RtmpLimits | None = None,
    codecs: tuple[Codec, ...] = ("h264", "hevc", "av1", "vp9"),
    **settings: Any,
) -> AsyncIterator[tuple[Server, RtmpServer]]:
    """Streams with RTMP in front of them, and one stream `cam` whose key is KEY."""
    async with server(**settings) as served:
        await served.stream("cam")
        rtmp = RtmpServer("127.0.0.1", 0, served.streams, codecs, limits)
        await rtmp.start()
        try:
            yield served, rtmp
        finally:
            await rtmp.close()
            assert rtmp.connections == 0


@dataclass
class Client:
    """`heard` has every message but the media of what is played, which `media` has."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    chunks: ChunkReader = field(default_factory=lambda: ChunkReader(ChunkLimits()))
    out: ChunkWriter = field(default_factory=ChunkWriter)
    heard: list[Message] = field(default_factory=list)
    media: list[Message] = field(default_factory=list)

    @classmethod
    async def open(cls, port: int, handshake: bool = True) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        client = cls(reader, writer)
        if handshake:
            writer.write(HELLO)
            answer = await asyncio.wait_for(reader.readexactly(1 + 2 * PART_BYTES), 10)
            assert answer[0] == 3
            assert answer[1 + PART_BYTES :] == HELLO[1:]
            writer.write(answer[1 : 1 + PART_BYTES])
        return client

    def send(self, message: Message, chunk_stream: int = _COMMAND_STREAM) -> None:
        self.writer.write(self.out.write(chunk_stream, message))

    def call(self, name: str, transaction: float, *values: Value, stream: int = 0) -> None:
        self.send(messages.command(stream, name, transaction, *values))

    async def hear(self, *names: str) -> Command:
        """The next command of one of these names. Raises EOFError when the server hangs up before."""
        async with asyncio.timeout(15):
            while True:
                for at, message in enumerate(self.heard):
                    if message.kind == messages.COMMAND and (said := read_command(message)).name in names:
                        del self.heard[: at + 1]
                        return said
                await self._read()

    async def status(self) -> dict[str, Any]:
        """The next onStatus's object."""
        said = await self.hear("onStatus")
        assert isinstance(said.arguments[0], dict)
        return said.arguments[0]

    async def connect(self, app: str = "live", tc_url: str = "rtmp://127.0.0.1/live") -> None:
        self.call("connect", 1, {"app": app, "tcUrl": tc_url, "flashVer": "FMLE/3.0 (compatible; tests)"})
        assert (await self.hear("_result", "_error")).name == "_result"

    async def publish(self, name: str = f"cam?key={KEY}") -> dict[str, Any]:
        """As OBS does it -> the status that answers."""
        self.call("releaseStream", 2, None, name)
        self.call("FCPublish", 3, None, name)
        self.call("createStream", 4, None)
        stream = (await self.hear("_result")).arguments
        while not stream or not isinstance(stream[0], float):
            stream = (await self.hear("_result")).arguments
        self.call("publish", 5, None, name, "live", stream=int(stream[0]))
        return await self.status()

    async def play(self, name: str = "cam") -> dict[str, Any]:
        self.call("createStream", 2, None)
        await self.hear("_result")
        self.call("play", 3, None, name, stream=1)
        status = await self.status()
        return await self.status() if status["code"] == "NetStream.Play.Reset" else status

    def video(self, time_ms: int, payload: bytes) -> None:
        self.send(Message(messages.VIDEO, time_ms, 1, payload), _VIDEO_STREAM)

    def audio(self, time_ms: int, payload: bytes) -> None:
        self.send(Message(messages.AUDIO, time_ms, 1, payload), _AUDIO_STREAM)

    async def gone(self) -> bool:
        """Whether the server hangs up within a few seconds."""
        with suppress(EOFError, ConnectionError):
            async with asyncio.timeout(10):
                while True:
                    await self._read()
        return self.reader.at_eof() or self.reader.exception() is not None

    async def _read(self) -> None:
        data = await self.reader.read(65_536)
        if not data:
            raise EOFError
        for message in self.chunks.push(data):
            (self.media if message.kind in (messages.VIDEO, messages.AUDIO) else self.heard).append(message)

    async def watch(self, count: int) -> list[Message]:
        """The first so many messages of media."""
        async with asyncio.timeout(20):
            while len(self.media) < count:
                await self._read()
        return self.media

    def close(self) -> None:
        self.writer.transport.abort()


def metadata() -> Message:
    about = {"encoder": "tests/1.0", "videocodecid": 7.0}
    return Message(messages.DATA, 0, 1, encode("@setDataFrame", "onMetaData", about))


def avc_tags(frames: Sequence[EncodedFrame], origin_ms: int = 0) -> Iterator[tuple[int, bytes]]:
    """H.264 in Annex-B as RTMP's video messages: (timestamp, payload)."""
    known = b""
    for frame in frames:
        data, record = to_lengths(frame.data)
        time_ms = origin_ms + frame.pts // 90
        if record and record != known:
            known = record
            yield time_ms, b"\x17\x00\x00\x00\x00" + record
        yield time_ms, (b"\x17" if frame.is_keyframe else b"\x27") + b"\x01\x00\x00\x00" + data


def flv_tags(
    frames: Sequence[Frame], encoder: str, options: dict[str, str], b_frames: int = 0, fps: int = 30
) -> list[tuple[int, int, bytes]]:
    """Pictures encoded and muxed by libav: (message type, timestamp, payload)."""
    file = io.BytesIO()
    with av.open(file, "w", format="flv", options={"flvflags": "no_duration_filesize"}) as container:
        stream: Any = container.add_stream(encoder, rate=fps)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        context.max_b_frames, context.thread_count, context.gop_size = b_frames, 1, 15
        context.time_base = Fraction(1, CLOCK_HZ)
        context.options = options
        for frame in [*frames, None]:
            for packet in stream.encode(None if frame is None else to_picture(frame)):
                container.mux(packet)
    return list(split_flv(file.getvalue()))


def split_flv(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The tags of an FLV file, as RTMP's messages have them (FLV 10.1 §E.3, §E.4.1)."""
    at = 9 + 4
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        time_ms = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        yield data[at], time_ms, data[at + 11 : at + 11 + size]
        at += 11 + size + 4
