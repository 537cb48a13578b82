"""`python -m bench streams-sync`: how far sound is from the picture at a viewer of an edited stream.

A publisher flashes and beeps at the same instants; a WHEP client says how far apart they are to it: by the
sender reports, as a browser lines them up, and by when they arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from bench.error import BenchError
from bench.figures import Progress, json_line, percentile, table
from bench.machine import describe
from bench.processes import free_port, serving
from bench.sync_clip import EVERY_S, by_rtmp, by_whip
from bench.sync_viewer import Viewer

LATE_S = 0.08  # of "whip-late": its pictures leave so much later than their sound, and its reports say so
SETTLING_S = 6.0  # a report comes every second, and a browser wants two

TOO_FEW = (
    "no flash was seen from its first picture on: the machine is too busy for this model (--model "
    "passthrough), or see the server's log"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="nano")
    parser.add_argument("--prompt", default="black and white")
    parser.add_argument("--kinds", default="whip,whip-late,rtmp", help="how it is published")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured of each kind")


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    kinds = args.kinds.split(",")
    rows, results = [], {}
    port = free_port()
    async with serving(args.model, "--rtmp-port", str(port)) as server:
        for kind in kinds:
            by_report, by_arrival = await _measure(kind, server.url, port, args)
            results[kind] = {"byReport": _spread(by_report), "byArrival": _spread(by_arrival)}
            for how, found in results[kind].items():
                rows.append([kind, how, found["count"], found["p50"], found["p95"]])
    print(table(["published by", "lined up", "events", "p50 ms", "p95 of |ms|"], rows))
    result = {"bench": "streams-sync", "machine": machine, "model": args.model, "kinds": results}
    print(json_line(result))
    return result


def _spread(apart_ms: list[float]) -> dict[str, float]:
    """p50 signed: below 0 the beep is early; p95 of how far either way."""
    if not apart_ms:
        raise BenchError(TOO_FEW)
    sizes = [abs(each) for each in apart_ms]
    return {
        "count": len(apart_ms),
        "p50": round(percentile(apart_ms, 0.5), 1),
        "p95": round(percentile(sizes, 0.95), 1),
    }


async def _measure(
    kind: str, base: str, rtmp_port: int, args: argparse.Namespace
) -> tuple[list[float], list[float]]:
    name, key = f"sync-{kind}", secrets.token_urlsafe(12)
    await _put(f"{base}/streams/{name}/settings", {"key": key, "prompt": args.prompt})
    publishing = {
        "whip": lambda: by_whip(f"{base}/whip/{name}", key),
        "whip-late": lambda: by_whip(f"{base}/whip/{name}", key, LATE_S),
        "rtmp": lambda: by_rtmp(f"rtmp://127.0.0.1:{rtmp_port}/live/{name}?key={key}"),
    }
    if kind not in publishing:
        raise BenchError(f"--kinds {kind} is not known: {', '.join(publishing)}")
    async with publishing[kind](), watching() as viewer:
        await _live(f"{base}/streams/{name}")
        await viewer.watch(f"{base}/whep/{name}")
        progress = Progress(round(args.seconds), f"streams-sync {kind}")
        await asyncio.sleep(SETTLING_S)
        seen = len(viewer.video.begins)
        for second in range(round(args.seconds)):
            await asyncio.sleep(1)
            progress.show(second + 1, f"{len(viewer.video.begins) - seen} flashes")
    by_report, by_arrival = viewer.apart_ms()
    first = int(SETTLING_S / EVERY_S)
    return by_report[first:], by_arrival[first:]


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[Viewer]:
    viewer = Viewer()
    try:
        yield viewer
    finally:
        await viewer.close()


async def _put(url: str, body: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as http, http.put(url, json=body) as reply:
        if reply.status not in (200, 201):
            raise BenchError(f"{url} answered {reply.status}: {(await reply.text())[:200]}")


async def _live(url: str, within_s: float = 30.0) -> None:
    """Until pictures come out."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(within_s):
        while True:
            async with http.get(url) as reply:
                facts = await reply.json()
            if facts["state"] == "live" and facts["fpsOut"] > 0:
                return
            await asyncio.sleep(0.1)
