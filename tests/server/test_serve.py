"""What the server says of itself when it is ready: who its operators are, where others can reach it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from server import serve as module
from server.config import Config
from server.serve import named_elsewhere, serve
from tests.server.visitor import until


@pytest.mark.parametrize(
    ("origins", "operator_key", "names"),
    [
        ((), "", []),
        (("*",), "", []),
        (("http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:8080", "http://["), "", []),
        (("https://tv.example", "https://a.test:8443", "http://localhost"), "", ["a.test", "tv.example"]),
        (("https://tv.example",), "of-the-operator", []),
    ],
)  # fmt: skip
def test_names_that_lead_here_count_where_operators_are_known_by_being_here(
    origins: tuple[str, ...], operator_key: str, names: list[str]
) -> None:
    assert named_elsewhere(Config(allowed_origins=origins, operator_key=operator_key)) == names


async def test_a_proxy_without_an_operators_key_is_warned_of(tmp_path: Path) -> None:
    said: list[str] = []
    config = Config(
        model="passthrough", media="cpu", port=0, rtmp_port=0, data_dir=str(tmp_path),
        allowed_origins=("https://tv.example",),
    )  # fmt: skip
    running = asyncio.ensure_future(serve(config, said.append))
    try:
        await until(lambda: running.done() or any("Only this machine" in line for line in said), 40)
        (line,) = [line for line in said if "operator_key" in line]
        assert "tv.example leads here" in line
        assert line.endswith("Set operator_key")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_connection_that_says_nothing_whole_is_closed_and_one_that_listens_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HTTP_IDLE_S", 0.3)
    said: list[str] = []
    config = Config(model="passthrough", media="cpu", port=0, rtmp_port=0, data_dir=str(tmp_path))
    running = asyncio.ensure_future(serve(config, said.append))
    try:
        await until(lambda: running.done() or any("is ready" in line for line in said), 40)
        (port,) = re.findall(r"http://[^/:]*:(\d+)/", " ".join(said))
        for begun in (b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(begun)
            async with asyncio.timeout(20):
                await reader.read()  # to its end
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"GET /streams/live/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(20):
            for _ in range(3):  # a second apart
                await reader.readuntil(b"event: facts")
        writer.close()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_as_many_files_are_allowed_as_the_system_has_for_us() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))\n"
        "from server.serve import allow_open_files; allow_open_files()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    shown = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert shown == "(200, 200)\n"
