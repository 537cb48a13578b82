"""`python -m bench nano-sizes`: nano beside nano-plus at 1280x720.

A contact sheet of one picture, for the eye, and the time of a frame. Nothing here is held to a bound.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bench.figures import Progress, json_line, spread, table
from bench.machine import describe
from gpu.models.nano import SPECS, WEIGHTS, NanoModel
from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.plan import plan_of
from gpu.types import CLOCK_HZ, Frame, Part

U8 = NDArray[np.uint8]

SIZE = (1280, 720)
PARTS = {
    "starry night": Part("starry_night", 1.0),
    "watercolour": Part("watercolour", 1.0),
    "oil painting": Part("oil_painting", 1.0),
    "pencil": Part("pencil", 1.0),
    "cartoon": Part("cartoon", 1.0),
    "neon": Part("neon", 1.0),
    "night": Part("night", 1.0),
    "background green": Part("backdrop", 1.0, "background", ("green",)),
    "background blurred": Part("blur", 1.0, "background"),
}
FRAMES = 6
_FPS = 24
_TILE = (384, 216)
_LEVELS = 24  # of each channel: keeps the file small


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--picture", type=Path, required=True, help="a photograph of a person")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("bench/out/nano_sizes.png"))


def scene(path: Path) -> list[Frame]:
    """The picture's upper part at SIZE, standing still under sensor noise."""
    with Image.open(path) as stored:
        image = stored.convert("RGB")
    scale = max(SIZE[0] / image.width, SIZE[1] / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    left, top = (image.width - SIZE[0]) // 2, (image.height - SIZE[1]) // 4
    cut = np.asarray(image.crop((left, top, left + SIZE[0], top + SIZE[1])), np.float32) / np.float32(255)
    luma, chroma = rgb_to_planes(cut)
    rng, frames = np.random.default_rng(0), []
    for n in range(FRAMES):
        y, u, v = (
            np.asarray((255 * p + rng.normal(0, 1.2, p.shape)).round().clip(0, 255), np.uint8)
            for p in (luma, *chroma)
        )
        frames.append(Frame(y, u, v, n * CLOCK_HZ // _FPS))
    return frames


def rgb(frame: Frame) -> Image.Image:
    chroma = np.stack([frame.u, frame.v]).astype(np.float32) / np.float32(255)
    planes = planes_to_rgb(frame.y.astype(np.float32) / np.float32(255), chroma)
    return Image.fromarray((planes.clip(0, 1) * 255).round().astype(np.uint8))


def measure(args: argparse.Namespace) -> tuple[Image.Image, dict[str, dict[str, dict[str, float]]]]:
    frames = scene(args.picture)
    bar = 16
    sheet = Image.new("RGB", (len(SPECS) * (_TILE[0] + 4), len(PARTS) * (_TILE[1] + bar)), "white")
    times: dict[str, dict[str, dict[str, float]]] = {name: {} for name in SPECS}
    pen = ImageDraw.Draw(sheet)
    progress = Progress(len(SPECS) * len(PARTS), "sizes")
    for column, name in enumerate(SPECS):
        model = NanoModel(WEIGHTS, args.threads, name=name)
        try:
            for row, (label, part) in enumerate(PARTS.items()):
                state = model.open_state(*SIZE)
                model.aim(state, plan_of([part]))
                steps = []
                for frame in frames:
                    began_ns = time.perf_counter_ns()
                    (made,) = model.step(state, [frame])
                    steps.append((time.perf_counter_ns() - began_ns) / 1e6)
                times[name][label] = spread(steps[2:])
                at = column * (_TILE[0] + 4), row * (_TILE[1] + bar)
                pen.text((at[0] + 3, at[1] + 2), f"{name}: {label}", fill="black")
                sheet.paste(rgb(made).resize(_TILE, Image.Resampling.LANCZOS), (at[0], at[1] + bar))
                progress.show(column * len(PARTS) + row + 1, label)
        finally:
            model.close()
    return sheet, times


async def run(args: argparse.Namespace) -> dict[str, Any]:
    machine = describe()
    sheet, times = await asyncio.to_thread(measure, args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    step = 255 / (_LEVELS - 1)
    few = np.asarray(np.round(np.round(np.asarray(sheet) / step) * step), np.uint8)
    Image.fromarray(few).save(args.out, optimize=True)
    rows = [[label, *(times[name][label]["p50"] for name in SPECS)] for label in PARTS]
    print(table([f"{SIZE[0]}x{SIZE[1]}, {args.threads} threads, p50 ms", *SPECS], rows))
    print(f"{args.out}: look at it")
    result = {"bench": "nano_sizes", "machine": machine, "threads": args.threads, "ms": times}
    print(json_line(result))
    return result
