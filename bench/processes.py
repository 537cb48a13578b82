"""Subprocesses of a measurement: the server under test, the echo, clients. All killed at the end, by group.

Knows how to start, await and end them; not what they measure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bench.client import ClientReport
from bench.error import BenchError

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "bench" / "out"
READY_S = 90.0  # loading and compiling a model on two busy cores


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def end(process: asyncio.subprocess.Process, grace_s: float = 5.0) -> None:
    """SIGTERM to the group, then SIGKILL; returns when it is gone."""
    if process.returncode is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), grace_s)
                return


class Server:
    """A running server under test or the echo: where it is, its process."""

    def __init__(self, name: str, url: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self.url, self.process, self.log = name, url, process, log

    @property
    def pid(self) -> int:
        return self.process.pid


@contextlib.asynccontextmanager
async def serving(name: str, *flags: str, launcher: Sequence[str] = ()) -> AsyncIterator[Server]:
    """Start "echo" or `relens serve --model name`; yields when /readyz says so. Raises BenchError.

    `launcher` stands in for `python -m server` where the server is to be started by something else."""
    port = free_port()
    OUT.mkdir(parents=True, exist_ok=True)
    log = OUT / f"{name}.log"
    relens = [*(launcher or (sys.executable, "-m", "server")), "serve", "--host", "127.0.0.1"]
    command = [*relens, "--port", str(port), "--model", name, *flags]
    if name == "echo":
        command = [sys.executable, "-m", "bench.echo", str(port)]
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    server = Server(name, f"http://127.0.0.1:{port}", process, log)
    try:
        await _await_ready(server)
        yield server
    finally:
        await end(process)


async def _await_ready(server: Server) -> None:
    deadline = time.monotonic() + READY_S
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < deadline:
            if server.process.returncode is not None:
                raise BenchError(f"{server.name} ended with {server.process.returncode}; see {server.log}")
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.get(server.url + "/readyz", timeout=aiohttp.ClientTimeout(2)) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise BenchError(f"{server.name} was not ready within {READY_S:.0f} s; see {server.log}")


class ClientProcess:
    """bench.client in its own process, spoken to in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=10_000)
        self._reader = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, config: msgspec.Struct, module: str = "bench.client") -> ClientProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            msgspec.json.encode(config).decode(),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=1 << 26,
        )
        return cls(process)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            await self._events.put(json.loads(line))
        await self._events.put({"event": "ended"})

    async def expect(self, event: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """The next event of that name (and fields); others are passed over. Raises BenchError."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                got = await asyncio.wait_for(self._events.get(), max(0.01, deadline - time.monotonic()))
            except TimeoutError:
                raise BenchError(f"the client said no {event!r} within {timeout_s:.0f} s") from None
            if got["event"] == event and all(got.get(k) == v for k, v in fields.items()):
                return got
            broken = got.get("state") in ("failed", "closed") and event != "gone"
            ours = all(got.get(k) == v for k, v in fields.items() if k == "id")
            if got["event"] == "ended" or (broken and ours):
                raise BenchError(f"the client's connection ended while {event!r} was awaited: {got}")

    async def do(self, command: str, **fields: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **fields}).encode() + b"\n")
        await self._process.stdin.drain()

    async def offer(self) -> str:
        return str((await self.expect("offer", 30))["sdp"])

    async def answer(self, sdp: str) -> None:
        await self.do("answer", sdp=sdp)

    async def send(self, message: dict[str, Any]) -> None:
        await self.do("send", message=message)

    async def stop(self) -> ClientReport:
        await self.do("stop")
        report = (await self.expect("report", 15))["report"]
        return msgspec.convert(report, ClientReport)

    async def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        await end(self._process)
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    def kill(self) -> None:
        """Gone without a word, as a tab that crashed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
