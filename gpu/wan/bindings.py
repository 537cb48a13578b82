"""The named tensors of one pass of the network: what every engine takes and gives. No torch here.

One pass sees a block of noisy latents beside their source, the ring, and the instruction as keys and values
of the cross attention. It writes the block's own keys and values into the ring, *un-roped*, at `write_index`,
and attends over the ring with rotations given from outside: no shape ever changes, a stream may run for days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu.wan.config import StreamShape, WanConfig

Role = Literal["input", "ring", "output"]  # "ring": read and written in place, one memory for both
Kind = Literal["model", "float32", "int64", "bool"]  # "model": the engine's own float type
PRUNED_KEEP = 0.3  # share of a latent's tokens that a pruned pass computes (LiveEdit, adaptive_patch_ratio)


@dataclass(frozen=True, slots=True)
class Binding:
    """One named tensor."""

    name: str
    shape: tuple[int, ...]
    kind: Kind
    role: Role


def kept_tokens(shape: StreamShape, keep: float = PRUNED_KEEP) -> int:
    """Tokens of one latent that a pruned pass computes; at least one."""
    return max(1, int(shape.latent_tokens * keep))


def bindings(
    config: WanConfig, shape: StreamShape, batch: int = 1, mask_cache: bool = False, pruned: bool = False
) -> tuple[Binding, ...]:
    """Every tensor of a pass, inputs first, in the graph's order.

    `mask_cache`: a full pass also leaves each layer's self-attention delta; `pruned`: the pass that computes
    only the tokens in `kept` and takes the other tokens' deltas from there (it implies `mask_cache`)."""
    half, heads, dim = config.head_dim // 2, config.heads, config.head_dim
    rows, cols = shape.latent_size
    tokens, ring = shape.block_tokens, shape.ring_tokens
    latent = (batch, config.latent_channels, shape.block, rows, cols)
    made = [Binding("noisy", latent, "model", "input")]
    if config.source_channels:
        made.append(Binding("source", (batch, config.source_channels, *latent[2:]), "model", "input"))
    made += [
        Binding("timestep", (batch,), "float32", "input"),  # 0..1000
        Binding("query_cos", (batch, tokens, half), "float32", "input"),
        Binding("query_sin", (batch, tokens, half), "float32", "input"),
        Binding("key_cos", (batch, ring, half), "float32", "input"),
        Binding("key_sin", (batch, ring, half), "float32", "input"),
        Binding("attend", (batch, ring), "bool", "input"),  # True: that token of the ring is filled
        Binding("write_index", (batch,), "int64", "input"),  # the token of the ring the block begins at
    ]
    if pruned:
        kept = shape.block * kept_tokens(shape)
        made.append(Binding("kept", (batch, kept), "int64", "input"))  # rising tokens of the block
    for layer in range(config.layers):
        cross = (batch, heads, config.text_len, dim)
        made += [
            Binding(f"cross_k.{layer}", cross, "model", "input"),
            Binding(f"cross_v.{layer}", cross, "model", "input"),
        ]
    for layer in range(config.layers):
        kept_in_ring = (batch, heads, ring, dim)
        made += [
            Binding(f"ring_k.{layer}", kept_in_ring, "model", "ring"),
            Binding(f"ring_v.{layer}", kept_in_ring, "model", "ring"),
        ]
    if mask_cache or pruned:
        made += [
            Binding(f"delta.{layer}", (batch, tokens, config.dim), "model", "ring")
            for layer in range(config.layers)
        ]
    made.append(Binding("flow", latent, "model", "output"))  # noise - clean, as the network predicts it
    return tuple(made)
