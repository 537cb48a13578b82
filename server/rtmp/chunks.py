"""RTMP's chunk stream: messages cut into chunks and joined again (RTMP 1.0 §5.3). Knows no message's meaning.

Set Chunk Size and Abort, which are about chunks, are obeyed here. Everything a peer can make grow is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from server.errors import ProtocolError

SET_CHUNK_SIZE, ABORT = 1, 2  # message types, §5.4
DEFAULT_CHUNK_BYTES = 128
MIN_CHUNK_BYTES, MAX_CHUNK_BYTES = 128, 0xFFFFFF  # §5.4.1: at least 128; larger than a message is no larger
CONTROL_STREAM = 2  # chunk stream of protocol control messages, §5.4
_HEADER_BYTES = (11, 7, 3, 0)  # of chunk types 0 to 3, §5.3.1.2
_EXTENDED = 0xFFFFFF  # a timestamp field that says: four bytes follow the header
_WRAP = 1 << 32
_MORE_ID_BYTES = {0: 1, 1: 2}  # more bytes of a chunk stream id, §5.3.1.1


@dataclass(frozen=True, slots=True)
class Message:
    """`timestamp` in milliseconds modulo 2^32; `stream` is the message stream's id."""

    kind: int
    timestamp: int
    stream: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """What a peer may make us hold."""

    message_bytes: int = 8 << 20
    chunk_streams: int = 32  # encoders use five
    held_bytes: int = 12 << 20  # of messages that are not yet whole, all chunk streams together


@dataclass(slots=True)
class _ChunkStream:
    """What the next header of one chunk stream may leave out."""

    kind: int = 0
    timestamp: int = 0
    step: int = 0  # the timestamp field as it last was: a delta, or the absolute time of type 0
    extended: bool = False
    length: int = 0
    stream: int = 0
    begun: bool = False  # inside a message
    payload: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class _Header:
    """Of one chunk, as read; `fields_at` and `body_at` in the bytes held."""

    form: int
    stream: _ChunkStream
    stamp: int
    extended: bool
    length: int
    fields_at: int
    body_at: int


