"""Several streams at once through relays, from one process of light peers. Owns relays and signalling."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from bench.client import ClientConfig
from bench.processes import ClientProcess
from bench.sdp import host_address, video_payload_type, with_candidate, without_candidates
from bench.stream import post_offer
from tests.relay import FramePackets, Relay, Sight


@dataclass(slots=True)
class ManyFigures:
    server_ms: list[float]
    fps_each: list[float]  # frames out per second, one entry a stream
    fps_in_each: list[float]


class Many:
    """Streams that can be added one by one and measured together."""

    def __init__(self, url: str, process: ClientProcess, http: aiohttp.ClientSession) -> None:
        self._url, self._process, self._http = url, process, http
        self.relays: list[Relay] = []
        self.locations: list[str] = []

    async def add(self, prompt: str = "") -> None:
        """One more stream under `prompt`. Raises BenchError when refused or not connected in time."""
        key = len(self.locations)
        await self._process.do("offer", id=key)
        offer = (await self._process.expect("offer", 30, id=key))["sdp"]
        answer, location = await post_offer(self._http, self._url, without_candidates(offer))
        self.locations.append(location)
        relay = await Relay.open(host_address(answer), seed=key + 1)
        self.relays.append(relay)
        payload_type = video_payload_type(answer)
        relay.up_sight, relay.down_sight = Sight(payload_type), Sight(payload_type)
        await self._process.do("answer", id=key, sdp=with_candidate(answer, relay.address))
        await self._process.expect("open", 20, id=key)
        if prompt:
            message = {"type": "edit", "revision": 1, "prompt": prompt, "transitionMs": 0}
            await self._process.do("send", id=key, message=message)

    async def measure(self, seconds: float) -> ManyFigures:
        """All streams over the next `seconds`; relies on timestamps out equal to those in."""
        start_ns = time.monotonic_ns()
        await asyncio.sleep(seconds)
        end_ns = time.monotonic_ns() - 500_000_000  # frames that came in later may still be inside
        span_s = (end_ns - start_ns) / 1e9
        out = ManyFigures([], [], [])
        for relay in self.relays:
            assert relay.up_sight is not None
            assert relay.down_sight is not None
            up, down = relay.up_sight.frames, relay.down_sight.frames
            inside = [ts for ts, f in up.items() if start_ns <= f.last_ns < end_ns]
            out.server_ms += [(down[ts].last_ns - up[ts].last_ns) / 1e6 for ts in inside if ts in down]
            out.fps_in_each.append(len(inside) / span_s)
            out.fps_each.append(_frames(down, start_ns, end_ns) / span_s)
        return out


def _frames(frames: dict[int, FramePackets], start_ns: int, end_ns: int) -> int:
    return sum(start_ns <= f.last_ns < end_ns for f in frames.values())


@contextlib.asynccontextmanager
async def many(url: str, config: ClientConfig) -> AsyncIterator[Many]:
    """Ends every session, relay and the process at the end."""
    process = await ClientProcess.start(config, module="bench.load")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(15)) as http:
        streams = Many(url, process, http)
        try:
            yield streams
        finally:
            await process.close()
            for location in streams.locations:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.delete(location):
                        pass
            for relay in streams.relays:
                await relay.close()
