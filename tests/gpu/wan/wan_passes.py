"""Passes of small networks in tests: opening them, and running blocks of latents by chance through them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from wan_chance import normal

from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.engines.base import Pass
from gpu.wan.ring import Ring
from gpu.wan.rope import fill

# An uneven head (32 channels turn as 6, 5 and 5 pairs), as Wan's own is (128: 22, 21 and 21).
SMALL = WanConfig(
    "small",
    dim=96,
    layers=2,
    heads=3,
    ffn=160,
    freq_dim=32,
    text_dim=40,
    text_len=7,
    latent_channels=4,
    source_channels=4,
)


def latents(seed: int, name: str, shape: StreamShape, config: WanConfig = SMALL, batch: int = 1) -> Tensor:
    """[batch, channels, block, rows, columns]"""
    return normal(seed, name, batch, config.latent_channels, shape.block, *shape.latent_size)


def instruct(run: Pass, cross: Sequence[tuple[Tensor, Tensor]]) -> None:
    for layer, (keys, values) in enumerate(cross):
        run.tensors[f"cross_k.{layer}"].copy_(keys)
        run.tensors[f"cross_v.{layer}"].copy_(values)


def give(run: Pass, noisy: Tensor, source: Tensor, timestep: float) -> None:
    run.tensors["noisy"].copy_(noisy)
    run.tensors["source"].copy_(source)
    run.tensors["timestep"].fill_(timestep)


def run_block(run: Pass, block: int, seed: int = 0, config: WanConfig = SMALL) -> tuple[Tensor, Tensor]:
    """A noisy pass and a clean one over latents by chance, named by the block -> both flows, float32."""
    fill(run.tensors, Ring(run.shape), block)
    flows = []
    for name, timestep in ((f"noisy.{block}", 937.5), (f"clean.{block}", 0.0)):
        source = latents(seed, f"source.{block}", run.shape, config)
        give(run, latents(seed, name, run.shape, config), source, timestep)
        run.run()
        flows.append(run.tensors["flow"].float().clone())
    return flows[0], flows[1]
