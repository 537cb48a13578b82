"""`python -m bench loop`: how late the server's event loop runs under load, by its own /metrics."""

from __future__ import annotations

import argparse
import asyncio
import re
from typing import Any

import aiohttp

from bench.client import ClientConfig
from bench.error import BenchError
from bench.figures import Progress, json_line, table
from bench.machine import describe
from bench.many import many
from bench.processes import serving

TARGET_P99_MS = 10.0
_DELAY = re.compile(
    r'^(\w*loop\w*delay\w*|\w*delay\w*loop\w*)\{[^}]*quantile="([0-9.]+)"[^}]*\} (\S+)$', re.MULTILINE
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", default="passthrough,nano")
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--prompt", default="make it night")


async def loop_delay_ms(url: str) -> dict[str, float]:
    """Quantile -> ms. Raises BenchError when /metrics has no such gauge."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as http,
        http.get(url + "/metrics") as answer,
    ):
        text = await answer.text()
    found = {quantile: float(value) * 1e3 for _, quantile, value in _DELAY.findall(text)}
    if not found:
        raise BenchError(
            "/metrics has no event loop delay by quantile: is the gauge's name still *loop*delay*?"
        )
    return found


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    config = ClientConfig(fps=args.fps, max_s=args.seconds + 120)
    results: dict[str, Any] = {}
    for model in args.models.split(","):
        async with serving(model) as server, many(server.url, config) as streams:
            for _ in range(args.streams):
                await streams.add(args.prompt)
            progress = Progress(args.seconds, f"loop {model}")
            for second in range(int(args.seconds)):
                await asyncio.sleep(1)
                progress.show(second + 1)
            delays = await loop_delay_ms(server.url)
        results[model] = {"delayMs": {f"p{float(q) * 100:g}": round(ms, 2) for q, ms in delays.items()}}
        p99 = results[model]["delayMs"].get("p99")
        results[model]["meets"] = p99 is not None and p99 <= TARGET_P99_MS
    print(
        table(
            ["model", "streams", "p50 ms", "p99 ms", "met"],
            [
                [m, args.streams, r["delayMs"].get("p50"), r["delayMs"].get("p99"), str(r["meets"])]
                for m, r in results.items()
            ],
        )
    )
    result = {"bench": "loop", "machine": machine, "streams": args.streams, "models": results}
    print(json_line(result))
    return result
