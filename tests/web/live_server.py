"""Real servers for the browser: one in this process on its own loop, one as the command `relens serve`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

from aiohttp import web

from server.app import make_app
from server.config import Config

START_S = 60.0
STOP_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def in_process(config: Config) -> Iterator[str]:
    """The application served from a thread; yields its address."""
    started: queue.Queue[str | BaseException] = queue.Queue()
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        runner = web.AppRunner(make_app(config), access_log=None, shutdown_timeout=1.0)
        try:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
        except BaseException as error:  # told to the test, which raises it
            await runner.cleanup()
            started.put(error)
            return
        started.put(f"http://127.0.0.1:{runner.addresses[0][1]}")
        try:
            await ended.wait()
        finally:
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="live-server")
    thread.start()
    try:
        said = started.get(timeout=START_S)
        if isinstance(said, BaseException):
            raise said
        yield said
    finally:
        for end in stop:
            end()
        thread.join(STOP_S)
        assert not thread.is_alive(), "the server did not end in time"


class Served:
    """`relens serve` as a process that can be stopped and started again on the same port."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self.port = port or free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "server", "serve", "--port", str(self.port), *self._arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"}
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"relens serve ended with {self._process.returncode}"
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.base}/readyz", timeout=2) as reply,
            ):
                if reply.status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError("relens serve was not ready in time")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Returns the exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
            raise
