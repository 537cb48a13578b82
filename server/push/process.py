"""A child process that carries media: started, spoken to over a socket, ended. Knows processes, not media."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from server.push.wire import Broken, Message, Unpacker

_BOOT = "import importlib, sys; sys.path[:0] = sys.argv[1:-1]; importlib.import_module(sys.argv[-1]).main()"
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_HANDED_ON = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # OpenSSL's own: which authorities this machine believes
_SOCKET_BYTES = 256 << 10  # of the kernel's, between both: more would only be late
_END_S = 5.0


class MediaChild(asyncio.Protocol):
    """One child. `on_message` and `on_gone` are called on the loop, neither after `end`."""

    def __init__(self, on_message: Callable[[Message], None], on_gone: Callable[[], None]) -> None:
        self._on_message, self._on_gone = on_message, on_gone
        self._unpacker = Unpacker()
        self._transport: asyncio.WriteTransport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    async def start(self, entry: str) -> None:
        """`entry`: the module whose `main` runs in it, its end of the socket its standard input.
        Nothing of what it is told later is in its arguments. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                for each in (ours, theirs):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
                # From the loop's thread: the child ends with it (PR_SET_PDEATHSIG). Milliseconds.
                self._process = subprocess.Popen(  # noqa: ASYNC220
                    [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, *_paths(), entry],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=_ENVIRONMENT | {name: os.environ[name] for name in _HANDED_ON if name in os.environ},
                )
                ours.setblocking(False)
                await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
            except BaseException:
                ours.close()
                await self.end()
                raise

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def waiting_bytes(self) -> int:
        """Sent, and not yet taken by the kernel."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def send(self, data: bytes) -> None:
        """Whoever calls bounds what waits."""
        if self._transport is not None and not self._ended:
            self._transport.write(data)

    async def finish(self, timeout_s: float) -> None:
        """Let it end by itself, behind all that was sent; then `end`, also where nobody waits any more."""
        try:
            if self._transport is not None and self._process is not None and not self._ended:
                with contextlib.suppress(OSError, RuntimeError):
                    self._transport.write_eof()
                await _exited(self._process, timeout_s)
        finally:
            await self.end()

    async def end(self) -> None:
        """At once; idempotent."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.kill()
            await _exited(process, _END_S)

    def exit_words(self) -> str:
        code = self._process.poll() if self._process is not None else None
        return "it runs" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    # of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one by what it does alone

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._unpacker.feed(data):
                if self._ended:
                    return
                self._on_message(message)
        except Broken:
            self._gone()

    def eof_received(self) -> bool:
        self._gone()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()

    def _gone(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_gone()


async def _exited(process: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Whether it ended within this time. Polled: it is the loop's thread that may reap it."""
    until_s = asyncio.get_running_loop().time() + timeout_s
    while process.poll() is None:
        if asyncio.get_running_loop().time() > until_s:
            return False
        await asyncio.sleep(0.02)
    return True


def _paths() -> list[str]:
    """Where the child finds relens and its two libraries; it reads no environment and no site."""
    found = [str(Path(__file__).parents[2])]
    for name in ("av", "numpy"):
        spec = find_spec(name)
        if spec is not None and spec.origin:
            found.append(str(Path(spec.origin).parents[1]))
    return list(dict.fromkeys(found))
