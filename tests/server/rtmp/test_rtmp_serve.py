"""`serve` with RTMP beside the page: where it is said, and that a taken port costs RTMP alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from server.config import Config
from server.serve import serve
from tests.server.rtmp.rtmp_client import Client
from tests.server.streams.stream_parts import until


@asynccontextmanager
async def served(folder: Path, rtmp_port: int) -> AsyncIterator[list[str]]:
    """What it says, from when it is ready."""
    said: list[str] = []
    config = Config(model="passthrough", media="cpu", port=0, data_dir=str(folder), rtmp_port=rtmp_port)
    task = asyncio.create_task(serve(config, said.append))
    try:
        await until(lambda: task.done() or any("Only this machine" in line for line in said), 40)
        yield said
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def test_it_says_where_rtmp_is_and_answers_there(tmp_path: Path) -> None:
    port = free_port()
    async with served(tmp_path, port) as said:
        await until(lambda: f"RTMP: rtmp://127.0.0.1:{port}/live" in said)
        client = await Client.open(port)
        await client.connect()
        assert (
            "the key of live is missing or wrong" in (await client.publish("live?key=guess"))["description"]
        )
        client.close()
    with suppress(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
        raise AssertionError("it listens still")


async def test_a_taken_port_costs_rtmp_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        async with served(tmp_path, port) as said:
            await until(lambda: any("No RTMP" in line for line in said))
            (line,) = [line for line in said if "RTMP" in line]
            words = (
                f"cannot listen on 127.0.0.1 port {port} (Address already in use); another one: --rtmp-port"
            )
            assert words in line
            assert any("is ready" in line for line in said)


async def test_rtmp_may_be_off(tmp_path: Path) -> None:
    async with served(tmp_path, 0) as said:
        await asyncio.sleep(0.1)
        assert not any("RTMP" in line for line in said)
