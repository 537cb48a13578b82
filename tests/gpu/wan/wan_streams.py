"""Streams of a small network in tests: instructions, sources and blocks by chance."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from wan_chance import normal, weighed
from wan_passes import SMALL, latents

from gpu.wan.config import StreamShape
from gpu.wan.engines.eager import EagerEngine
from gpu.wan.network import Network
from gpu.wan.sampler import Sampling
from gpu.wan.stream import EditStream
from gpu.wan.transition import Cross

THREES = StreamShape(48, 32, 3, 3, 9)
ONES = StreamShape(48, 32, 1, 3, 9)


def network() -> Network:
    return weighed(SMALL, 5)


def instruction(made_by: Network, name: str) -> Cross:
    return made_by.condition(normal(5, name, 1, SMALL.text_len, SMALL.text_dim))


def source(index: int, shape: StreamShape = THREES) -> Tensor:
    return latents(5, f"source.{index}", shape)


def opened(
    engine: EagerEngine, cross: Cross, shape: StreamShape = THREES, sampling: Sampling | None = None
) -> EditStream:
    stream = EditStream(engine, shape, sampling)
    stream.condition(cross)
    return stream


def edited(stream: EditStream, indices: Iterable[int]) -> list[Tensor]:
    return [stream.edit(source(index, stream.shape)) for index in indices]


def ring(stream: EditStream) -> Tensor:
    """Keys and values of all layers, [layers, 2, 1, heads, tokens, head_dim]: a copy."""
    tensors = stream._tensors
    return torch.stack(
        [
            torch.stack((tensors[f"ring_k.{layer}"], tensors[f"ring_v.{layer}"]))
            for layer in range(SMALL.layers)
        ]
    )


def same(one: Iterable[Tensor], other: Iterable[Tensor]) -> bool:
    """The same bytes."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
