"""`python -m bench edit`: how long after an instruction was sent its first edited frame leaves the server.

Measured at the client: from the data-channel message sent to the receipt `applied` read.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from typing import Any

from bench.client import ClientConfig
from bench.figures import Progress, json_line, percentile, spread, table
from bench.machine import describe
from bench.processes import serving
from bench.stream import LiveStream, measure

PROMPTS = ("make it night", "watercolor painting", "rain", "pencil sketch", "old film", "snow", "")
TARGET_P50_MS = 150.0
_GAP_S = (0.35, 0.65)  # between changes; drawn, so that they fall anywhere between frames
_SEED = 11


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", default="nano")
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--fps", type=float, default=24.0)


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    results: dict[str, Any] = {}
    for model in args.models.split(","):
        progress = Progress(args.changes, f"edit {model}")

        async def change(stream: LiveStream, until_s: float, progress: Progress = progress) -> None:
            draw = random.Random(_SEED)
            for revision in range(2, args.changes + 2):
                prompt = PROMPTS[revision % len(PROMPTS)]
                await stream.client.send({"type": "edit", "revision": revision, "prompt": prompt})
                await asyncio.sleep(draw.uniform(*_GAP_S))
                progress.show(revision - 1)

        seconds = args.changes * sum(_GAP_S) / 2 + 1
        async with serving(model) as server:
            figures = await measure(
                server.url,
                ClientConfig(fps=args.fps, max_s=seconds + 60),
                seconds,
                during=change,
                prompt=PROMPTS[0],
            )
        applied = figures.applied_ms
        results[model] = {
            "appliedMs": spread(applied),
            "unanswered": figures.applied_missing,
            "meets": percentile(applied, 0.5) <= TARGET_P50_MS and not figures.applied_missing,
            "freezeMs": round(figures.freeze_ms, 1),
        }
    rows = [
        [
            m,
            r["appliedMs"]["p50"],
            r["appliedMs"]["p95"],
            r["appliedMs"]["max"],
            r["appliedMs"]["n"],
            r["unanswered"],
            r["freezeMs"],
        ]
        for m, r in results.items()
    ]
    print(table(["model", "applied p50 ms", "p95", "max", "answered", "unanswered", "freeze ms"], rows))
    result = {"bench": "edit", "machine": machine, "models": results}
    print(json_line(result))
    return result
