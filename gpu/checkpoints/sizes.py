"""What network a checkpoint holds, by the shapes of its tensors under Wan's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpu.errors import ModelError
from gpu.wan.config import PATCH, WanConfig

HEAD_DIM = 128  # of every published size of Wan (1.3B, 5B, 14B)
_KNOWN = {(1536, 30): "1.3B", (3072, 30): "5B", (5120, 40): "14B"}  # (dim, layers): Wan 2.1 and 2.2
_BLOCK = re.compile(r"^blocks\.(\d+)\.")


def config_of(state: Mapping[str, Any], heads: int | None = None, text_len: int = 512) -> WanConfig:
    """The sizes of the network that these tensors are, as far as shapes tell.

    `heads` and `text_len` leave no trace in them: heads are of 128 channels unless given.
    Raises ModelError when the tensors are not a Wan network's."""
    patch = _shape(state, "patch_embedding.weight", 5)
    dim, channels = patch[0], patch[1]
    latent_channels = _shape(state, "head.head.weight", 2)[0] // PATCH**2
    layers = 1 + max((int(found.group(1)) for name in state if (found := _BLOCK.match(name))), default=-1)
    if heads is None:
        heads = max(1, dim // HEAD_DIM)
    return WanConfig(
        name=f"Wan {_KNOWN.get((dim, layers), f'of {dim} x {layers}')}",
        dim=dim,
        layers=layers,
        heads=heads,
        ffn=_shape(state, "blocks.0.ffn.0.weight", 2)[0],
        freq_dim=_shape(state, "time_embedding.0.weight", 2)[1],
        text_dim=_shape(state, "text_embedding.0.weight", 2)[1],
        text_len=text_len,
        latent_channels=latent_channels,
        source_channels=channels - latent_channels,
    )


def describe(config: WanConfig) -> str:
    """Sizes for people: "Wan 14B (40 layers of 5120, 16 channels in)"."""
    return f"{config.name} ({config.layers} layers of {config.dim}, {config.in_channels} channels in)"


def _shape(state: Mapping[str, Any], name: str, rank: int) -> tuple[int, ...]:
    tensor = state.get(name)
    if tensor is None or len(tensor.shape) != rank:
        raise ModelError(f"these are no Wan network's tensors: {name} is missing or of another rank")
    return tuple(int(size) for size in tensor.shape)
