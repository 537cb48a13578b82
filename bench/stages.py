"""`python -m bench stages`: decode, edit and encode alone, one thread, nothing else running. No network."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from bench.client import ClientConfig
from bench.figures import Progress, json_line, spread, table
from bench.load import encode_clip
from bench.machine import describe
from gpu.codec import EncoderConfig, open_decoder, open_encoder
from gpu.models.base import EditModel
from gpu.models.registry import load_model
from gpu.types import Edit, EncodedFrame, Frame

_CLOCK_HZ = 90_000
_WARM = 8  # frames not counted: first allocations, caches
T = TypeVar("T")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", default="passthrough,nano")
    parser.add_argument("--sizes", default="320x240,640x480,1280x720")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--prompt", default="make it night")


def timed(into: list[float], call: Callable[[], T]) -> T:
    start_ns = time.perf_counter_ns()
    result = call()
    into.append((time.perf_counter_ns() - start_ns) / 1e6)
    return result


def measure_size(model: EditModel, size: str, prompt: str, count: int) -> dict[str, Any]:
    """spread() of each stage in ms, one frame after the other through all three."""
    width, _, height = size.partition("x")
    config = ClientConfig(int(width), int(height), 30.0)
    units = encode_clip(config)
    decoder, encoder = open_decoder("h264"), open_encoder(EncoderConfig())
    state = model.open_state(config.width, config.height)
    model.set_edit(state, Edit(1, prompt, transition_ms=0))
    times: dict[str, list[float]] = {"decode": [], "edit": [], "encode": []}
    pending: list[Frame] = []
    try:
        for number in range(count + _WARM):
            unit = units[number % len(units)]
            keyframe = number % round(config.fps) == 0
            encoded = EncodedFrame(unit, number * _CLOCK_HZ // 30, keyframe)
            pending += timed(times["decode"], partial(decoder.decode, encoded))
            while len(pending) >= model.spec.frames_per_chunk:
                chunk = pending[: model.spec.frames_per_chunk]
                del pending[: model.spec.frames_per_chunk]
                for frame in timed(times["edit"], partial(model.step, state, chunk)):
                    timed(times["encode"], partial(encoder.encode, frame))
    finally:
        decoder.close()
        encoder.close()
    return {stage: spread(values[_WARM:]) for stage, values in times.items()}


def measure_all(args: argparse.Namespace) -> dict[str, Any]:
    models, sizes = args.models.split(","), args.sizes.split(",")
    results: dict[str, Any] = {}
    progress = Progress(len(models) * len(sizes), "stages")
    for m, name in enumerate(models):
        model = load_model(name)
        try:
            results[name] = {"device": model.device, "sizes": {}}
            for s, size in enumerate(sizes):
                results[name]["sizes"][size] = measure_size(model, size, args.prompt, args.frames)
                progress.show(m * len(sizes) + s + 1, f"{name} {size}")
        finally:
            model.close()
    return results


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    results = await asyncio.to_thread(measure_all, args)
    rows = [
        [
            f"{name} {size}",
            *(stages[k][p] for k in ("decode", "edit", "encode") for p in ("p50", "p95")),
            1e3 / sum(stages[k]["p50"] for k in ("decode", "edit", "encode")),
        ]
        for name, r in results.items()
        for size, stages in r["sizes"].items()
    ]
    print(
        table(
            ["model, size", "decode p50", "p95", "edit p50", "p95", "encode p50", "p95", "fps in a row"], rows
        )
    )
    result = {"bench": "stages", "machine": machine, "models": results}
    print(json_line(result))
    return result
