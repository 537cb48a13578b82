"""`python -m bench liveedit`: how fast the full-size model is, with random weights, where there is a GPU.

Speed and memory do not look at what weights mean, so random ones give honest figures of both, and of nothing
else. Frames a second are from source latents to edited latents, as a stream makes them once its ring is full;
text is encoded before. In the same run: the matrix rate of the machine (what share of it is used), each
engine against the plain one, what a stream takes of memory against what was foretold, the autoencoder, and,
with `--self-forcing DIR`, the public Self-Forcing loop as the yardstick. Without a GPU only `--dry-run` is of
use: a toy network, which shows that everything runs. Writes JSON, Markdown for bench/LOG.md, and a picture.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.error import BenchError, NothingToMeasure
from bench.figures import Progress, json_line
from bench.gpu_report import log_block, markdown, picture
from bench.gpu_world import Found
from bench.machine import describe
from gpu.errors import RelensError

OUT = Path(__file__).resolve().parent / "out"
LIMIT_S = 540.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="", help="cpu or cuda:0; empty: the GPU where there is one")
    parser.add_argument("--dry-run", action="store_true", help="a toy network; the figures mean nothing")
    parser.add_argument(
        "--self-forcing", type=Path, help="folder of the public Self-Forcing code, the yardstick"
    )
    parser.add_argument("--engines", default="eager,graphs,fp8", help="which of eager, graphs, fp8")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="of the whole, at most")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for what is written")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All parts; what one of them refuses is a row of it. Raises NothingToMeasure, BenchError."""
    if importlib.util.find_spec("torch") is None:
        raise BenchError("the full-size model needs torch: pip install 'relens[liveedit]'")
    from bench import liveedit_speed, liveedit_yardstick
    from bench.liveedit_world import World

    world = World(args.device, args.dry_run, args.limit_s, tuple(args.engines.split(",")))
    if not world.on_gpu and not args.dry_run:
        raise NothingToMeasure("no GPU: the full-size network takes minutes a block on a CPU; use --dry-run")
    parts: dict[str, Callable[[], Found]] = {
        "agree": lambda: liveedit_speed.engines_agree(world),
        "matrices": lambda: liveedit_speed.matrix_rate(world),
        "yardstick": lambda: liveedit_yardstick.self_forcing(world, args.self_forcing),
        "speed": lambda: liveedit_speed.blocks(world),
        "mask": lambda: liveedit_speed.mask_cache(world),
        "memory": lambda: liveedit_speed.memory(world),
        "autoencoder": lambda: liveedit_speed.autoencoder(world),
    }
    found: dict[str, Found] = {}
    bar = Progress(len(parts), "liveedit")
    for count, (name, part) in enumerate(parts.items()):
        found[name] = _part(name, part, world)
        bar.show(count + 1, name)
    return _told(args, {**describe(), **world.machine()}, found)


def _part(name: str, part: Callable[[], Found], world: Any) -> Found:
    if world.left_s() < 5:
        return Found([(name, "not measured: no time left")])
    try:
        return part()
    except (BenchError, RelensError) as error:
        return Found([(name, f"ended: {error}")], {"error": str(error)}, [f"{name}: {error}"])
    finally:
        world.tidy()


def _told(args: argparse.Namespace, machine: dict[str, Any], found: dict[str, Found]) -> dict[str, Any]:
    kind = "dry run, figures mean nothing: " if args.dry_run else ""
    heading = f"{kind}LiveEdit's network with random weights on {machine['gpu']}"
    result = {
        "bench": "liveedit",
        "title": heading,
        "machine": machine,
        "dry_run": args.dry_run,
        "wrong": [text for part in found.values() for text in part.wrong],
        "parts": {name: part.data for name, part in found.items()},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "liveedit.json").write_text(json_line(result) + "\n", encoding="utf-8")
    block = log_block(heading, machine, found, "python -m bench liveedit")
    (args.out / "liveedit.md").write_text(block, encoding="utf-8")
    picture(args.out / "liveedit.svg", heading, found)
    print(markdown(heading, found))
    print(json_line({**result, "parts": sorted(found)}))
    return result


async def run(args: argparse.Namespace) -> dict[str, Any]:
    result = await asyncio.to_thread(measure, args)
    if result["wrong"]:
        raise BenchError("not as it must be: " + "; ".join(result["wrong"]))
    return result
