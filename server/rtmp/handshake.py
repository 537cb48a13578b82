"""The server's side of RTMP's handshake (Adobe's "RTMP" 1.0 §5.2). Knows bytes, not sockets.

Answered is the simple form, our version 0. Clients that send the digest form (Flash, FFmpeg) take that for a
server that has none, and go on.
"""

from __future__ import annotations

import os

from server.errors import ProtocolError

VERSION = 3
PART_BYTES = 1536  # C1, C2, S1 and S2
_ENCRYPTED, _TLS_RECORD = (6, 8, 9), 0x16  # RTMPE's versions; RFC 8446 §5.1
_HTTP = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"PRI ", b"DELE", b"PATC")


class Handshake:
    """Give `push` what comes in until `done`; its answer goes out. What comes after belongs to `rest`."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._answered = False
        self.done = False

    @property
    def rest(self) -> bytes:
        """What came in behind the handshake, once `done`."""
        return bytes(self._held) if self.done else b""

    def push(self, data: bytes) -> bytes:
        """-> what to send. Raises ProtocolError, the remedy in it, for what is not RTMP."""
        self._held += data
        out = b""
        if self._held and self._held[0] != VERSION:
            raise ProtocolError(_what_else(bytes(self._held[:4])))
        if not self._answered and len(self._held) > PART_BYTES:
            hello = bytes(self._held[1 : 1 + PART_BYTES])
            out = bytes((VERSION,)) + bytes(8) + os.urandom(PART_BYTES - 8) + hello
            self._answered = True
        # C2 should repeat our S1; clients that send the digest form send something else.
        if self._answered and not self.done and len(self._held) > 2 * PART_BYTES:
            del self._held[: 1 + 2 * PART_BYTES]
            self.done = True
        return out


def speaks_http(data: bytes) -> bool:
    """Whether these first bytes are a request of HTTP."""
    return data[:4] in _HTTP


def _what_else(begin: bytes) -> str:
    if begin[0] == _TLS_RECORD:
        return "TLS on the port of plain RTMP: write rtmp:// instead of rtmps://"
    if begin[0] in _ENCRYPTED:
        return "encrypted RTMP (RTMPE) is not spoken here: write rtmp://"
    if any(request.startswith(begin[:4]) for request in _HTTP):
        return "HTTP on the port of RTMP: the page and the API are on the other port"
    return f"not RTMP: it begins with byte {begin[0]}, RTMP with {VERSION}"
