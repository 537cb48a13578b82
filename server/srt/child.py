"""The child process that listens for one stream by SRT: `server.srt.child`, over its standard input.

FFmpeg speaks SRT and passes packets on by a pipe; here, behind the barriers that films have too, it is taken
apart. Gives encoded pictures and sound as they are. Ends with its parent, when the caller is gone, or when
the socket closes.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import time
from typing import Any

from gpu.film import sandbox
from server.push import ffmpeg
from server.push.wire import KEYFRAME, Broken, Say, Unpacker, last_words, packed, packed_json

_MEMORY_BYTES = 1 << 30
_NOTE_S = 10.0  # between two words about callers that were refused
_MOST_WORDS = 4096
_HEADS_BYTES = 1024
_WRONG = b"a caller with a wrong passphrase, or without one, was refused"
_OPTIONS = {"probesize": "50000", "analyzeduration": "100000"}  # the head says almost all


def main() -> None:
    sock = socket.socket(fileno=os.dup(0))
    try:
        order = _order(sock)
        process = _listen(order)
        held = sandbox.enter(_MEMORY_BYTES)
        # Everything that will be needed: behind the first barriers, before none can be opened any more.
        import av

        from server.srt.packets import Packets

        held += sandbox.seal()
        sock.sendall(packed_json(Say.READY, barriers=held))
        source = Source(sock, process)
        why = "the caller is gone"
        try:
            container = av.open(source, format=order["between"], options=_OPTIONS)
            _pass_on(sock, Packets(container, source.begun))
        except Exception as error:  # of what came from the network: told, and the process ends
            why = type(error).__name__
        last_words(sock, code="ended", message=source.words() or why)
    except (Broken, OSError, ValueError, KeyError) as error:
        last_words(sock, code="defect", message=type(error).__name__)
    os._exit(0)


def _say(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(data)


def _order(sock: socket.socket) -> dict[str, Any]:
    unpacker = Unpacker()
    while data := sock.recv(1 << 12):
        for message in unpacker.feed(data):
            return message.json()
    raise Broken("nothing was ordered")


def _listen(order: dict[str, Any]) -> subprocess.Popen[bytes]:
    script = ffmpeg.given(order["script"])
    try:
        return ffmpeg.start(order["command"], stdin=script, stdout=subprocess.PIPE)
    finally:
        os.close(script)


def _pass_on(sock: socket.socket, packets: Any) -> None:
    sock.sendall(packed_json(Say.HEAD, **packets.head()))
    for kind, pts, data, keyframe in packets:
        sock.sendall(packed(kind, pts, data, KEYFRAME if keyframe else 0))


class Source:
    """What FFmpeg writes, for libav to read; also hears what FFmpeg says, and whether the parent is there."""

    def __init__(self, sock: socket.socket, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._sock = sock
        self._data, self._errors = process.stdout.fileno(), process.stderr.fileno()
        self._heard = [self._data, self._errors, sock.fileno()]
        self._said = ""
        self.begun = b""  # how it begins: heads of streams
        self._noted_s = -_NOTE_S

    def read(self, size: int) -> bytes:
        while True:
            ready = select.select(self._heard, [], [])[0]
            if self._sock.fileno() in ready:
                os._exit(0)  # the parent has nothing more to say than that it is over
            if self._errors in ready:
                self._hear()
            if self._data in ready:
                data = os.read(self._data, size)
                if len(self.begun) < _HEADS_BYTES:
                    self.begun = (self.begun + data)[:_HEADS_BYTES]
                return data

    def words(self) -> str:
        """Why FFmpeg ended, in words; "" where it said nothing that is known."""
        if select.select([self._errors], [], [], 0.5)[0]:
            self._hear()
        low = self._said.lower()
        if "codec tag" in low or "incompatible with output codec" in low:
            return "sound"  # such as TrueHD: NUT has no name for it, and nor would we take it
        if "address already in use" in low or "unable to create/configure srt socket" in low:
            return "port"
        return "silent" if "timed out" in low else ""

    def _hear(self) -> None:
        data = os.read(self._errors, _MOST_WORDS)
        if not data:
            self._heard = [fd for fd in self._heard if fd != self._errors]
        self._said = (self._said + data.decode("utf-8", "replace"))[-_MOST_WORDS:]
        refused = b"BADSECRET" in data or b"passphrase" in data
        if refused and time.monotonic() - self._noted_s >= _NOTE_S:
            self._noted_s = time.monotonic()
            _say(
                self._sock,
                packed(Say.NOTE, body=b"a caller with a wrong passphrase, or without one, was refused"),
            )
