"""Numbers by chance that another machine and another project make alike: by seed and name, with NumPy's
frozen RandomState. So a fixture made by running other code needs no weights in it."""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor, nn

from gpu.wan.config import WanConfig
from gpu.wan.network import Network


def normal(seed: int, name: str, *shape: int) -> Tensor:
    """Standard normal float32 numbers for this name."""
    chance = np.random.RandomState([seed, zlib.crc32(name.encode())])
    return torch.from_numpy(chance.standard_normal(shape).astype(np.float32))


def weigh(network: nn.Module, seed: int) -> None:
    """Weights by the names of Wan's checkpoints: matrices by the root of what goes in, the weights of norms
    about 1, modulations by the root of their width, all else 0.1."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            numbers = normal(seed, name, *parameter.shape)
            if name.endswith("modulation"):
                numbers *= parameter.shape[-1] ** -0.5
            elif parameter.ndim > 1:
                numbers *= math.prod(parameter.shape[1:]) ** -0.5
            else:
                numbers *= 0.1
                if "norm" in name and name.endswith("weight"):
                    numbers += 1
            parameter.copy_(numbers)


def weighed(config: WanConfig, seed: int = 0) -> Network:
    network = Network(config).requires_grad_(False).eval()
    weigh(network, seed)
    return network


def error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value that is expected."""
    return float((found - expected).abs().max() / expected.abs().max())
