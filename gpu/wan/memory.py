"""What a model and each stream of it take of a device's memory, before any of it is taken.

Sums follow from shapes; the working memory of a pass and the allocator's waste are estimates (`SLACK`). Knows
sizes, not devices: what is free is asked by `free_bytes`, which needs torch for a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from gpu.errors import NoMemory
from gpu.wan.bindings import bindings
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.cost import parameters

FloatKind = Literal["float32", "bfloat16", "float16"]
FLOAT_BYTES: dict[FloatKind, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
SLACK = 1.1  # of a sum, for what allocators round up and leave between blocks
CONTEXT_BYTES = 600 << 20  # CUDA's own context with cuBLAS and cuDNN loaded (about that on SM80 to SM90)
KERNEL_BYTES = 64 << 20  # scratch of matrix kernels that a stream's first pass asks for
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that takes memory, in words, and how much."""

    what: str
    bytes: int


def total(needs: Iterable[Need]) -> int:
    return math.ceil(SLACK * sum(need.bytes for need in needs))


def tensor_bytes(config: WanConfig, shape: StreamShape, floats: FloatKind, mask_cache: bool = False) -> int:
    """Bytes of the tensors that one stream holds all its life: ring, instruction, what goes in and out."""
    sizes = {"model": FLOAT_BYTES[floats], "float32": 4, "int64": 8, "bool": 1}
    listed = {each.name: each for each in bindings(config, shape, 1, mask_cache, pruned=mask_cache)}
    return sum(sizes[each.kind] * math.prod(each.shape) for each in listed.values())


def working_bytes(config: WanConfig, shape: StreamShape, floats: FloatKind) -> int:
    """The most that a pass holds for a moment: a block's activations, and a layer's keys, turned.

    Attention is taken to be a fused kernel, which never holds the table of scores."""
    size, tokens = FLOAT_BYTES[floats], shape.block_tokens
    block = (
        tokens * (2 * config.ffn + 8 * config.dim) * size
    )  # before and after the activation; q, k, v, sums
    modulated = 2 * tokens * config.dim * 4  # Wan normalises and modulates in float32
    rotated = shape.ring_tokens * config.dim * (size + 4)  # as the model's floats and, while turned, float32
    return block + modulated + rotated


def load_needs(
    config: WanConfig, floats: FloatKind, on_gpu: bool, text_bytes: int = 0, autoencoder_bytes: int = 0
) -> tuple[Need, ...]:
    """What is taken once, however many streams: weights, and a GPU's own context.

    `text_bytes`: of the text encoder where it stays on this device, else 0."""
    made = [Need("the network's weights", parameters(config) * FLOAT_BYTES[floats])]
    if text_bytes:
        made.append(Need("the text encoder", text_bytes))
    if autoencoder_bytes:
        made.append(Need("the autoencoder", autoencoder_bytes))
    if on_gpu:
        made.append(Need("the GPU's context and libraries", CONTEXT_BYTES))
    return tuple(made)


def stream_needs(
    config: WanConfig, shape: StreamShape, floats: FloatKind, mask_cache: bool = False, state_bytes: int = 0
) -> tuple[Need, ...]:
    """What every further stream takes. `state_bytes`: of the autoencoder's state for a stream."""
    latent = config.latent_channels * math.prod(shape.latent_size) * FLOAT_BYTES[floats]
    instruction = 2 * config.layers * config.dim * config.text_len * FLOAT_BYTES[floats]
    made = [
        Need("its ring and tensors", tensor_bytes(config, shape, floats, mask_cache)),
        Need("a pass while it runs", working_bytes(config, shape, floats) + KERNEL_BYTES),
        Need("what a change of instruction takes", 2 * instruction + 2 * shape.window * latent),
    ]
    if state_bytes:
        made.append(Need("the autoencoder's state", state_bytes))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to run a stream that takes less, and the words to ask for it."""

    words: str
    shape: StreamShape
    mask_cache: bool = False


def smaller(shape: StreamShape, mask_cache: bool = False) -> Iterator[Choice]:
    """Choices below `shape`, the least loss first: no mask cache, a smaller canvas, a shorter window."""
    if mask_cache:
        yield Choice("without the mask cache", shape)
    sizes = [(832, 480), (640, 352), (448, 256)]
    upright = shape.height > shape.width
    area = shape.width * shape.height
    canvases = [(h, w) if upright else (w, h) for w, h in sizes if w * h < area]
    for width, height in canvases:
        yield Choice(
            f"at {width}x{height}", StreamShape(width, height, shape.block, shape.sink, shape.window)
        )
    width, height = canvases[-1] if canvases else (shape.width, shape.height)
    window = max(shape.block, 6 // shape.block * shape.block)
    if window < shape.window:
        made = StreamShape(width, height, shape.block, shape.sink, window)
        yield Choice(f"at {width}x{height} with a window of {window} latents", made)


def check(
    what: str, needs: Iterable[Need], free: int, others: Iterable[tuple[str, int]] = (), where: str = "GPU"
) -> None:
    """Nothing where `needs` fit into `free` bytes. `others`: smaller choices in words, with what each takes.

    Raises NoMemory naming what is short and the first choice that would fit."""
    needs = tuple(needs)
    wanted = total(needs)
    if wanted <= free:
        return
    parts = ", ".join(f"{need.what} {need.bytes / GIB:.1f}" for need in needs if need.bytes >= GIB // 20)
    fits = next((words for words, size in others if size <= free), "")
    remedy = (
        f"{fits} would fit" if fits else "no smaller choice fits: use another model (GET /models), or nano"
    )
    raise NoMemory(
        f"{what} takes {wanted / GIB:.1f} GiB of {where} memory and {free / GIB:.1f} GiB are free "
        f"({parts}): {remedy}"
    )


def check_stream(
    config: WanConfig,
    shape: StreamShape,
    floats: FloatKind,
    free: int,
    mask_cache: bool = False,
    state_bytes: int = 0,
) -> None:
    """As `check` for one more stream of `shape`. `state_bytes` of the autoencoder shrink with the canvas."""
    area = shape.width * shape.height

    def needs(of: StreamShape, cached: bool) -> tuple[Need, ...]:
        return stream_needs(config, of, floats, cached, state_bytes * of.width * of.height // area)

    others = (
        (choice.words, total(needs(choice.shape, choice.mask_cache))) for choice in smaller(shape, mask_cache)
    )
    check(f"a stream at {shape.width}x{shape.height}", needs(shape, mask_cache), free, others)


def free_bytes(device: str) -> int:
    """Bytes that can still be taken on "cpu" or "cuda:N", among them what torch keeps and nobody uses."""
    if not device.startswith("cuda"):
        return _free_host_bytes()
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + cached)


def _free_host_bytes() -> int:
    """MemAvailable of /proc/meminfo; where there is none (not Linux), no limit is known."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 2**62
