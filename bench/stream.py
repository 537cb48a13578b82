"""One stream, measured: client -> relay -> server and back. Owns the relay and the signalling through it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from bench.client import ClientConfig, ClientReport
from bench.error import BenchError
from bench.figures import longest_gap_ms
from bench.processes import ClientProcess
from bench.sdp import host_address, video_payload_type, with_candidate, without_candidates
from tests.relay import FramePackets, Path, Relay, Sight

CONNECT_S = 20.0


@dataclass(slots=True)
class StreamFigures:
    """All times in ms, of frames captured inside the measured window only."""

    glass_ms: list[float] = field(default_factory=list)  # captured -> shown at the client, by number
    server_ms: list[float] = field(default_factory=list)  # last packet in -> last packet of the edited out
    fps_sent: float = 0.0
    fps_shown: float = 0.0
    fps_worst_second: float = 0.0
    freeze_ms: float = 0.0  # longest time without a new frame
    out_freeze_ms: float = 0.0  # the same where frames leave the server
    freezes_over_400: int = 0
    unread: int = 0  # shown, but the number did not survive: told by timestamp
    bitrate_bps: float = 0.0
    timestamp_offset: int = 0  # of frames out against frames in; 0 is what relens promises
    stages: dict[str, list[float]] = field(default_factory=dict)  # stage -> each second's p50
    applied_ms: list[float] = field(default_factory=list)  # typed -> receipt `applied` read
    applied_missing: int = 0  # understood, and no receipt came


class Client(Protocol):
    """What a bench asks of a client, whatever it is made of."""

    async def offer(self) -> str: ...
    async def answer(self, sdp: str) -> None: ...
    async def expect(self, event: str, timeout_s: float, **fields: Any) -> dict[str, Any]: ...
    async def send(self, message: dict[str, Any]) -> None: ...
    async def stop(self) -> ClientReport: ...
    async def close(self) -> None: ...


async def open_client(config: ClientConfig) -> Client:
    """Raises BenchError when it does not start."""
    if config.kind == "chromium":
        from bench.chromium import ChromiumClient  # Playwright is a test's dependency, not everyone's

        return await ChromiumClient.start(config)
    return await ClientProcess.start(config)


@dataclass(slots=True)
class LiveStream:
    client: Client
    relay: Relay
    location: str


async def post_offer(http: aiohttp.ClientSession, url: str, offer: str) -> tuple[str, str]:
    """POST /sessions; returns (answer, absolute location). Raises BenchError for anything but 201."""
    head = {"Content-Type": "application/sdp"}
    async with http.post(url + "/sessions", data=offer, headers=head) as reply:
        text = await reply.text()
        if reply.status != 201:
            raise BenchError(f"POST /sessions answered {reply.status}: {text[:300]}")
        return text, url + reply.headers["Location"]


@contextlib.asynccontextmanager
async def streaming(url: str, config: ClientConfig, seed: int = 1) -> AsyncIterator[LiveStream]:
    """A client that streams through a clean relay; yields at its first frame, ends everything after."""
    client = await open_client(config)
    relay: Relay | None = None
    location = ""
    timeout = aiohttp.ClientTimeout(10)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        try:
            offer = await client.offer()
            answer, location = await post_offer(http, url, without_candidates(offer))
            server = host_address(answer)
            relay = await Relay.open(server, seed)
            payload_type = video_payload_type(answer)
            relay.up_sight, relay.down_sight = Sight(payload_type), Sight(payload_type)
            await client.answer(with_candidate(answer, relay.address))
            await client.expect("first-frame", CONNECT_S)
            yield LiveStream(client, relay, location)
        finally:
            await client.close()
            if location:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.delete(location):
                        pass
            if relay is not None:
                await relay.close()


async def measure(
    url: str,
    config: ClientConfig,
    seconds: float,
    warm_s: float = 3.0,
    path: Path | None = None,
    during: Callable[[LiveStream, float], Awaitable[None]] | None = None,
    seed: int = 1,
    prompt: str = "",
) -> StreamFigures:
    """Stream for `warm_s` under `prompt`, then `seconds` measured under `path`.

    `during(stream, until_s)` may act meanwhile."""
    async with streaming(url, config, seed) as stream:
        if prompt:
            await stream.client.send({"type": "edit", "revision": 1, "prompt": prompt, "transitionMs": 0})
            await stream.client.expect("message", CONNECT_S)
        await asyncio.sleep(warm_s)
        if path is not None:
            stream.relay.impair(path)
        start_ns = time.monotonic_ns()
        if during is not None:
            await during(stream, time.monotonic() + seconds)
        left_s = seconds - (time.monotonic_ns() - start_ns) / 1e9
        await asyncio.sleep(max(0.0, left_s))
        end_ns = time.monotonic_ns()
        await asyncio.sleep(0.3)  # what was captured inside the window may still come back
        report = await stream.client.stop()
        up, down = stream.relay.up_sight, stream.relay.down_sight
        assert up is not None
        assert down is not None
        return figures(report, up.frames, down.frames, (start_ns, end_ns))


def figures(
    report: ClientReport, up: dict[int, FramePackets], down: dict[int, FramePackets], window: tuple[int, int]
) -> StreamFigures:
    """Join what the client and the relay saw. A server may shift RTP timestamps by a constant (echo does);
    the shift, and the client's own origin, are found by the numbers read from the pixels."""
    out = StreamFigures()
    start_ns, end_ns = window
    seconds = (end_ns - start_ns) / 1e9
    by_number = {number: (pts, t) for number, pts, t in report.sent}
    captured = {pts: t for _, pts, t in report.sent}
    # the stock receiver counts pts from its first frame; what it is off the sender's is a constant
    shift = _most_common([by_number[n][0] - pts for pts, n, _ in report.shown if n in by_number])
    shown: dict[int, int] = {}
    for pts, number, t in report.shown:
        if number not in by_number:
            out.unread += start_ns <= t < end_ns
        shown.setdefault(by_number[number][0] if number in by_number else pts + shift, t)
    fresh = sorted(t for t in shown.values() if start_ns <= t < end_ns)
    for pts, t in shown.items():
        if start_ns <= captured.get(pts, 0) < end_ns:
            out.glass_ms.append((t - captured[pts]) / 1e6)
    out.fps_sent = sum(start_ns <= t < end_ns for _, _, t in report.sent) / seconds
    out.fps_shown = len(fresh) / seconds
    whole = [
        sum(start_ns + i * 10**9 <= t < start_ns + (i + 1) * 10**9 for t in fresh)
        for i in range(int(seconds))
    ]
    out.fps_worst_second = float(min(whole, default=0))
    out.freeze_ms = longest_gap_ms(fresh, start_ns, end_ns)
    edges = [start_ns, *fresh, end_ns]
    out.freezes_over_400 = sum(b - a > 400e6 for a, b in itertools.pairwise(edges))
    out.timestamp_offset = timestamp_offset(report, up, down)
    _packet_times(out, up, down, window)
    for t, message in report.messages:
        if message.get("type") == "stats" and start_ns <= t < end_ns + 10**9:
            for stage in ("decode", "edit", "encode", "latency"):
                out.stages.setdefault(stage, []).append(float(message[stage]["p50Ms"]))
    applied = {m["revision"]: t for t, m in report.messages if m.get("type") == "applied"}
    out.applied_ms = [(applied[r] - t) / 1e6 for r, t in report.typed if r in applied]
    taken = {m["revision"] for _, m in report.messages if m.get("type") == "received" and m["understood"]}
    out.applied_missing = sum(r in taken and r not in applied for r, _ in report.typed)
    return out


