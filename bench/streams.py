"""`python -m bench streams`: ten viewers of one stream beside one, and latency from RTMP to WHEP.

latency   a picture handed to the publisher's RTMP connection -> its edited picture decoded at an aiortc
          viewer, by the numbers drawn in; aiortc holds each picture until the first packet of the next
viewers   the CPU of the encoder's threads and of the whole server, with one viewer and with many, in turns

Publisher and viewers share the machine with the server, each in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from bench import streams_latency, streams_viewers
from bench.error import BenchError
from bench.figures import Progress, json_line, table
from bench.live_server import LiveServer
from bench.machine import describe
from bench.processes import ClientProcess, free_port, serving
from bench.rtmp_camera import CameraConfig
from bench.whep_crowd import FIRST_S, CrowdConfig

FIRST_MODEL = "passthrough"  # what the server is started with; others are loaded when first published to
LATE = 4  # viewers that come one after another, before latency is measured
FIRST_WITHIN_MS = 300.0  # asked: of who is connected to the first picture
PUBLISH_S = 30.0  # the loop is encoded first
_VERDICT = {True: "met", False: "MISSED", None: "not measured"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", default="passthrough,nano", help="latency of each, comma separated")
    parser.add_argument("--rounds", type=int, default=3, help="each measures every case once, in turns")
    parser.add_argument("--seconds", type=float, default=6.0, help="measured per case and round")
    parser.add_argument("--warm-s", type=float, default=3.0, help="before latency is measured")
    parser.add_argument("--viewers", type=int, default=10, help="against one; 0: latency alone")
    parser.add_argument("--viewers-model", default="passthrough")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=int, default=24)
    parser.add_argument("--bitrate", type=int, default=1_500_000, help="bit/s, of both directions")
    parser.add_argument("--prompt", default="make it warmer", help="that leaves the numbers readable")
    parser.add_argument("--strength", type=float, default=0.5)


async def run(args: argparse.Namespace) -> dict[str, Any]:
    if args.rounds < 1 or args.seconds < 2:
        raise BenchError("a round at least, and 2 s of it: what the model takes is told once a second")
    machine = describe()
    models = [model for model in args.models.split(",") if model]
    counts = [1, args.viewers] if args.viewers > 1 else []
    latency: dict[str, list[streams_latency.Round]] = {model: [] for model in models}
    viewers: dict[int, list[streams_viewers.Round]] = {count: [] for count in counts}
    progress, done = Progress(args.rounds * (len(models) + len(counts)), "streams"), 0
    async with live_server(args) as server:
        for turn in range(args.rounds):
            for model in _turned(models, turn):
                latency[model].append(await one_latency(server, model, args))
                done += 1
                progress.show(done, f"{model}: latency")
        if counts:
            name, key = await _stream(server, "viewers", args.viewers_model, args)
            async with publishing(server, name, key, args), crowd(server, name, args, False) as watching:
                await _edit(server, name, args.viewers_model, args)
                for turn in range(args.rounds):
                    for count in _turned(counts, turn):
                        viewers[count].append(
                            await streams_viewers.measure(server, name, watching, count, args.seconds)
                        )
                        done += 1
                        progress.show(done, f"{count} viewers")
    return report(args, machine, latency, list(viewers.values()))


def _turned(cases: list[Any], turn: int) -> list[Any]:
    at = turn % len(cases) if cases else 0
    return cases[at:] + cases[:at]


@contextlib.asynccontextmanager
async def live_server(args: argparse.Namespace) -> AsyncIterator[LiveServer]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="relens-streams-") as folder:
        flags = ("--rtmp-port", str(port), "--data-dir", folder, "--linger-s", "1")
        launcher = (sys.executable, "-m", "bench.named")
        async with (
            serving(FIRST_MODEL, *flags, launcher=launcher) as server,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as http,
        ):
            yield LiveServer(server, port, http)


async def one_latency(server: LiveServer, model: str, args: argparse.Namespace) -> streams_latency.Round:
    """Publisher, viewer and pipeline are new each time."""
    name, key = await _stream(server, f"latency-{model}", model, args)
    async with publishing(server, name, key, args) as camera, crowd(server, name, args, True) as watching:
        await _edit(server, name, model, args)
        first_ms: list[float] = []
        for _ in range(LATE):  # each comes to a stream that runs, at another moment of its keyframes
            await watching.do("become", count=0)
            await asyncio.sleep(0.37)
            await watching.do("become", count=1)
            await watching.expect("watching", 2 * FIRST_S)
            first_ms += (await watching.expect("watching", 2 * FIRST_S))["firstMs"]
        await asyncio.sleep(args.warm_s)
        out = await streams_latency.measure(server, name, camera, watching, args.seconds)
        out.first_ms = first_ms
        return out


async def _stream(server: LiveServer, name: str, model: str, args: argparse.Namespace) -> tuple[str, str]:
    key = secrets.token_urlsafe(12)
    await server.create(name, key, model, args.bitrate)
    return name, key


async def _edit(server: LiveServer, name: str, model: str, args: argparse.Namespace) -> None:
    if model != "passthrough":
        await server.edit(name, args.prompt, args.strength)


@contextlib.asynccontextmanager
async def publishing(
    server: LiveServer, name: str, key: str, args: argparse.Namespace
) -> AsyncIterator[ClientProcess]:
    """A camera while inside; yields when edited pictures come out."""
    width, _, height = args.size.partition("x")
    config = CameraConfig(
        server.publish_url(name, key), int(width), int(height), args.fps, args.bitrate, _most_s(args)
    )
    async with _child(config, "bench.rtmp_camera") as camera:
        await camera.expect("publishing", PUBLISH_S)
        await server.until_live(name)
        yield camera


@contextlib.asynccontextmanager
async def crowd(
    server: LiveServer, name: str, args: argparse.Namespace, decodes: bool
) -> AsyncIterator[ClientProcess]:
    """A process that has no viewers yet."""
    config = CrowdConfig(server.watch_url(name), decodes, _most_s(args))
    async with _child(config, "bench.whep_crowd") as process:
        yield process


@contextlib.asynccontextmanager
async def _child(config: msgspec.Struct, module: str) -> AsyncIterator[ClientProcess]:
    process = await ClientProcess.start(config, module)
    try:
        yield process
    finally:
        await process.close()


def _most_s(args: argparse.Namespace) -> float:
    """Longer than any child is needed."""
    return float(2 * args.rounds * (args.seconds + 30) + args.warm_s + 120)


def report(
    args: argparse.Namespace,
    machine: dict[str, Any],
    latency: dict[str, list[streams_latency.Round]],
    viewers: list[list[streams_viewers.Round]],
) -> dict[str, Any]:
    cases = {model: streams_latency.summary(rounds) for model, rounds in latency.items()}
    result = {
        "bench": "streams", "machine": machine, "size": args.size, "fps": args.fps,
        "bitrateBps": args.bitrate, "prompt": args.prompt, "strength": args.strength, "latency": cases,
    }  # fmt: skip
    if cases:
        rows = [
            [
                model, c["latencyMs"]["p50"], c["latencyMs"]["p95"], c["editMs"], c["overModelMs"],
                c["serverMs"], c["latencyMs"]["n"], c["sent"], c["unread"],
            ]
            for model, c in cases.items()
        ]  # fmt: skip
        head = ["RTMP to WHEP", "p50 ms", "p95", "model", "p50 - model", "server", "seen", "sent", "unread"]
        print(table(head, rows))
        for model, c in cases.items():
            bound = f"p50 <= model + {streams_latency.OVER_MODEL_MS:.0f} ms"
            print(f"{model}: {bound} {_VERDICT[c['meets']]}")
            first = c["firstMs"]
            met = _VERDICT[first["p95"] <= FIRST_WITHIN_MS if first["n"] else None]
            print(
                f"{model}: connected to first picture, p50 / p95 of {first['n']}: "
                f"{first['p50']} / {first['p95']} ms, asked {FIRST_WITHIN_MS:.0f}: {met}"
            )
    if viewers:
        result["viewers"] = _report_viewers(viewers)
    print(json_line(result))
    return result


def _report_viewers(viewers: list[list[streams_viewers.Round]]) -> dict[str, Any]:
    counts = [streams_viewers.summary(rounds) for rounds in viewers]
    rows = [
        [
            c["viewers"], f"{c['encoderMsAFrame']:.2f}", f"{c['serverMsAFrame']:.2f}", c["serverPercent"],
            c["fpsEncoded"], c["fannedOut"], c["fpsLeast"], c["bitrateBps"] // 1000,
        ]
        for c in counts
    ]  # fmt: skip
    head = [
        "viewers", "encoder ms/frame", "server ms/frame", "server %", "fps encoded", "sent/encoded",
        "least fps", "kbit/s",
    ]  # fmt: skip
    print(table(head, [[str(row[0]), *row[1:]] for row in rows]))
    ratio = streams_viewers.growth(*viewers)
    is_met = ratio <= streams_viewers.MOST_ENCODER
    print(
        f"encoder, {counts[1]['viewers']} viewers against 1: x {ratio:.2f}, asked "
        f"<= {streams_viewers.MOST_ENCODER:.1f}: {_VERDICT[is_met]}"
    )
    return {"counts": counts, "encoderRatio": round(ratio, 3), "meets": is_met}
