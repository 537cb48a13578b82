"""Whether a model, and one stream more of it, fits into the memory that is free: asked before it is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu.models.liveedit_parts import Parts
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.memory import (
    FloatKind,
    Need,
    check,
    check_stream,
    free_bytes,
    load_needs,
    stream_needs,
    total,
)

SHARED = "pass_engine auto, whose streams share one set of weights,"
SMALLER = "the model nano needs none of it"  # where not even the weights fit


def check_load(
    config: WanConfig,
    shape: StreamShape,
    floats: FloatKind,
    device: str,
    mask_cache: bool = False,
    engine_bytes: int = 0,
) -> None:
    """The weights, `engine_bytes` of engines beside them, and a first stream of `shape`. Raises NoMemory."""
    gpu = device.startswith("cuda")
    needs = (*load_needs(config, floats, gpu), *stream_needs(config, shape, floats, mask_cache))
    others = [(SMALLER, 0)]
    if engine_bytes:
        others.insert(0, (SHARED, total(needs)))
        needs += (Need("TensorRT's engines, one a canvas", engine_bytes),)
    check(
        f"model {config.name} with one stream at {shape.width}x{shape.height}",
        needs,
        free_bytes(device),
        others,
        "GPU" if gpu else "the machine's",
    )


def room_for(parts: Parts, mask_cache: bool = False) -> Callable[[StreamShape], None]:
    """What to ask before each stream of a model that is loaded; it raises NoMemory."""
    engine = parts.engine
    floats: Any = str(engine.dtype).removeprefix("torch.")

    def ask(shape: StreamShape) -> None:
        state = parts.autoencoder.state_bytes(shape.width, shape.height)
        check_stream(engine.config, shape, floats, free_bytes(engine.device), mask_cache, state)

    return ask
