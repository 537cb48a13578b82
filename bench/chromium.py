"""The client in Debian's Chromium: its own encoder, jitter buffer and repair, as a person has them.

Spoken to as bench.client is. Its clock is turned into time.monotonic_ns by one bracketed reading.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, Error, Page, Playwright, async_playwright

from bench.client import ClientConfig, ClientReport
from bench.error import BenchError

CHROMIUM = "/usr/bin/chromium"
_PAGE = Path(__file__).with_name("chromium.html")
_FLAGS = (
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
)


class ChromiumClient:
    """One page in a browser of its own."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._page: Page | None = None
        self._runner: web.AppRunner | None = None
        self.stats: dict[str, float] = {}

    @classmethod
    async def start(cls, config: ClientConfig) -> ChromiumClient:
        """Raises BenchError when there is no Chromium."""
        client = cls(config)
        app = web.Application()

        async def page(_: web.Request) -> web.Response:
            return web.Response(text=_PAGE.read_text(), content_type="text/html")

        app.router.add_get("/", page)
        runner = client._runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        client._playwright = await async_playwright().start()
        try:
            client._browser = await client._playwright.chromium.launch(
                executable_path=CHROMIUM, args=list(_FLAGS)
            )
            client._page = await client._browser.new_page()
            # localhost, so that the page is a secure context
            await client._page.goto(f"http://localhost:{port}/")
        except Error as error:
            await client.close()
            raise BenchError(f"Chromium did not start: {error.message[:300]}") from error
        return client

    async def _call(self, script: str, argument: Any = None) -> Any:
        assert self._page is not None
        try:
            return await asyncio.wait_for(self._page.evaluate(script, argument), 20)
        except (Error, TimeoutError) as error:
            raise BenchError(f"the page did not answer {script[:40]!r}: {error!r}"[:400]) from error

    async def offer(self) -> str:
        size = {"width": self._config.width, "height": self._config.height, "fps": self._config.fps}
        return str(await self._call("(c) => bench.offer(c)", size))

    async def answer(self, sdp: str) -> None:
        await self._call("(s) => bench.answer(s)", sdp)

    async def expect(self, event: str, timeout_s: float, **_: Any) -> dict[str, Any]:
        """ "first-frame" or "message" """
        key = {"first-frame": "frames", "message": "messages"}[event]
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            state: dict[str, Any] = await self._call("() => bench.state()")
            if state[key]:
                return state
            if state["connection"] in ("failed", "closed"):
                raise BenchError(f"Chromium's connection {state['connection']} while {event!r} was awaited")
            await asyncio.sleep(0.1)
        raise BenchError(f"Chromium had no {event!r} within {timeout_s:.0f} s: {state}")

    async def send(self, message: dict[str, Any]) -> None:
        await self._call("(m) => bench.send(m)", message)

    async def stop(self) -> ClientReport:
        before_ns = time.monotonic_ns()
        now_ms = float(await self._call("() => performance.now()"))
        zero_ns = (before_ns + time.monotonic_ns()) / 2 - now_ms * 1e6
        told = await self._call("() => bench.stop()")
        self.stats = told["stats"]

        def at(ms: float) -> int:
            return round(zero_ns + ms * 1e6)

        return ClientReport(
            sent=[(n, pts, at(t)) for n, pts, t in told["sent"]],
            shown=[(pts, n, at(t)) for pts, n, t in told["shown"]],
            messages=[(at(t), m) for t, m in told["messages"]],
            typed=[(r, at(t)) for r, t in told["typed"]],
        )

    async def close(self) -> None:
        if self._browser is not None:
            await self._browser.close()
        if self._playwright is not None:
            await self._playwright.stop()
        if self._runner is not None:
            await self._runner.cleanup()
