"""`python -m bench soak`: an hour's frames faster than real time, and 200 sessions dropped in every state.

Prints what the process held before and after. The first frames and the first round of sessions are not
counted: they load code, fill pools and caches once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Any

from bench.figures import json_line, table
from bench.held import KEYS, growth
from bench.machine import describe
from bench.plot import lines
from bench.processes import OUT
from bench.soak_frames import soak_frames
from bench.soak_sessions import STATES, soak_sessions


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", default="passthrough,nano", help="for the frames")
    parser.add_argument("--frames", type=int, default=86_400, help="24 fps for an hour")
    parser.add_argument(
        "--frames-seconds", type=float, default=900.0, help="a model's frames end after this long"
    )
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--session-model", default="passthrough")


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    results: dict[str, Any] = {"frames": {}}
    rows: list[list[object]] = []
    curves: dict[str, list[tuple[float, float]]] = {}
    if args.frames:
        for model in args.models.split(","):
            done = await asyncio.to_thread(soak_frames, model, args.size, args.frames, args.frames_seconds)
            results["frames"][model] = done
            rows += _rows(f"{done['framesOut']} frames, {model}", done["before"], done["after"])
            curves[model] = [(p["frames"], p["rssMb"]) for p in done["trend"]]
    if args.sessions:
        done = await soak_sessions(args.session_model, args.sessions)
        results["sessions"] = done
        rows += _rows(f"{done['sessions']} sessions, {args.session_model}", done["before"], done["after"])
        print("sessions by state: " + ", ".join(f"{s} {done['byState'][s]}" for s in STATES))
    print(table(["", *KEYS], rows))
    if curves:
        lines(OUT / "soak.svg", "Memory over an hour's frames", ("frames", "MB"), curves)
    result = {"bench": "soak", "machine": machine, "pid": os.getpid(), **results}
    print(json_line(result))
    return result


def _rows(what: str, before: dict[str, float], after: dict[str, float]) -> list[list[object]]:
    grown = growth(before, after)
    return [
        [f"{what}: before", *(before.get(k) for k in KEYS)],
        ["  after", *(after.get(k) for k in KEYS)],
        ["  growth", *(grown.get(k) for k in KEYS)],
    ]
