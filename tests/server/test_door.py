"""HTTP connections of one address are bounded, a proxy's are not; who is gone has its place no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from server.door import Door
from tests.server.visitor import until

ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.asynccontextmanager
async def listening(door: Door) -> AsyncIterator[int]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    try:
        assert runner.server is not None
        door.watch(runner.server)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def call(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """Asks, and stays; b"" where it is hung up on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            writer.write(ASKED)
            said = await reader.readline()
    return reader, writer, said


async def test_one_address_holds_so_many_and_gives_them_back(caplog: pytest.LogCaptureFixture) -> None:
    door = Door(lambda _: False, most_each=3)
    async with listening(door) as port:
        held = [await call(port) for _ in range(3)]
        assert all(said.startswith(b"HTTP/1.1 200") for _, _, said in held)
        for _ in range(2):
            _, writer, said = await call(port)
            assert said == b""
            writer.close()
        assert caplog.text.count("127.0.0.1 holds 3 HTTP connections") == 1
        assert "trusted_proxies" in caplog.text
        held[0][1].close()
        await until(lambda: len(door._open) == 2)
        _, writer, said = await call(port)
        assert said.startswith(b"HTTP/1.1 200")
        for one in (writer, *(writer for _, writer, _ in held)):
            one.close()
        await until(lambda: not door._open)
        assert not door._of


async def test_a_proxy_calls_for_many() -> None:
    async with listening(Door(lambda address: address == "127.0.0.1", most_each=1)) as port:
        held = [await call(port) for _ in range(3)]
        assert all(said.startswith(b"HTTP/1.1 200") for _, _, said in held)
        for _, writer, _ in held:
            writer.close()
