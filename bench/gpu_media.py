"""`python -m bench gpu-media`: the media path on an NVIDIA GPU, on any machine that has one.

Checks every CUDA kernel against its NumPy twin and NVDEC against libav, then measures: kernels beside the
memory's bandwidth, graph and direct launches, NVDEC alone and many at once, bytes over the bus, the encoder,
memory over as many frames as two hours have. Needs NumPy and PyAV beside the driver. Writes JSON, Markdown
(for bench/LOG.md) and an SVG. Without a GPU it says so and exits with 3; with --dry-run everything is run in
tiny, which shows that it runs and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.error import BenchError, NothingToMeasure
from bench.figures import json_line
from bench.gpu_report import log_block, markdown, picture, title
from bench.gpu_world import TINY, Found, Scale, World
from bench.machine import describe
from gpu.errors import DeviceError, RelensError

OUT = Path(__file__).resolve().parent / "out"
LIMIT_S = 460.0  # of the whole: an hour of a GPU machine is dear
_GRACE_S = 60.0  # a driver that hangs does not keep the process


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=3.0, help="of the long loop, at most")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="of the whole, at most")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for what is written")
    parser.add_argument("--dry-run", action="store_true", help="every part in tiny; figures mean nothing")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All parts; what one of them refuses is a row of it. Raises NothingToMeasure, BenchError."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise BenchError(f"clips are made by libav ({error}): pip install av") from error
    from bench import gpu_decode, gpu_kernels, gpu_path

    world = World(TINY if args.dry_run else Scale(), args.limit_s)
    try:
        if world.fake and not args.dry_run:
            raise NothingToMeasure("no GPU: this driver is the tests' stand-in; use --dry-run")
        machine = {**describe(), **_gpu(world)}  # first: a GPU that is lost on the way is still told of
        parts: dict[str, Callable[[], Found]] = {
            "twins": lambda: gpu_kernels.against_twins(world),
            "memory": lambda: gpu_kernels.against_memory(world),
            "graph": lambda: gpu_kernels.graph_and_direct(world),
            "decode": lambda: gpu_decode.latency(world),
            "libav": lambda: gpu_decode.against_libav(world),
            "bus": lambda: gpu_path.over_the_bus(world),
            "encode": lambda: gpu_path.encoders(world),
            "at_once": lambda: gpu_decode.at_once(world),
            "long_run": lambda: gpu_path.long_run(world, 0.01 if args.dry_run else args.minutes),
        }
        found = {name: _part(name, part, world) for name, part in parts.items()}
    finally:
        world.close()
    return _told(args, machine, world.fake, found)


def _part(name: str, part: Callable[[], Found], world: World) -> Found:
    if world.left_s() < 5:
        return Found([(name, "not measured: no time left")])
    try:
        return part()
    except (BenchError, RelensError) as error:
        return Found([(name, f"ended: {error}")], {"error": str(error)}, [f"{name}: {error}"])


def _gpu(world: World) -> dict[str, Any]:
    from gpu.cuda.driver import driver_version

    info, version = world.device.info, Path("/sys/module/nvidia/version")
    release = version.read_text().strip() if version.exists() else "release unknown"
    major, minor = driver_version()
    capability = "{}.{}".format(*info.compute_capability)
    return {
        "gpu": f"{info.name} (SM {capability}, {info.total_bytes / 2**30:.0f} GiB)",
        "driver": f"driver {release}, CUDA {major}.{minor}",
    }


def _told(
    args: argparse.Namespace, machine: dict[str, Any], fake: bool, found: dict[str, Found]
) -> dict[str, Any]:
    heading = title(machine["gpu"], fake, args.dry_run)
    result = {
        "bench": "gpu_media",
        "title": heading,
        "machine": machine,
        "fake": fake,
        "dry_run": args.dry_run,
        "wrong": [text for part in found.values() for text in part.wrong],
        "parts": {name: part.data for name, part in found.items()},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "gpu-media.json").write_text(json_line(result) + "\n", encoding="utf-8")
    block = log_block(heading, machine, found, "python -m bench gpu-media")
    (args.out / "gpu-media.md").write_text(block, encoding="utf-8")
    picture(args.out / "gpu-media.svg", heading, found)
    print(markdown(heading, found))
    print(json_line({**result, "parts": sorted(found)}))
    return result


async def run(args: argparse.Namespace) -> dict[str, Any]:
    faulthandler.dump_traceback_later(args.limit_s + _GRACE_S, exit=True)
    try:
        result = await asyncio.to_thread(measure, args)
    except DeviceError as error:
        raise BenchError(str(error)) from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    if result["wrong"]:
        raise BenchError("not as it must be: " + "; ".join(result["wrong"]))
    return result
