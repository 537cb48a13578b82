"""The child process that pushes to one target: `server.push.child`, spoken to over its standard input.

Connects when it has the first keyframe, then writes what comes, no faster than the target takes it: the
socket is the queue. Ends with its parent, or when the socket closes. What it says holds nothing secret.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Protocol

from server.push import limits
from server.push.address import Address, secrets_of, without_secrets
from server.push.wire import KEYFRAME, Broken, Message, Say, Unpacker, last_words, packed, packed_json

_PROGRESS_TICKS = 9000  # 100 ms between two words of progress
_GAP_TICKS = 3000  # between the first keyframe and the one that goes on from it
_FIRST_TICKS = 90_000  # room for sound that is older than the first picture


class Output(Protocol):
    """Blocking; raises Refused, Unreachable of outputs.py."""

    def video(self, data: bytes, pts: int, keyframe: bool) -> None: ...
    def audio(self, data: bytes, pts: int) -> None: ...
    def close(self) -> None: ...


def main() -> None:
    sock = socket.socket(fileno=os.dup(0))
    held = limits.enter()
    from server.push.outputs import Refused, Unreachable  # loads libav

    secrets: list[str] = []
    try:
        sock.sendall(packed_json(Say.READY, barriers=held))
        _serve(sock, secrets)
    except (Refused, Unreachable) as error:
        code = "refused" if isinstance(error, Refused) else "unreachable"
        last_words(sock, code=code, message=without_secrets(str(error), secrets))
    except (Broken, BrokenPipeError, ConnectionResetError):
        pass
    except Exception as error:
        text = without_secrets(f"{type(error).__name__}: {error}", secrets)
        last_words(sock, code="defect", message=text)
    os._exit(0)  # no destructors: libav's would wait for the network


def _serve(sock: socket.socket, secrets: list[str]) -> None:
    unpacker = Unpacker()
    push: Push | None = None
    while data := sock.recv(1 << 16):
        for message in unpacker.feed(data):
            if message.kind == Say.OPEN:
                order = message.json()
                options = tuple((name, value) for name, value in order["options"])
                secrets += secrets_of(
                    Address(order["scheme"], order["host"], order["port"], order["url"], options)
                )
                push = Push(sock, order)
            elif push is not None:
                push.take(message)
    if push is not None:
        push.close()


class Push:
    """One connection to the target, in the times of its own that begin a second after zero."""

    def __init__(self, sock: socket.socket, order: dict[str, Any]) -> None:
        self._sock = sock
        self._order = order
        self._output: Output | None = None
        self._base = 0  # the stream's time of what is at zero, 90 kHz
        self._newest = self._said = 0  # times of its own
        self._joining = False

    def take(self, message: Message) -> None:
        if message.kind == Say.VIDEO:
            self._video(message)
        elif message.kind == Say.AUDIO and self._output is not None:
            pts = message.pts - self._base * 48 // 90
            if pts >= 0 and not self._joining:
                self._output.audio(message.body, pts)
        elif message.kind == Say.RESUME:
            self._joining = True

    def close(self) -> None:
        if self._output is not None:
            self._output.close()

    def _video(self, message: Message) -> None:
        keyframe = bool(message.flags & KEYFRAME)
        if self._output is None:
            self._base = message.pts - _FIRST_TICKS
            self._output = _open(self._order, message.body)
        elif self._joining:
            self._base = message.pts - self._newest - _GAP_TICKS
            self._joining = False
        pts = message.pts - self._base
        first = self._newest == 0
        self._newest = pts
        self._output.video(message.body, pts, keyframe)
        if first:
            self._sock.sendall(packed(Say.CONNECTED))
        if first or pts - self._said >= _PROGRESS_TICKS:
            self._said = pts
            self._sock.sendall(packed(Say.PROGRESS, message.pts))


def _open(order: dict[str, Any], keyframe: bytes) -> Output:
    from server.push.outputs import RtmpOutput, SrtOutput

    size = _size(keyframe)
    return SrtOutput(order, size) if order["scheme"] == "srt" else RtmpOutput(order, size)


def _size(keyframe: bytes) -> tuple[int, int]:
    """Width and height of a keyframe: the container's head says them."""
    import av

    decoder = av.CodecContext.create("h264", "r")
    frames = [*decoder.decode(av.Packet(keyframe)), *decoder.decode(None)]
    if not frames:
        raise ValueError("the first keyframe has no picture")
    return frames[0].width, frames[0].height
