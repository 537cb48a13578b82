"""Who shakes hands by TLS is counted, and has so long for it: on the loop of the server and on Python's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import uvloop
from aiohttp import web

from server.door import Door
from server.handshakes import Handshakes
from tests.server.visitor import until

ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    key, cert = (str(tmp_path_factory.mktemp("tls") / name) for name in ("key.pem", "cert.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
        check=True, stderr=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(cert, key)
    return made


@pytest.fixture(params=[asyncio.run, uvloop.run])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    return request.param  # type: ignore[no-any-return]


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass
class House:
    door: Door
    handshakes: Handshakes
    port: int
    held: list[asyncio.StreamWriter] = field(default_factory=list)

    async def raw(self) -> asyncio.StreamReader:
        """Connects, and says nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.held.append(writer)
        return reader

    async def ask(self) -> bytes:
        """b"" where it is hung up on."""
        async with asyncio.timeout(20):
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=trusting())
                self.held.append(writer)
                writer.write(ASKED)
                return await reader.readline()
        return b""


@contextlib.asynccontextmanager
async def house(context: ssl.SSLContext, most_each: int = 3, handshake_s: float = 20) -> AsyncIterator[House]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.scheme} {request.remote}")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    assert runner.server is not None
    door = Door(lambda _: False, most_each)
    door.watch(runner.server)
    handshakes = Handshakes(door, runner.server, context, handshake_s)
    here = House(door, handshakes, await handshakes.listen("127.0.0.1", 0))
    try:
        yield here
    finally:
        await handshakes.close()
        for writer in here.held:
            writer.close()
        await runner.cleanup()
        assert not handshakes
        await until(lambda: not door._open, what="nobody is counted any more")


def test_who_never_shakes_hands_holds_no_more_than_others(
    run: Callable[[Awaitable[None]], None], context: ssl.SSLContext
) -> None:
    async def go() -> None:
        async with house(context) as here:
            for _ in range(3):
                await here.raw()
            await until(lambda: len(here.door._open) == 3)
            for _ in range(2):
                assert await here.ask() == b""
            here.held[0].close()  # in mid-handshake
            await until(lambda: len(here.door._open) == 2)
            assert (await here.ask()).startswith(b"HTTP/1.1 200")
            assert await here.ask() == b""

    run(go())


def test_who_is_too_slow_is_hung_up_on_and_makes_room(
    run: Callable[[Awaitable[None]], None], context: ssl.SSLContext
) -> None:
    async def go() -> None:
        async with house(context, handshake_s=0.3) as here:
            readers = [await here.raw() for _ in range(3)]
            async with asyncio.timeout(20):
                for reader in readers:
                    with contextlib.suppress(ConnectionError):
                        assert await reader.read() == b""
            await until(lambda: not here.door._open and not here.handshakes)
            assert (await here.ask()).startswith(b"HTTP/1.1 200")
            assert len(here.door._open) == 1
            here.held[-1].close()
            await until(lambda: not here.door._open)
            assert not here.door._of

    run(go())


def test_what_is_no_tls_is_hung_up_on_at_once(
    run: Callable[[Awaitable[None]], None], context: ssl.SSLContext
) -> None:
    async def go() -> None:
        async with house(context) as here:
            for said in (ASKED, b"\x16\x03\x01\xff\xff" + b"x" * 500, b""):
                reader = await here.raw()
                here.held[-1].write(said)
                here.held[-1].write_eof()
                async with asyncio.timeout(10):
                    with contextlib.suppress(ConnectionError):
                        await reader.read()
                await until(lambda: not here.door._open and not here.handshakes)
            assert (await here.ask()).startswith(b"HTTP/1.1 200")

    run(go())


def asks_with_its_last_handshake(port: int) -> bytes:
    """The request comes in one piece with the end of the handshake: nobody must lose it. Blocks."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting().wrap_bio(incoming, outgoing)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65_536))
        tls.write(ASKED)
        raw.sendall(outgoing.read())
        while True:
            try:
                return tls.read(4096)
            except ssl.SSLWantReadError:
                incoming.write(raw.recv(65_536))


def test_a_request_that_comes_with_the_handshake_is_heard(
    run: Callable[[Awaitable[None]], None], context: ssl.SSLContext
) -> None:
    async def go() -> None:
        async with house(context) as here:
            for _ in range(5):
                said = await asyncio.to_thread(asks_with_its_last_handshake, here.port)
                assert said.startswith(b"HTTP/1.1 200")
                assert b"https 127.0.0.1" in said

    run(go())


def test_the_end_of_the_server_ends_handshakes(
    run: Callable[[Awaitable[None]], None], context: ssl.SSLContext
) -> None:
    async def go() -> None:
        async with house(context) as here:
            reader = await here.raw()
            await until(lambda: len(here.handshakes) == 1)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""

    run(go())
