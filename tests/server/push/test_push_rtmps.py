"""Pushing by RTMPS: to a platform whose certificate is vouched for, and to one whose is not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server import lip_sync
from tests.server.push.certificates import self_signed
from tests.server.push.feeds import pushed, until
from tests.server.push.platforms import FFMPEG, free_port, rtmp_receiver

pytestmark = pytest.mark.realtime


@contextlib.asynccontextmanager
async def tls_before(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A TLS port whose connections go on to `port` in plain."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1 << 16)  # a connection that only looks at the certificate says nothing
        if first:
            with contextlib.suppress(OSError):
                to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
                to_writer.write(first)
                await asyncio.gather(copy(reader, to_writer), copy(to_reader, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.skipif(not FFMPEG, reason="needs FFmpeg's command line")
async def test_media_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    port = free_port()
    async with rtmp_receiver(port, tmp_path / "got.flv") as receiver, tls_before(port, context) as secure:
        async with pushed(f"rtmps://localhost:{secure}/live/geheimnis") as (pushers, _):
            await until(pushers, lambda facts: facts.state == "pushing")
            await receiver.wrote(1)
            await asyncio.sleep(2.5)
        await receiver.ended()
    apart = lip_sync.recorded(tmp_path / "got.flv")
    assert apart
    assert max(map(abs, apart)) <= 0.02, apart


async def test_no_key_goes_to_who_cannot_be_trusted(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    async with (
        tls_before(free_port(), context) as secure,
        pushed(f"rtmps://localhost:{secure}/live/geheimnis") as (pushers, _),
    ):
        facts = await until(pushers, lambda facts: facts.state == "refused")
    assert "certificate is not valid" in facts.message
