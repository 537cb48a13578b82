"""The parts of `liveedit` that measure our own model: agreement, speed, mask cache, memory, autoencoder."""

from __future__ import annotations

from typing import Any

import torch

from bench.error import BenchError
from bench.figures import spread
from bench.gpu_world import Found
from bench.liveedit_world import SEED, TINY, World
from gpu.autoencoder.cost import tiny_flops
from gpu.autoencoder.tiny import TinyAutoencoder
from gpu.wan.config import StreamShape
from gpu.wan.cost import flops
from gpu.wan.engines.eager import EagerEngine
from gpu.wan.mask_cost import flop_share, mask_error
from gpu.wan.memory import FloatKind, stream_needs, total
from gpu.wan.network import random_network
from gpu.wan.sampler import Sampling

AGREE = {"eager": 0.02, "graphs": 0.02, "fp8": 0.15}  # of bf16 and shorter floats against float32 on the CPU


def engines_agree(world: World) -> Found:
    """A toy network's blocks on every engine of this device against float32 on the CPU: not speed, sense."""
    found = Found()
    toy = World(world.device, True, world.left_s(), world.kinds)
    shape = toy.shape(TINY.canvases[0], 1)
    with torch.inference_mode():
        text = torch.zeros(1, TINY.config.text_len, TINY.config.text_dim)
        text[:, :8] = torch.randn(8, TINY.config.text_dim, generator=torch.Generator().manual_seed(SEED))
        network = random_network(TINY.config, SEED)
        cross = network.condition(text)
    sure = toy.stream(EagerEngine(network), cross, shape, Sampling(drift_guard=False))
    wanted = [sure.edit(toy.source(shape, n).cpu()) for n in range(3)]
    for kind in world.kinds:
        try:
            with toy.engine(kind) as (engine, own):
                stream = toy.stream(engine, own, shape, Sampling(drift_guard=False))
                off = max(
                    float((stream.edit(toy.source(shape, n)).cpu() - want).norm() / want.norm())
                    for n, want in enumerate(wanted)
                )
                stream.close()
        except BenchError as error:
            found.rows.append((f"{kind} against float32 on the CPU", f"not run: {error}"))
            continue
        found.rows.append((f"{kind} against float32 on the CPU, toy network, relative", f"{off:.1e}"))
        found.data[kind] = off
        if not off < AGREE[kind]:
            found.wrong.append(f"{kind} is {off:.1e} off float32, more than {AGREE[kind]}")
    return found


def matrix_rate(world: World) -> Found:
    """Operations a second in one large product, the most that a network of products can have."""
    size, found = world.scale.matrix, Found()
    a, b = (torch.randn(size, size, device=world.device).to(world.dtype) for _ in "ab")
    out = torch.empty_like(a)
    for _ in range(3):
        torch.mm(a, b, out=out)
    ms = spread(world.times_ms(lambda n: torch.mm(a, b, out=out), world.scale.repeats))
    world.matrix_flops = 2 * size**3 / ms["p50"] * 1e3
    name = str(world.dtype).removeprefix("torch.")
    found.rows.append((f"matrix rate, {name}, {size} squared", f"{world.matrix_flops / 1e12:.1f} TFLOP/s"))
    found.data["tflops"] = world.matrix_flops / 1e12
    return found


def block_flops(world: World, shape: StreamShape, sampling: Sampling) -> float:
    """Operations of one block with all its passes."""
    share = flop_share(world.scale.config, shape, sampling) if sampling.mask_cache else 1.0
    return share * sampling.passes * flops(world.scale.config, shape)


def blocks(world: World) -> Found:
    """Each engine at each canvas, block and number of steps: ms a block, fps, share of the rate."""
    found = Found()
    plain: dict[str, float] = {}
    for kind in world.kinds:
        try:
            with world.engine(kind) as (engine, cross):
                for canvas in world.scale.canvases:
                    for block in (3, 1):
                        for steps in (4, 2):
                            name = f"{canvas[0]}x{canvas[1]}, {4 * block} frames a block, {steps} steps"
                            sampling = Sampling(steps=steps)
                            ms = _block_ms(world, engine, cross, world.shape(canvas, block), sampling)
                            if ms is None:
                                found.rows.append((f"{kind}: {name}", "not measured: no time left"))
                                continue
                            plain.setdefault(name, ms["p50"])
                            found.rows.append(
                                (f"{kind}: {name}", _said(world, name, canvas, block, sampling, ms, plain))
                            )
                            found.data[f"{kind}: {name}"] = {"ms": ms, "fps": 4 * block / ms["p50"] * 1e3}
        except BenchError as error:
            found.rows.append((kind, f"not run: {error}"))
    return found


def _said(
    world: World,
    name: str,
    canvas: tuple[int, int],
    block: int,
    sampling: Sampling,
    ms: dict[str, float],
    plain: dict[str, float],
) -> str:
    fps = 4 * block / ms["p50"] * 1e3
    rate = block_flops(world, world.shape(canvas, block), sampling) / ms["p50"] * 1e3
    used = f", {rate / world.matrix_flops:.0%} of the matrix rate" if world.matrix_flops else ""
    faster = f", {plain[name] / ms['p50']:.2f} x eager" if plain[name] != ms["p50"] else ""
    return f"{fps:.1f} fps, {ms['p50']:.1f} / {ms['p95']:.1f} ms a block{used}{faster}"


