"""Platforms to push to: FFmpeg's real receivers, and servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

FFMPEG = shutil.which("ffmpeg") or ""
C1_BYTES = 1536  # Adobe RTMP 1.0 §5.2.3


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Receiver:
    """FFmpeg that waits for one publisher and writes what it gets, as it is."""

    def __init__(self, arguments: list[str], out: Path, kind: str) -> None:
        self.out = out
        copy = ["-map", "0", "-c", "copy", "-flush_packets", "1", "-f", kind, "-y", str(out)]
        self._command = [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", *arguments, *copy]

    async def __aenter__(self) -> Receiver:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stderr=asyncio.subprocess.DEVNULL
        )
        return self

    async def __aexit__(self, *what: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """At once; idempotent."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def ended(self, limit_s: float = 20.0) -> None:
        async with asyncio.timeout(limit_s):
            await self._process.wait()

    async def wrote(self, size: int, limit_s: float = 30.0) -> None:
        async with asyncio.timeout(limit_s):
            while not self.out.exists() or self.out.stat().st_size < size:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def rtmp_receiver(port: int, out: Path) -> Receiver:
    return Receiver(["-listen", "1", "-i", f"rtmp://127.0.0.1:{port}/live/geheimnis"], out, "flv")


def srt_receiver(port: int, out: Path, passphrase: str = "") -> Receiver:
    secret = f"&passphrase={passphrase}" if passphrase else ""
    return Receiver(["-i", f"srt://127.0.0.1:{port}?mode=listener{secret}"], out, "mpegts")


@contextlib.asynccontextmanager
async def platform(behave) -> AsyncIterator[int]:  # type: ignore[no-untyped-def]
    """A TCP server whose connections `behave(reader, writer)`; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await behave(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 14)
    tasks = asyncio.all_tasks()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in asyncio.all_tasks() - tasks:
            if "serve" in repr(task.get_coro()):
                task.cancel()
        await server.wait_closed()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts, takes, never says anything."""
    while await reader.read(4096):
        pass


async def handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(1)
    c1 = await reader.readexactly(C1_BYTES)
    writer.write(b"\x03" + bytes(C1_BYTES) + c1)
    await reader.readexactly(C1_BYTES)


async def says_no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuses at connect, and says the key in its reason."""
    await handshake(reader, writer)
    await reader.read(4096)
    writer.write(_message("_error", 1.0, None, {"level": "error", "code": "NetConnection.Connect.Rejected",
                                                "description": "no such key: geheimnis"}))  # fmt: skip
    await asyncio.sleep(5)


async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Up to where media flows. libav numbers its commands: connect 1, createStream 4."""
    await handshake(reader, writer)
    await reader.read(4096)
    writer.write(_message("_result", 1.0, {}, {"code": "NetConnection.Connect.Success"}))
    await reader.read(4096)
    writer.write(_message("_result", 4.0, None, 1.0))
    await reader.read(4096)
    writer.write(_message("onStatus", 0.0, None, {"level": "status", "code": "NetStream.Publish.Start"}))


async def reads_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the publisher, and no media."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await accepted(reader, writer)
    await asyncio.sleep(60)


async def closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As platforms do with a key that they do not like."""
    await accepted(reader, writer)
    await asyncio.sleep(0.3)


def _message(*values: object) -> bytes:
    """An AMF0 command in one chunk (Adobe RTMP 1.0 §5.3.1, type 20)."""
    body = b"".join(map(_amf, values))
    head = b"\x03" + bytes(3) + len(body).to_bytes(3, "big") + b"\x14" + bytes(4)
    chunks = [body[i : i + 128] for i in range(0, len(body), 128)]
    return head + b"\xc3".join(chunks)


def _amf(value: object) -> bytes:
    if value is None:
        return b"\x05"
    if isinstance(value, float):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\x02" + struct.pack(">H", len(value)) + value.encode()
    assert isinstance(value, dict)
    pairs = b"".join(
        struct.pack(">H", len(name)) + name.encode() + _amf(each) for name, each in value.items()
    )
    return b"\x03" + pairs + b"\x00\x00\x09"


def command_lines(pid: int) -> list[str]:
    """What everybody can read of a process and its children."""
    found = [Path(f"/proc/{pid}/cmdline").read_text()]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += command_lines(int(child))
    return found
