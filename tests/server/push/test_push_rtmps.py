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
async def tls_before(
    port: int, context: ssl.SSLContext, heard: list[bytes] | None = None
) -> AsyncIterator[int]:
    """A TLS port whose connections go on to `port` in plain; `heard` gets what each says first."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = b""
        with contextlib.suppress(OSError):  # who does not believe the certificate hangs up
            first = await reader.read(1 << 16)
        if heard is not None:
            heard.append(first)
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
    odd = tmp_path / "it's [a:b]|c"  # for whatever reads this path
    odd.mkdir()
    context = self_signed(odd)
    monkeypatch.setenv("SSL_CERT_FILE", str(odd / "certificate.pem"))
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


@pytest.mark.parametrize("wrong", ["authority", "host"])
async def test_no_key_goes_to_who_cannot_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    context = self_signed(tmp_path)
    vouches = tmp_path
    if wrong == "authority":
        vouches = tmp_path / "another"
        vouches.mkdir()
        self_signed(vouches)
    monkeypatch.setenv("SSL_CERT_FILE", str(vouches / "certificate.pem"))
    host = "127.0.0.1" if wrong == "host" else "localhost"
    heard: list[bytes] = []
    async with (
        tls_before(free_port(), context, heard) as secure,
        pushed(f"rtmps://{host}:{secure}/live/geheimnis") as (pushers, _),
    ):
        facts = await until(pushers, lambda facts: facts.state == "refused")
    assert "certificate is not valid" in facts.message
    assert not any(heard)


async def test_where_nobody_listens_no_certificate_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))  # its name is in what libav says
    async with pushed(f"rtmps://localhost:{free_port()}/live/geheimnis") as (pushers, _):
        facts = await until(pushers, lambda facts: facts.state in ("backing-off", "refused"))
    assert facts.state == "backing-off"
    assert "nobody listens there" in facts.message
