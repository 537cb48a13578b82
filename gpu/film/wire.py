"""What the parent and the child that reads a film say to each other over one socket. Data and framing."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from enum import IntEnum

# kind, flags, slot, bytes of the body, then two numbers of the kind
_HEAD = struct.Struct("<BBHIqq")
_MOST_FDS = 2
MOST_ORDER = 256 << 20  # bytes of OPEN: the index of a film that is known comes with it


class Say(IntEnum):
    """Kinds of messages: of the parent, then of the child."""

    OPEN = 1  # body: JSON; fd: the film
    RING = 2  # a: slots; fd: the shared memory
    READ = 3  # a: generation; b: first frame; body: one i64, the frame behind the last; flags: Ask
    FREE = 4  # a: generation; the slot of the oldest frame sent is free again
    LISTEN = 5  # in the place of OPEN, for the sound; body: JSON; fd: the film
    PLAY = 6  # a: generation; b: first sample, at 48 kHz

    READY = 16  # body: JSON, which barriers hold
    INFO = 17  # body: JSON
    INDEX = 18  # body: see index.py
    FRAME = 19  # a: generation; b: frame number
    END = 20  # a: generation
    ALIVE = 21  # work goes on
    REFUSED = 22  # body: text for whoever sent the film
    SOUND = 23  # body: JSON, of the sound track
    PACKETS = 24  # body: records of sound_child.py
    PCM = 25  # a: generation; b: first sample; body: one block, see pcm_wire.py


class Ask(IntEnum):
    """Flags of READ."""

    GLIMPSES = 1  # rough, but soon; always from the first


class Mark(IntEnum):
    """Flags of FRAME."""

    REPEATED = 1
    RESCALED = 2
    DAMAGED = 4


@dataclass(frozen=True, slots=True)
class Message:
    kind: int
    flags: int
    slot: int
    a: int
    b: int
    body: bytes


class Gone(Exception):
    """The other side has closed the socket or died."""


class Late(Exception):
    """The other side said nothing in time."""


class Wire:
    """One end of the socket; blocking, with a time limit."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = bytearray()
        self._fds: list[int] = []

    def send(
        self, kind: Say, *, flags: int = 0, slot: int = 0, a: int = 0, b: int = 0, body: bytes = b"",
        fd: int | None = None, timeout_s: float | None = None,
    ) -> None:  # fmt: skip
        """Raises Gone, Late."""
        data = _HEAD.pack(kind, flags, slot, len(body), a, b) + body
        try:
            self._sock.settimeout(timeout_s)
            if fd is not None:
                data = data[socket.send_fds(self._sock, [data], [fd]) :]
            if data:
                self._sock.sendall(data)
        except TimeoutError as error:
            raise Late from error
        except OSError as error:
            raise Gone from error

    def receive(self, timeout_s: float | None, most_bytes: int = 1 << 20) -> Message:
        """The next message. Raises Gone, also for a message that cannot be; Late."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        self._fill(_HEAD.size, until)
        kind, flags, slot, size, a, b = _HEAD.unpack_from(self._data)
        if size > most_bytes:
            raise Gone
        self._fill(_HEAD.size + size, until)
        body = bytes(self._data[_HEAD.size : _HEAD.size + size])
        del self._data[: _HEAD.size + size]
        return Message(kind, flags, slot, a, b, body)

    def waiting(self) -> bool:
        """Whether something has been said that was not received yet."""
        if not self._data:
            try:
                self._read(0.0)
            except (BlockingIOError, Late):
                return False
        return True

    def take_fd(self) -> int:
        """The oldest descriptor that came along; the caller's from now on. Raises Gone when there is none."""
        if not self._fds:
            raise Gone
        return self._fds.pop(0)

    def close(self) -> None:
        self._sock.close()

    def _fill(self, size: int, until: float | None) -> None:
        while len(self._data) < size:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise Late
            self._read(left)

    def _read(self, timeout_s: float | None) -> None:
        try:
            self._sock.settimeout(timeout_s)
            data, fds, _, _ = socket.recv_fds(self._sock, 1 << 16, _MOST_FDS)
        except TimeoutError as error:
            raise Late from error
        except BlockingIOError:
            raise
        except OSError as error:
            raise Gone from error
        self._fds += fds
        if not data:
            raise Gone
        self._data += data