class ChunkReader:
    """Bytes in, in pieces of any size; whole messages out."""

    def __init__(self, limits: ChunkLimits) -> None:
        self.limits = limits  # may be raised once a peer has shown who it is
        self._chunk_bytes = DEFAULT_CHUNK_BYTES
        self._streams: dict[int, _ChunkStream] = {}
        self._held = bytearray()
        self._at = 0  # in `_held`, where the next chunk begins
        self._partial_bytes = 0
        self._whole: Message | None = None

    def push(self, data: bytes) -> Iterator[Message]:
        """Take what came in and yield the messages it completes; run it to its end before the next push.

        Raises ProtocolError for what is no chunk stream, or beyond the limits; it ends the reader."""
        self._held += data
        while self._take_chunk():
            if self._whole is not None:
                message, self._whole = self._whole, None
                yield message
        del self._held[: self._at]
        self._at = 0

    def _take_chunk(self) -> bool:
        """Whether a whole chunk was here; the message it ends is then `_whole`."""
        header = self._header()
        if header is None:
            return False
        stream = header.stream
        if header.length > self.limits.message_bytes:
            raise ProtocolError(
                f"a message of {header.length} bytes: at most {self.limits.message_bytes} are taken here"
            )
        if header.form < 3:  # in the middle of a message: what was begun is given up
            self._drop(stream)
        end = header.body_at + min(self._chunk_bytes, header.length - len(stream.payload))
        if len(self._held) < end:
            return False
        if not stream.begun:
            self._begin(header)
        stream.payload += self._held[header.body_at : end]
        self._partial_bytes += end - header.body_at
        self._at = end
        if len(stream.payload) == header.length:
            self._whole = Message(stream.kind, stream.timestamp, stream.stream, bytes(stream.payload))
            self._drop(stream)
            self._obey(self._whole)
        elif self._partial_bytes > self.limits.held_bytes:
            raise ProtocolError(f"over {self.limits.held_bytes} bytes of messages begun and not ended")
        return True

    def _header(self) -> _Header | None:
        """The next chunk's, None when it is not all here."""
        held, at = self._held, self._at
        if len(held) <= at:
            return None
        form, number = held[at] >> 6, held[at] & 63
        fields_at = at + 1 + _MORE_ID_BYTES.get(number, 0)
        body_at = fields_at + _HEADER_BYTES[form]
        if len(held) < body_at:
            return None
        if number in _MORE_ID_BYTES:
            number = 64 + int.from_bytes(held[at + 1 : fields_at], "little")
        stream = self._stream(number, form)
        if form == 3:
            stamp, extended = stream.step, stream.extended
        else:
            stamp = int.from_bytes(held[fields_at : fields_at + 3], "big")
            extended = stamp == _EXTENDED
        if extended:
            if len(held) < body_at + 4:
                return None
            late = int.from_bytes(held[body_at : body_at + 4], "big")
            # Some senders leave the four bytes out of type 3, though §5.3.1.3 asks for them.
            if form < 3 or late == stamp:
                stamp, body_at = late, body_at + 4
        length = int.from_bytes(held[fields_at + 3 : fields_at + 6], "big") if form < 2 else stream.length
        return _Header(form, stream, stamp, extended, length, fields_at, body_at)

    def _stream(self, number: int, form: int) -> _ChunkStream:
        stream = self._streams.get(number)
        if stream is None:
            if form:
                raise ProtocolError(f"chunk stream {number} begins with a header of type {form}, not 0")
            if len(self._streams) >= self.limits.chunk_streams:
                raise ProtocolError(f"more than {self.limits.chunk_streams} chunk streams")
            stream = self._streams[number] = _ChunkStream()
        return stream

    def _begin(self, header: _Header) -> None:
        stream, form, at = header.stream, header.form, header.fields_at
        stream.begun = True
        stream.timestamp = header.stamp if form == 0 else (stream.timestamp + header.stamp) % _WRAP
        stream.step, stream.extended, stream.length = header.stamp, header.extended, header.length
        if form < 2:
            stream.kind = self._held[at + 6]
        if form == 0:
            stream.stream = int.from_bytes(self._held[at + 7 : at + 11], "little")

    def _drop(self, stream: _ChunkStream) -> None:
        self._partial_bytes -= len(stream.payload)
        stream.payload.clear()
        stream.begun = False

    def _obey(self, message: Message) -> None:
        if message.kind not in (SET_CHUNK_SIZE, ABORT):
            return
        if len(message.payload) < 4:
            raise ProtocolError(f"a control message {message.kind} of {len(message.payload)} bytes, not 4")
        number = int.from_bytes(message.payload[:4], "big")
        if message.kind == ABORT:
            if number in self._streams:
                self._drop(self._streams[number])
        elif not MIN_CHUNK_BYTES <= number < 1 << 31:
            raise ProtocolError(f"a chunk size of {number}: at least {MIN_CHUNK_BYTES} are taken")
        else:
            self._chunk_bytes = min(number, MAX_CHUNK_BYTES)


class ChunkWriter:
    """Messages to chunks. Each begins with a full header: a few bytes more, and nothing to remember."""

    def __init__(self) -> None:
        self._chunk_bytes = DEFAULT_CHUNK_BYTES

    def set_chunk_size(self, size: int) -> bytes:
        """-> the message that tells the peer; what is written after it is cut so."""
        out = self.write(CONTROL_STREAM, Message(SET_CHUNK_SIZE, 0, 0, size.to_bytes(4, "big")))
        self._chunk_bytes = size
        return out

    def write(self, chunk_stream: int, message: Message) -> bytes:
        """`chunk_stream` 2 to 63. The timestamp is taken modulo 2^32."""
        stamp, payload = message.timestamp % _WRAP, message.payload
        late = stamp.to_bytes(4, "big") if stamp >= _EXTENDED else b""
        header = (
            bytes((chunk_stream,))
            + min(stamp, _EXTENDED).to_bytes(3, "big")
            + len(payload).to_bytes(3, "big")
            + bytes((message.kind,))
            + message.stream.to_bytes(4, "little")
            + late
        )
        again = bytes((3 << 6 | chunk_stream,)) + late
        parts = [header, payload[: self._chunk_bytes]]
        for at in range(self._chunk_bytes, len(payload), self._chunk_bytes):
            parts += (again, payload[at : at + self._chunk_bytes])
        return b"".join(parts)
