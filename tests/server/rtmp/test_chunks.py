"""The chunk stream: cut and joined whatever the pieces, all header types, late times, bounds."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import ProtocolError
from server.rtmp.chunks import ChunkLimits, ChunkReader, ChunkWriter, Message

SMALL = ChunkLimits(message_bytes=10_000, chunk_streams=4, held_bytes=12_000)
MESSAGES = st.builds(
    Message,
    st.integers(3, 22),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=600),
)


def header(form: int, stream: int, stamp: int = 0, length: int = 0, kind: int = 9, owner: int = 1) -> bytes:
    """As senders write it that leave out what they may."""
    field = min(stamp, 0xFFFFFF).to_bytes(3, "big") if form < 3 else b""
    rest = length.to_bytes(3, "big") + bytes((kind,)) if form < 2 else b""
    rest += owner.to_bytes(4, "little") if form == 0 else b""
    late = struct.pack(">I", stamp) if stamp >= 0xFFFFFF else b""
    return bytes((form << 6 | stream,)) + field + rest + late


def read(data: bytes, limits: ChunkLimits = SMALL) -> list[Message]:
    return list(ChunkReader(limits).push(data))


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(2, 5), MESSAGES), max_size=6), st.integers(128, 700), st.data())
def test_messages_come_back_however_they_are_cut(
    sent: list[tuple[int, Message]], size: int, data: Any
) -> None:
    writer, reader = ChunkWriter(), ChunkReader(SMALL)
    wire = writer.set_chunk_size(size) + b"".join(writer.write(stream, message) for stream, message in sent)
    found: list[Message] = []
    while wire:
        count = data.draw(st.integers(1, len(wire)))
        found += reader.push(wire[:count])
        wire = wire[count:]
    assert found[1:] == [message for _, message in sent]


def test_headers_that_leave_out_what_was_said_before() -> None:
    body = b"abc"
    wire = (
        header(0, 4, 1000, 3) + body
        + header(1, 4, 40, 3, kind=8) + body
        + header(2, 4, 20) + body
        + header(3, 4) + body
        + header(3, 4) + body
    )  # fmt: skip
    assert read(wire) == [
        Message(9, 1000, 1, body),
        *(Message(8, at, 1, body) for at in (1040, 1060, 1080, 1100)),
    ]


def test_type_3_behind_type_0_counts_its_time_again() -> None:
    assert [message.timestamp for message in read(header(0, 4, 500, 1) + b"a" + header(3, 4) + b"b")] == [
        500,
        1000,
    ]


def test_two_messages_interleaved() -> None:
    one, other = b"a" * 200, b"b" * 200
    wire = header(0, 4, 1, 200) + one[:128] + header(0, 5, 2, 200, kind=8) + other[:128]
    wire += header(3, 5) + other[128:] + header(3, 4) + one[128:]
    assert [(message.kind, message.payload) for message in read(wire)] == [(8, other), (9, one)]


def test_chunk_stream_ids_of_two_and_three_bytes() -> None:
    for number in (b"\x00\x0a", b"\x01\x0a\x01"):
        wire = bytes((number[0],)) + number[1:] + header(0, 3, 7, 1)[1:] + b"x"
        assert read(wire) == [Message(9, 7, 1, b"x")]


@pytest.mark.parametrize("repeated", [True, False])
def test_times_beyond_24_bits(repeated: bool) -> None:
    """After 4.66 hours four bytes follow the header; some senders leave them out of type 3."""
    late = 0x1000010
    again = header(3, 4) + (struct.pack(">I", late) if repeated else b"")
    wire = header(0, 4, late, 300) + bytes(128) + again + bytes(128) + again + bytes(44)
    wire += header(1, 4, 40, 1) + b"x" + header(3, 4) + b"y"
    assert [message.timestamp for message in read(wire)] == [late, late + 40, late + 80]


def test_times_wrap_at_32_bits() -> None:
    wire = header(0, 4, 0xFFFFFFF0, 1) + b"x" + header(2, 4, 0x20) + b"y"
    assert [message.timestamp for message in read(wire)] == [0xFFFFFFF0, 0x10]
    written = ChunkWriter().write(4, Message(9, (1 << 32) + 5, 1, bytes(300)))
    assert read(written)[0].timestamp == 5


def test_a_message_without_a_body() -> None:
    assert read(header(0, 4, 0, 0)) == [Message(9, 0, 1, b"")]


def test_an_abort_gives_up_what_was_begun() -> None:
    reader = ChunkReader(SMALL)
    abort = header(0, 2, 0, 4, kind=2, owner=0) + (4).to_bytes(4, "big")
    wire = header(0, 4, 0, 200) + bytes(128) + abort + header(3, 4) + b"n" * 128
    found = list(reader.push(wire))
    assert [message.kind for message in found] == [2]
    found = list(reader.push(header(3, 4) + b"n" * 72))
    assert found[0].payload == b"n" * 200


def test_a_header_in_the_middle_begins_anew() -> None:
    wire = header(0, 4, 0, 200) + bytes(128) + header(0, 4, 9, 2) + b"ok"
    assert read(wire) == [Message(9, 9, 1, b"ok")]


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (header(3, 4), "begins with a header of type 3"),
        (header(1, 4, 0, 5), "begins with a header of type 1"),
        (header(0, 4, 0, 0xFFFFFF), "a message of 16777215 bytes"),
        (header(0, 4, 0, 10_001), "a message of 10001 bytes"),
        (b"".join(header(0, 3 + i, 0, 0) for i in range(5)), "more than 4 chunk streams"),
        (b"".join(header(0, 3 + i, 0, 9999) + bytes(128) for i in range(4)) * 30, ""),
        (header(0, 2, 0, 4, kind=1) + bytes(4), "a chunk size of 0"),
        (header(0, 2, 0, 4, kind=1) + b"\0\0\0\x01", "a chunk size of 1"),
        (header(0, 2, 0, 4, kind=1) + b"\xff\xff\xff\xff", "a chunk size of 4294967295"),
        (header(0, 2, 0, 2, kind=1) + b"\0\0", "of 2 bytes, not 4"),
        (header(0, 2, 0, 0, kind=2), "of 0 bytes, not 4"),
    ],
)
def test_bombs_and_nonsense_are_refused(wire: bytes, words: str) -> None:
    if not words:  # begun and begun anew: nothing grows, nothing comes out
        assert read(wire) == []
        return
    with pytest.raises(ProtocolError, match=words):
        read(wire)


def test_messages_begun_and_not_ended_are_bounded_together() -> None:
    wire = b"".join(header(0, 3 + i, 0, 10_000) + bytes(128) for i in range(4))
    wire += b"".join((header(3, 3 + i) + bytes(128)) for _ in range(60) for i in range(4))
    with pytest.raises(ProtocolError, match="begun and not ended"):
        read(wire)


def test_a_large_chunk_size_is_no_larger_than_a_message() -> None:
    wire = header(0, 2, 0, 4, kind=1, owner=0) + b"\x7f\xff\xff\xff" + header(0, 4, 0, 9000) + bytes(9000)
    assert [len(message.payload) for message in read(wire)] == [4, 9000]
