"""What the server and a child that carries media say to each other over one socket."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

_HEAD = struct.Struct("<BBHIq")  # kind, flags, not used, bytes of the body, a number of the kind
MOST_BODY = 16 << 20  # an access unit; beyond any keyframe
_HEARD_S = 2.0
KEYFRAME = 1  # flag of VIDEO


class Say(IntEnum):
    """Kinds of messages: of the server, of a child that pushes, of a child that listens."""

    OPEN = 1  # body: JSON
    VIDEO = 2  # pts in 90 kHz ticks; both ways
    AUDIO = 3  # pts in 48 kHz ticks, raw AAC; both ways
    RESUME = 4  # what comes next goes on where the first keyframe was

    READY = 16  # body: JSON, which barriers hold
    CONNECTED = 17
    PROGRESS = 18  # pts: of the newest video that was written
    FAILED = 19  # body: JSON, code and message
    HEAD = 20  # body: JSON, of the tracks
    NOTE = 21  # body: text for the log
    CONFIG = 22  # body: AudioSpecificConfig, of the sound that follows
    NO_SOUND = 23  # body: text, why its sound is not taken until the next CONFIG


@dataclass(frozen=True, slots=True)
class Message:
    kind: int
    flags: int
    pts: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Raises ValueError."""
        found = json.loads(self.body)
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found


class Broken(Exception):
    """What came is no message: the other side is beside itself."""


def packed(kind: Say, pts: int = 0, body: bytes = b"", flags: int = 0) -> bytes:
    return _HEAD.pack(kind, flags, 0, len(body), pts) + body


def packed_json(kind: Say, **said: Any) -> bytes:
    return packed(kind, body=json.dumps(said).encode())


def last_words(sock: socket.socket, **said: Any) -> None:
    """A child's: FAILED, and what the other side still writes is taken until it has heard: a write that fails
    would keep it from reading."""
    until_s = time.monotonic() + _HEARD_S
    with contextlib.suppress(OSError):
        sock.settimeout(_HEARD_S)
        sock.sendall(packed_json(Say.FAILED, **said))
        while sock.recv(1 << 16) and time.monotonic() < until_s:
            pass


class Unpacker:
    """Bytes as they come -> messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Raises Broken."""
        self._data += data
        while len(self._data) >= _HEAD.size:
            kind, flags, _, size, pts = _HEAD.unpack_from(self._data)
            if size > MOST_BODY:
                raise Broken(f"a message of {size} bytes")
            if len(self._data) < _HEAD.size + size:
                return
            body = bytes(self._data[_HEAD.size : _HEAD.size + size])
            del self._data[: _HEAD.size + size]
            yield Message(kind, flags, pts, body)
