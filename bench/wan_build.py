"""`python -m bench wan-build`: the full-size model's passes built by TensorRT-RTX, for which it needs no GPU.

Weights are random and nothing is run: the figures say that the library takes the graphs at their full size,
and what taking them costs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.error import BenchError, NothingToMeasure
from bench.figures import Progress, json_line, table
from bench.machine import describe
from gpu.errors import RelensError
from gpu.wan.bindings import bindings
from gpu.wan.config import LIVEEDIT_1_3B, TOY, StreamShape, WanConfig
from gpu.wan.engines.builder import BuildPlan, Built, build_engine, in_place_of
from gpu.wan.engines.trt_library import installed

CONFIGS = {config.name: config for config in (LIVEEDIT_1_3B, TOY)}
PASSES = {"full": (False, False), "cached": (True, False), "pruned": (True, True)}  # mask cache, pruned
_LIMIT_S = 3600.0
_GRAPH_FREE = 3.0  # the disk takes the weights, an engine, and that engine once more while it is written
_MIB = 2**20
_STEP = 0.05  # of the bar
_RANGE = 8.0  # of what enters FP8's layers: a build does not depend on it, and to run it on a CPU takes hours


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", choices=CONFIGS, default=LIVEEDIT_1_3B.name)
    parser.add_argument("--size", default="832x480", help="the canvas in pixels")
    parser.add_argument("--blocks", type=int, nargs="+", default=[3, 1], help="latents made together")
    parser.add_argument("--passes", choices=PASSES, nargs="+", default=["full"])
    parser.add_argument("--floats", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    parser.add_argument("--fp8", action="store_true", help="the large layers in FP8, ranges by chance")
    parser.add_argument("--architectures", nargs="+", default=["sm89", "sm120"], help="an engine for each")
    parser.add_argument("--folder", type=Path, help="keep graphs and engines there; else they are temporary")


async def run(args: argparse.Namespace) -> None:
    await asyncio.to_thread(measure, args)


def measure(args: argparse.Namespace) -> None:
    """Raises BenchError."""
    if not installed("tensorrt-rtx"):
        raise NothingToMeasure("TensorRT-RTX is not installed: pip install 'relens[tensorrt-rtx]'")
    machine = describe()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="relens-wan-build-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        rows = _measured(args, folder)
    except (RelensError, OSError, ValueError) as exc:
        raise BenchError(str(exc)) from exc
    finally:
        if args.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{args.config} at {args.size}, {_floats(args)}, random weights; built, not run")
    head = ("pass", "for", "nodes", "layers", "graph MiB", "in place", "build s", "engine MiB", "peak MiB")
    print(table(head, [_row(each) for each in rows]))
    print("graph: with its weights. build: parsing too. peak: resident memory of the building process.")
    print(
        json_line(
            {"bench": "wan-build", "machine": machine, "config": args.config, "fp8": args.fp8, "builds": rows}
        )
    )


def _floats(args: argparse.Namespace) -> str:
    return f"{args.floats} and FP8" if args.fp8 else str(args.floats)


def _row(each: dict[str, Any]) -> tuple[object, ...]:
    return (
        f"{each['pass']}, block {each['block']}",
        each["architecture"].upper(),
        each["nodes"],
        each["layers"],
        each["graph_bytes"] / _MIB,
        f"{each['in_place']} of {each['ring']}" + (", apart" if each["decomposed"] else ""),
        each["parse_s"] + each["build_s"],
        each["engine_bytes"] / _MIB,
        each["peak_rss_bytes"] / _MIB,
    )


def _measured(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    config = CONFIGS[args.config]
    width, height = map(int, args.size.split("x"))
    shapes = [StreamShape(width, height, block) for block in args.blocks]
    graphs = _export(config, shapes, args, folder)
    rows = []
    for shape, name, graph in graphs:
        mask_cache, pruned = PASSES[name]
        ring = in_place_of(bindings(config, shape, 1, mask_cache, pruned))
        for architecture in args.architectures:
            engine = folder / f"{graph.stem}-{architecture}.engine"
            plan = BuildPlan(graph, "tensorrt-rtx", (architecture,), ring)
            built = _build(plan, engine, f"{name}, block {shape.block}, {architecture}")
            if args.folder is None:
                engine.unlink()
            about = {"pass": name, "block": shape.block, "architecture": architecture, "ring": len(ring)}
            about |= asdict(built) | {"in_place": len(built.in_place), "graph_bytes": _bytes_of(graph)}
            rows.append(about)
    return rows


def _export(
    config: WanConfig, shapes: list[StreamShape], args: argparse.Namespace, folder: Path
) -> list[tuple[StreamShape, str, Path]]:
    import torch

    from gpu.wan.engines.fp8_graph import layers_of, quantise_graph
    from gpu.wan.export import export_pass
    from gpu.wan.network import random_network

    started, kind = time.monotonic(), getattr(torch, args.floats)
    bar = Progress(1 + len(shapes) * len(args.passes), f"{'exporting':<24}")
    network = random_network(config, 0, kind)
    bar.show(1, f"{sum(each.numel() for each in network.parameters()) / 1e9:.2f} billion random weights")
    graphs = []
    for shape in shapes:
        for name in args.passes:
            mask_cache, pruned = PASSES[name]
            graph = export_pass(network, shape, folder, 1, mask_cache, pruned)
            if args.fp8:
                graph = quantise_graph(graph, network, dict.fromkeys(dict(layers_of(network)), _RANGE))
            graphs.append((shape, name, graph))
            bar.show(1 + len(graphs), f"{graph.name}, {time.monotonic() - started:.0f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    bar.show(1 + len(graphs), f"peak {peak / _MIB:.0f} MiB")
    return graphs


def _build(plan: BuildPlan, engine: Path, what: str) -> Built:
    needed = _GRAPH_FREE * _bytes_of(plan.graph)
    free = shutil.disk_usage(engine.parent).free
    if free < needed:
        raise BenchError(
            f"{needed / _MIB:.0f} MiB of disk are needed at {engine.parent}, {free / _MIB:.0f} are free"
        )
    bar = Progress(1.0, f"{what:<24}")
    shown = 0.0

    def told(share: float, doing: str) -> None:
        nonlocal shown
        if share - shown >= _STEP:
            shown = share
            bar.show(min(share, 0.99), f"{doing:<36}")

    built = build_engine(plan, engine, told, timeout_s=_LIMIT_S)
    bar.show(1.0, f"{built.parse_s + built.build_s:.0f} s{'':<34}")
    return built


def _bytes_of(graph: Path) -> int:
    """Of the graph and the weights it names."""
    import onnx

    held = onnx.load(str(graph), load_external_data=False).graph.initializer
    files = {entry.value for one in held for entry in one.external_data if entry.key == "location"}
    return os.path.getsize(graph) + sum(os.path.getsize(graph.parent / name) for name in files)
