"""Weights and pictures by a rule that any machine and library version follows exactly (splitmix64)."""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch


def uniform(label: str, *shape: int) -> torch.Tensor:
    """float64 in -1..1, decided by the label and the position alone."""
    z = np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(zlib.crc32(label.encode()))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return torch.from_numpy((z >> np.uint64(11)).astype(np.float64) / 2**52 - 1).reshape(shape)


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """float32 by name, of a scale at which nothing vanishes and nothing saturates."""
    made = {}
    for name, shape in shapes.items():
        values = uniform(name, *shape)
        if name.endswith("gamma"):  # Wan's norms
            values = 1 + 0.2 * values
        elif len(shape) < 2:
            values = 0.1 * values + 0.5 * (name == "decoder.22.bias")  # the tiny decoder's last: mid grey
        else:
            values *= math.sqrt(3 / math.prod(shape[1:]))
        made[name] = values.float()
    return made


def pictures(count: int, width: int, height: int, label: str = "pictures") -> torch.Tensor:
    """float32 [count, 3, height, width] in 0..1, every one another."""
    return (0.5 + 0.5 * uniform(label, count, 3, height, width)).float()


def latents(count: int, width: int, height: int, label: str = "latents") -> torch.Tensor:
    """float32 [1, 16, count, height/8, width/8], of a network's variance."""
    return (math.sqrt(3) * uniform(label, 1, 16, count, height // 8, width // 8)).float()
