"""RTMP from strangers: AMF, chunks, a whole conversation, media messages. As fuzz_targets has it."""

from __future__ import annotations

from contextlib import suppress

from gpu.codec import DECODES
from gpu.errors import FrameError
from server.errors import ProtocolError
from server.rtmp import amf0, messages
from server.rtmp.address import read_address
from server.rtmp.audio_tag import read_audio_tags
from server.rtmp.chunks import ChunkLimits, ChunkReader, ChunkWriter, Message
from server.rtmp.connection import Connection
from server.rtmp.events import PlayAsked, PublishAsked
from server.rtmp.handshake import PART_BYTES, VERSION
from server.rtmp.nal import to_lengths
from server.rtmp.video_in import VideoIn

LIMITS = ChunkLimits(message_bytes=2000, chunk_streams=4, held_bytes=3000)
HANDSHAKE = bytes((VERSION,)) + bytes(2 * PART_BYTES)


def begun() -> bytes:
    """What a peer sends up to its publish, handshake left out; what is fuzzed goes on from there."""
    writer = ChunkWriter()
    said = (
        messages.command(0, "connect", 1, {"app": "live", "tcUrl": "rtmp://h/live"}),
        messages.command(0, "createStream", 2, None),
        messages.command(1, "publish", 3, None, "cam?key=k", "live"),
    )
    return b"".join(writer.write(3, message) for message in said)


def rtmp_amf(data: bytes) -> None:
    try:
        values = amf0.decode(data)
    except ProtocolError:
        return
    again = amf0.decode(amf0.encode(*values))
    assert again == values or "nan" in repr(values)


def rtmp_chunks(data: bytes) -> None:
    """In one piece or in many, the same comes out, and what is held is bounded."""
    found = []
    for step in (len(data) or 1, 7):
        reader = ChunkReader(LIMITS)
        heard: list[Message | None] = []
        try:
            for at in range(0, len(data), step):
                for message in reader.push(data[at : at + step]):
                    heard.append(message)  # noqa: PERF402  # what came before an error counts
                held = sum(len(stream.payload) for stream in reader._streams.values())
                assert held == reader._partial_bytes
                assert held <= LIMITS.held_bytes + LIMITS.message_bytes
                assert len(reader._streams) <= LIMITS.chunk_streams
        except ProtocolError:
            heard.append(None)
        found.append(heard)
    assert found[0] == found[1]
    assert all(message is None or len(message.payload) <= LIMITS.message_bytes for message in found[0])


def rtmp_connection(data: bytes) -> None:
    """Anything, from the first byte on, behind the handshake, and behind a publish that was let in."""
    for before in (b"", HANDSHAKE, HANDSHAKE + begun()):
        connection = Connection(LIMITS)
        try:
            for piece in (before, data):
                for event in connection.push(piece):
                    if isinstance(event, PublishAsked | PlayAsked):
                        assert event.address.stream
                        connection.accept()
        except ProtocolError as error:
            connection.fail(str(error))
        assert len(connection.take()) < 3 * PART_BYTES + 40 * (len(data) + len(before))


def rtmp_media(data: bytes) -> None:
    """Every kind of message: pictures are refused or whole, and what is whole can be told again."""
    video = VideoIn(DECODES)
    half = len(data) // 2
    for payload in (data, data[:half], data[half:], b"\x17\0\0\0\0" + data, b"\x17\1\0\0\0" + data):
        with suppress(FrameError, ProtocolError):
            frame = video.take(0, payload)
            assert frame is None or frame.data
        with suppress(FrameError, ProtocolError):
            list(read_audio_tags(payload))
    to_lengths(data)


def rtmp_address(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for app, name in (("live", text), (text, ""), ("live?" + text, "cam")):
        with suppress(ProtocolError):
            assert read_address(app, text, name).stream


TARGETS = (rtmp_amf, rtmp_chunks, rtmp_connection, rtmp_media, rtmp_address)
