"""A network small enough for tests, its weights by chance, and the ways its checkpoint can be written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from gpu.wan.config import WanConfig
from gpu.wan.network import Network, random_network

SMALL = WanConfig("small", dim=48, layers=2, heads=2, ffn=64, freq_dim=32, text_dim=24, text_len=8)

Tensors = dict[str, torch.Tensor]


def weights(config: WanConfig = SMALL, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensors:
    """Every tensor of such a network, in one type."""
    return {name: held.to(dtype).clone() for name, held in random_network(config, seed).state_dict().items()}


def empty(config: WanConfig = SMALL) -> Network:
    with torch.device("meta"):
        return Network(config)


def save(path: Path, held: Mapping[str, Any]) -> Path:
    """In the format of the path's ending."""
    if path.suffix == ".safetensors":
        save_file(dict(held), path)
    else:
        torch.save(held, path)
    return path


def same(network: torch.nn.Module, expected: Tensors) -> bool:
    held = network.state_dict()
    return held.keys() == expected.keys() and all(
        torch.equal(held[name].float(), tensor.float()) for name, tensor in expected.items()
    )
