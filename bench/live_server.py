"""What a measurement asks of a server with streams, over HTTP, and what its metrics say. Times nothing."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import aiohttp

from bench.error import BenchError
from bench.processes import Server

_LIVE_S = 45.0  # a model may have to be loaded and compiled first
_SAMPLE = re.compile(r"^(\w+(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)


class LiveServer:
    """A running server whose operator we are: we call from its own machine."""

    def __init__(self, server: Server, rtmp_port: int, http: aiohttp.ClientSession) -> None:
        self.pid, self._url, self._rtmp_port, self._http = server.pid, server.url, rtmp_port, http

    async def create(self, stream: str, key: str, model: str, bitrate_bps: int) -> None:
        """Raises BenchError, as everything here."""
        body = {"key": key, "model": model, "bitrateBps": bitrate_bps}
        await self._ask("PUT", f"/streams/{stream}/settings", body)

    def publish_url(self, stream: str, key: str) -> str:
        return f"rtmp://127.0.0.1:{self._rtmp_port}/live/{stream}?key={key}"

    def watch_url(self, stream: str) -> str:
        return f"{self._url}/whep/{stream}"

    async def facts(self, stream: str) -> dict[str, Any]:
        return dict(await self._ask("GET", f"/streams/{stream}"))

    async def until_live(self, stream: str) -> None:
        """Pictures come out."""
        deadline = time.monotonic() + _LIVE_S
        while time.monotonic() < deadline:
            facts = await self.facts(stream)
            if facts["state"] == "live" and facts["fpsOut"] > 0:
                return
            await asyncio.sleep(0.1)
        raise BenchError(f"the stream {stream} was not live within {_LIVE_S:.0f} s: it is {facts['state']}")

    async def edit(self, stream: str, prompt: str, strength: float) -> str:
        """In force and seen -> what it was taken for."""
        body = {"prompt": prompt, "strength": strength, "transitionMs": 0}
        receipt = await self._ask("PUT", f"/streams/{stream}/edit?wait=applied", body)
        if not receipt["understood"] or receipt["applied"] is None:
            raise BenchError(f"the edit {prompt!r} is not in force: {receipt}")
        return str(receipt["label"])

    async def metrics(self) -> dict[str, float]:
        async with self._http.get(self._url + "/metrics") as reply:
            return read_metrics(await reply.text())

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self._http.request(method, self._url + path, json=body) as reply:
            text = await reply.text()
            if reply.status not in (200, 201):
                raise BenchError(f"{method} {path} was answered {reply.status}: {text[:200]}")
            return await reply.json()


def read_metrics(text: str) -> dict[str, float]:
    """Prometheus' text form: each sample by its name with its labels."""
    return {name: float(value) for name, value in _SAMPLE.findall(text)}


def grown(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)
