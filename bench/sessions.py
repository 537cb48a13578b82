"""`python -m bench sessions`: streams are added one by one until the p95 of what the server adds doubles.

The peers are light (encoded beforehand, nothing decoded) but share the machine with the server.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import psutil

from bench.client import ClientConfig
from bench.error import BenchError
from bench.figures import Progress, json_line, percentile, spread, table
from bench.machine import describe
from bench.many import many
from bench.plot import lines
from bench.processes import OUT, serving


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", default="passthrough,nano")
    parser.add_argument("--most", type=int, default=12, help="streams at once at the most")
    parser.add_argument("--seconds", type=float, default=6.0, help="measured at each count")
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--prompt", default="make it night")


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    width, _, height = args.size.partition("x")
    config = ClientConfig(int(width), int(height), args.fps, max_s=args.most * (args.seconds + 20) + 60)
    results: dict[str, Any] = {}
    for model in args.models.split(","):
        async with (
            serving(model, "--max-sessions", str(args.most)) as server,
            many(server.url, config) as streams,
        ):
            process = psutil.Process(server.pid)
            progress = Progress(args.most, f"sessions {model}")
            steps: list[dict[str, Any]] = []
            held = 0
            for count in range(1, args.most + 1):
                try:
                    await streams.add(args.prompt)
                except BenchError as refusal:
                    progress.show(args.most, str(refusal)[:80])
                    break
                await asyncio.sleep(2.0)
                process.cpu_percent()
                figures = await streams.measure(args.seconds)
                p95 = percentile(figures.server_ms, 0.95)
                steps.append(
                    {
                        "streams": count,
                        "serverMs": spread(figures.server_ms),
                        "fpsLeast": round(min(figures.fps_each), 1),
                        "fpsIn": round(min(figures.fps_in_each), 1),
                        "cpuPercent": round(process.cpu_percent()),
                        "rssMb": round(process.memory_info().rss / 2**20),
                    }
                )
                progress.show(count, f"{count}: p95 {p95:.0f} ms, {min(figures.fps_each):.1f} fps")
                if not figures.server_ms or p95 > 2 * steps[0]["serverMs"]["p95"]:
                    break
                held = count
        results[model] = {"streamsBeforeP95Doubles": held, "steps": steps}
    rows = [
        [
            model,
            s["streams"],
            s["serverMs"]["p50"],
            s["serverMs"]["p95"],
            s["serverMs"]["p99"],
            s["fpsLeast"],
            s["fpsIn"],
            s["cpuPercent"],
            s["rssMb"],
        ]
        for model, r in results.items()
        for s in r["steps"]
    ]
    print(table(["model", "streams", "p50 ms", "p95", "p99", "least fps", "fps in", "cpu %", "rss MB"], rows))
    for model, r in results.items():
        print(f"{model}: {r['streamsBeforeP95Doubles']} streams before the p95 of one stream doubles")
    points = {
        m: [(float(s["streams"]), s["serverMs"]["p95"]) for s in r["steps"]] for m, r in results.items()
    }
    lines(OUT / "sessions.svg", "What the server adds, p95", ("streams", "ms"), points)
    result = {"bench": "sessions", "machine": machine, "size": args.size, "fps": args.fps, "models": results}
    print(json_line(result))
    return result