def _block_ms(
    world: World, engine: Any, cross: Any, shape: StreamShape, sampling: Sampling
) -> dict[str, float] | None:
    """Of blocks once the ring is full, p50 and p95; None when the time is up."""
    if world.left_s() < 20:
        return None
    stream = world.stream(engine, cross, shape, sampling)
    try:
        for number in range(shape.ring // shape.block + 1):
            stream.edit(world.source(shape, number))
        sources = [world.source(shape, 100 + number) for number in range(4)]
        return spread(world.times_ms(lambda n: stream.edit(sources[n % 4]), world.scale.blocks))
    finally:
        stream.close()
        world.tidy()


def mask_cache(world: World) -> Found:
    """With and without it, interleaved on one engine: time, operations, and how far off it is."""
    found = Found()
    kind = "graphs" if world.on_gpu and "graphs" in world.kinds else "eager"
    with world.engine(kind) as (engine, cross):
        for canvas in world.scale.canvases:
            shape = world.shape(canvas, 3)
            ms: dict[bool, list[float]] = {False: [], True: []}
            streams = {on: world.stream(engine, cross, shape, Sampling(mask_cache=on)) for on in ms}
            for number in range(shape.ring // shape.block + 1 + world.scale.blocks):
                for on, stream in streams.items():
                    source = world.source(shape, number)
                    (took,) = world.times_ms(lambda n, s=stream, x=source: s.edit(x), 1)  # type: ignore[misc]
                    if number > shape.ring // shape.block:
                        ms[on].append(took)
            for stream in streams.values():
                stream.close()
            without, cached = spread(ms[False]), spread(ms[True])
            faster = without["p50"] / cached["p50"]
            share = flop_share(world.scale.config, shape, Sampling(mask_cache=True))
            wrong = mask_error(engine, shape, cross, [world.source(shape, n) for n in range(4)])
            found.rows.append(
                (
                    f"mask cache, {kind}, {canvas[0]}x{canvas[1]}",
                    f"{faster:.2f} x as fast ({without['p50']:.1f} and {cached['p50']:.1f} ms a block), "
                    f"{share:.0%} of the operations; off by {wrong.all:.3f} of the full computation's size "
                    "(random weights and sources: no measure of how an edit looks)",
                )
            )
            found.data[f"{canvas[0]}x{canvas[1]}"] = {"off": without, "on": cached, "error": wrong.all}
    return found


def memory(world: World) -> Found:
    """What one stream takes of a GPU's memory, the most while it runs, against what was foretold."""
    found = Found()
    if not world.on_gpu:
        found.rows.append(("memory a stream", "not measured: torch counts a GPU's memory only"))
        return found
    kind = "graphs" if "graphs" in world.kinds else "eager"
    floats: FloatKind = "bfloat16"
    with world.engine(kind) as (engine, cross):
        for canvas in world.scale.canvases:
            shape = world.shape(canvas, 3)
            world.tidy()
            before, _ = torch.cuda.mem_get_info(world.device)
            stream = world.stream(engine, cross, shape, Sampling())
            for number in range(2):
                stream.edit(world.source(shape, number))
            world.wait()
            after, _ = torch.cuda.mem_get_info(world.device)
            stream.close()
            world.tidy()
            left, _ = torch.cuda.mem_get_info(world.device)
            foretold = total(stream_needs(world.scale.config, shape, floats))
            took = before - after
            found.rows.append(
                (
                    f"memory a stream, {kind}, {canvas[0]}x{canvas[1]}",
                    f"{took / 2**30:.2f} GiB, foretold {foretold / 2**30:.2f}; "
                    f"{(before - left) / 2**20:.0f} MiB stay after it is closed",
                )
            )
            found.data[f"{canvas[0]}x{canvas[1]}"] = {"bytes": took, "foretold": foretold}
            if took > foretold:
                found.wrong.append(
                    f"a stream at {canvas} takes {took} bytes, more than the {foretold} foretold"
                )
    return found


def autoencoder(world: World) -> Found:
    """The tiny autoencoder both ways, a latent at a time."""
    found = Found()
    dtype = torch.float16 if world.on_gpu else torch.float32
    tiny = TinyAutoencoder.random(SEED, world.device, dtype)
    for width, height in world.scale.canvases:
        stream = tiny.open(width, height)
        frames = torch.rand(4, 3, height, width, device=world.device)
        latents = stream.encode(frames)
        stream.decode(latents)
        count = 2 * world.scale.blocks
        ways = {
            "encoder": spread(world.times_ms(lambda n, s=stream, x=frames: s.encode(x), count)),  # type: ignore[misc]
            "decoder": spread(world.times_ms(lambda n, s=stream, x=latents: s.decode(x), count)),  # type: ignore[misc]
        }
        for part, ms in ways.items():
            rate = tiny_flops(part, width, height) / ms["p50"] * 1e3 / 1e12  # type: ignore[arg-type]
            found.rows.append(
                (
                    f"tiny {part}, {width}x{height}, four frames",
                    f"{ms['p50']:.2f} / {ms['p95']:.2f} ms, {rate:.1f} TFLOP/s",
                )
            )
            found.data[f"{part} {width}x{height}"] = {"ms": ms}
        stream.close()
    return found