def _packet_times(
    out: StreamFigures, up: dict[int, FramePackets], down: dict[int, FramePackets], window: tuple[int, int]
) -> None:
    start_ns, end_ns = window
    for ts, into in up.items():
        outof = down.get((ts + out.timestamp_offset) & 0xFFFFFFFF)
        if outof is not None and start_ns <= into.last_ns < end_ns:
            out.server_ms.append((outof.last_ns - into.last_ns) / 1e6)
    out.out_freeze_ms = longest_gap_ms([f.last_ns for f in down.values()], start_ns, end_ns)
    sent = [f.size_bytes for f in down.values() if start_ns <= f.first_ns < end_ns]
    out.bitrate_bps = sum(sent) * 8 / ((end_ns - start_ns) / 1e9)


def timestamp_offset(report: ClientReport, up: dict[int, FramePackets], down: dict[int, FramePackets]) -> int:
    """RTP timestamp of a frame out minus that of the same frame in, mod 2^32, told by the numbers in pixels.

    The first frame sent is the first timestamp up; a stock receiver counts pts from the first one down."""
    if not (report.sent and up and down) or sum(ts in up for ts in down) > len(down) / 2:
        return 0
    pts_sent = {number: pts for number, pts, _ in report.sent}
    origin = next(iter(down)) - (next(iter(up)) - report.sent[0][1])
    return _most_common(
        [(origin + pts - pts_sent[n]) & 0xFFFFFFFF for pts, n, _ in report.shown if n in pts_sent]
    )


def _most_common(values: list[int]) -> int:
    return max(set(values), key=values.count) if values else 0
