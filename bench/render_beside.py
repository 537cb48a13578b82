"""`python -m bench render-beside`: a live stream and a film's render on one server, alone and both at once.

What the stream loses is what the render costs it; what the render keeps is what courtesy leaves it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from bench.client import ClientConfig
from bench.error import BenchError
from bench.figures import Progress, json_line, spread, table
from bench.film_edit import CLIP, make_film
from bench.machine import describe
from bench.many import many
from bench.processes import serving
from gpu.film.reader import open_film
from server.kept.kept import Kept
from server.kept.keys import video_key
from server.uploads.told import told


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="nano")
    parser.add_argument("--size", default="640x480", help="of the stream, and of the film")
    parser.add_argument("--fps", type=float, default=24.0, help="of the stream")
    parser.add_argument("--seconds", type=float, default=10.0, help="each is measured for")
    parser.add_argument("--prompt", default="make it night")


async def run(args: argparse.Namespace) -> dict[str, Any]:
    width, height = (int(side) for side in args.size.split("x"))
    config = ClientConfig(width, height, args.fps, max_s=args.seconds * 2 + 60)
    bar = Progress(4, "render-beside")
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="relens-beside-") as folder:
        film = Path(folder) / "film.mp4"
        make_film(CLIP, film, (width, height), round(args.seconds * 24 * 12))
        video = _keep(Path(folder) / "kept", film)
        bar.show(1, "a film is made")
        flags = ("--data-dir", str(Path(folder) / "kept"), "--media", "cpu")
        async with serving(args.model, *flags) as server, aiohttp.ClientSession(server.url) as http:
            body = {"videoId": video, "instruction": args.prompt}
            async with http.post("/edit-video", json=body) as reply:
                if reply.status != 202:
                    raise BenchError(await reply.text())
                job = (await reply.json())["job_id"]
            while (await _ask(http, job))["stage"] != "rendering":  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            rows["render alone"] = await _measure(http, None, args.seconds)
            bar.show(2, f"render alone {rows['render alone']['render']:.1f} fps")
            async with many(server.url, config) as streams:
                await streams.add(args.prompt)
                await asyncio.sleep(2.0)
                rows["both"] = await _measure(http, streams, args.seconds)
                bar.show(3, f"beside a stream {rows['both']['render']:.1f} fps")
                if (await _ask(http, job))["status"] != "RUNNING":
                    raise BenchError("the film was too short: it ended before the measurement did")
                async with http.delete(f"/jobs/{job}"):
                    await asyncio.sleep(2.0)
                rows["stream alone"] = await _measure(http, streams, args.seconds)
                bar.show(4, "")
    head = ["", "stream p50 ms", "p95", "fps", "render fps", "rests, % of the time"]
    print(
        table(
            head,
            [
                [
                    name,
                    each["serverMs"].get("p50", "-"),
                    each["serverMs"].get("p95", "-"),
                    each["stream"],
                    each["render"],
                    each["rest"],
                ]
                for name, each in rows.items()
            ],
        )
    )
    result = {"bench": "render_beside", "machine": describe(), "size": args.size, "rows": rows}
    print(json_line(result))
    return result


async def _measure(http: aiohttp.ClientSession, streams: Any, seconds: float) -> dict[str, Any]:
    before = await _counters(http)
    if streams is None:
        await asyncio.sleep(seconds)
        server_ms, fps = {}, 0.0
    else:
        figures = await streams.measure(seconds)
        server_ms, fps = spread(figures.server_ms), min(figures.fps_each)
    frames, rest_s = (b - a for a, b in zip(before, await _counters(http), strict=True))
    return {
        "serverMs": server_ms,
        "stream": round(fps, 1),
        "render": round(frames / seconds, 1),
        "rest": round(100 * rest_s / seconds),
    }


async def _counters(http: aiohttp.ClientSession) -> tuple[float, float]:
    async with http.get("/metrics") as reply:
        text = await reply.text()
    names = ("relens_render_frames_total", "relens_render_rest_seconds_total")
    frames, rest_s = (re.search(rf"^{name} (\S+)$", text, re.M) for name in names)
    if frames is None or rest_s is None:
        raise BenchError("the server counts no rendered frames")
    return float(frames[1]), float(rest_s[1])


async def _ask(http: aiohttp.ClientSession, job: str) -> dict[str, Any]:
    async with http.get(f"/jobs/{job}") as reply:
        found: dict[str, Any] = await reply.json()
    if found.get("status") == "FAILED":
        raise BenchError(found["reason"])
    return found


def _keep(folder: Path, film: Path) -> str:
    kept = Kept.open(str(folder))
    try:
        with open_film(film) as reader:
            info = reader.info
        video = kept.videos.create(film.name, info.bytes)
        key = video_key(video.id, "film")
        kept.blobs.put(key, film)
        digest = hashlib.sha256(film.read_bytes()).hexdigest()
        kept.videos.uploaded(video.id, digest=digest, size=info.bytes, blob_key=key)
        kept.videos.ready(video.id, told(info))
        return video.id
    finally:
        kept.close()
