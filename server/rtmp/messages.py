"""RTMP's messages beside media: protocol and user control, commands, data (RTMP 1.0 §5.4, §7).

Commands go out as AMF0; they are taken in AMF0, and in the AMF3 message whose values are AMF0 all the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from server.errors import ProtocolError
from server.rtmp import amf0
from server.rtmp.amf0 import Value
from server.rtmp.chunks import Message

ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH = 3, 4, 5, 6  # §5.4, §7.1.7
AUDIO, VIDEO = 8, 9
COMMAND_AMF3, DATA, COMMAND = 17, 18, 20
DATA_AMF3 = 15

STREAM_BEGIN, STREAM_EOF, PING_REQUEST, PING_RESPONSE = 0, 1, 6, 7  # user control events, §7.1.7
_DYNAMIC = 2  # limit type of Set Peer Bandwidth, §5.4.5


@dataclass(frozen=True, slots=True)
class Command:
    """`transaction` 0 asks for no answer; `about` is the command object."""

    name: str
    transaction: float = 0
    about: Value = None
    arguments: list[Value] = field(default_factory=list)

    def text(self, index: int) -> str:
        """The argument there if it is text, else ""."""
        found = self.arguments[index] if index < len(self.arguments) else ""
        return found if isinstance(found, str) else ""


def read_command(message: Message) -> Command:
    """Raises ProtocolError."""
    values = amf0.decode(_amf0_part(message))
    if not values or not isinstance(values[0], str):
        raise ProtocolError("a command without a name: send AMF0 (RTMP §7.1.1)")
    transaction = values[1] if len(values) > 1 else 0.0
    if isinstance(transaction, bool) or not isinstance(transaction, float):
        raise ProtocolError(f"the command {values[0][:40]!r} without a transaction number")
    return Command(values[0], transaction, values[2] if len(values) > 2 else None, values[3:])


def read_data(message: Message) -> list[Value]:
    """A data message's values, "@setDataFrame" left out. Raises ProtocolError."""
    values = amf0.decode(_amf0_part(message))
    return values[1:] if values[:1] == ["@setDataFrame"] else values


def _amf0_part(message: Message) -> bytes:
    """AMF3 messages begin with a byte that says nothing, their values in AMF0 then."""
    return message.payload[1:] if message.kind in (COMMAND_AMF3, DATA_AMF3) else message.payload


def command(stream: int, name: str, transaction: float, *values: Value) -> Message:
    return Message(COMMAND, 0, stream, amf0.encode(name, transaction, *values))


def status(stream: int, level: str, code: str, description: str) -> Message:
    """onStatus (§7.2.2); `level` is status or error."""
    about = {"level": level, "code": code, "description": description}
    return command(stream, "onStatus", 0, None, about)


def data(stream: int, *values: Value) -> Message:
    return Message(DATA, 0, stream, amf0.encode(*values))


def acknowledgement(received_bytes: int) -> Message:
    return Message(ACKNOWLEDGEMENT, 0, 0, struct.pack(">I", received_bytes & 0xFFFFFFFF))


def window_size(size: int) -> Message:
    return Message(WINDOW_SIZE, 0, 0, struct.pack(">I", size))


def peer_bandwidth(size: int) -> Message:
    return Message(PEER_BANDWIDTH, 0, 0, struct.pack(">IB", size, _DYNAMIC))


def user_control(event: int, value: int) -> Message:
    return Message(USER_CONTROL, 0, 0, struct.pack(">HI", event, value))


def read_number(message: Message) -> int:
    """The four bytes of a control message. Raises ProtocolError."""
    if len(message.payload) < 4:
        raise ProtocolError(f"a control message {message.kind} of {len(message.payload)} bytes, not 4")
    return int.from_bytes(message.payload[:4], "big")


def read_ping(message: Message) -> int | None:
    """What a ping request wants back, None for other events."""
    if len(message.payload) < 6 or int.from_bytes(message.payload[:2], "big") != PING_REQUEST:
        return None
    return int.from_bytes(message.payload[2:6], "big")
