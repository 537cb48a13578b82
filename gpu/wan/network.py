"""The causal transformer of the Wan 2.1 family, over the named tensors of bindings.py.

One pass predicts the flow of a block of noisy latents beside their source. It knows neither schedules nor
streams; what it keeps between passes (the ring, the deltas) is given to it and written in place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.wan.attention import RingWriter, SelfAttention, write_ring
from gpu.wan.block import Block, modulated, modulation
from gpu.wan.condition import linear32, sinusoid
from gpu.wan.config import PATCH, WanConfig

FLOAT32 = (
    "time_embedding.",
    "time_projection.",
    "modulation",
)  # parts of parameters that are not made shorter


class Head(nn.Module):
    """Tokens to patches of the flow."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.head = nn.Linear(config.dim, config.latent_channels * PATCH * PATCH)
        self.modulation = nn.Parameter(torch.zeros(1, 2, config.dim))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x: [B, T, dim], time: [B, 1, dim] float32 -> [B, T, 4 * channels]"""
        shift, scale = modulation(self.modulation, time, x.dtype)
        return self.head(modulated(x, shift, scale, self.eps))


class Network(nn.Module):
    """Parameters have the names of Wan's own checkpoints. `write` writes keys and values into the ring; what
    exports the network sets another."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        self.config = config
        self.write: RingWriter = write_ring
        dim = config.dim
        self.patch_embedding = nn.Conv3d(config.in_channels, dim, (1, PATCH, PATCH), (1, PATCH, PATCH))
        self.text_embedding = nn.Sequential(
            nn.Linear(config.text_dim, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, dim * 6))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = Head(config)

    def condition(self, text: Tensor) -> list[tuple[Tensor, Tensor]]:
        """An instruction's keys and values, for each layer [B, heads, text_len, head_dim] twice.

        text: [B, text_len, text_dim], the text encoder's, zero after the text's end."""
        context = self.text_embedding(text.to(self.patch_embedding.weight.dtype))
        return [block.cross_attn.condition(context) for block in self.blocks]

    def forward(self, **tensors: Tensor) -> Tensor:
        """One pass over the tensors of `bindings()`, by their names -> flow, [B, channels, block, H, W].

        Writes ring_k.*, ring_v.* and, where they are given, delta.* in place. With `kept` it is the pruned
        pass: self-attention of those tokens only, the others' change of the last full pass again. Without
        `attend` the whole ring is attended to."""
        return self.step(tensors)["flow"]

    def step(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`forward`, with everything that it wrote by name: flow, and each layer's ring_k, ring_v and delta
        (the very tensors that were given, unless `write` made others)."""
        noisy = tensors["noisy"]
        latents = torch.cat((noisy, tensors["source"]), 1) if self.config.source_channels else noisy
        x = self._patches(latents)
        embedded = linear32(self.time_embedding[0], sinusoid(tensors["timestep"], self.config.freq_dim))
        embedded = linear32(self.time_embedding[2], F.silu(embedded))  # [B, dim]
        time = linear32(self.time_projection[1], F.silu(embedded)).unflatten(1, (6, -1))
        made: dict[str, Tensor] = {}
        for layer, block in enumerate(self.blocks):
            attend = _Layer(tensors, layer, self.write, made)
            x = block(x, time, (tensors[f"cross_k.{layer}"], tensors[f"cross_v.{layer}"]), attend)
        made["flow"] = _unpatched(self.head(x, embedded.unsqueeze(1)), noisy.shape)
        return made

    def _patches(self, latents: Tensor) -> Tensor:
        """[B, C, F, H, W] -> [B, F * H/2 * W/2, dim]. Patches do not overlap: one multiplication."""
        patches = latents.unflatten(-2, (-1, PATCH)).unflatten(-1, (-1, PATCH))  # [B, C, F, h, 2, w, 2]
        tokens = patches.permute(0, 2, 3, 5, 1, 4, 6).flatten(4).flatten(1, 3)
        return F.linear(tokens, self.patch_embedding.weight.flatten(1), self.patch_embedding.bias)


class _Layer:
    """One layer's self-attention in one pass: which tokens, over which ring, and what is remembered of it."""

    def __init__(
        self, tensors: Mapping[str, Tensor], layer: int, write: RingWriter, made: dict[str, Tensor]
    ) -> None:
        self._tensors, self._layer, self._write, self._made = tensors, layer, write, made
        self._kept = tensors.get("kept")

    def __call__(self, attention: SelfAttention, x: Tensor) -> Tensor:
        """x: [B, T, dim] -> [B, T, dim]"""
        tensors, kept = self._tensors, self._kept
        query = (tensors["query_cos"], tensors["query_sin"])
        if kept is not None:
            x = _pick(x, kept)
            query = (_pick(query[0], kept), _pick(query[1], kept))
        key = (tensors["key_cos"], tensors["key_sin"])
        change = attention(x, query, key, tensors.get("attend"), self._store)
        name = f"delta.{self._layer}"
        if kept is not None:  # the kept tokens' fresh changes among the others', which stay
            delta = tensors[name]
            where = kept.unsqueeze(-1).expand(-1, -1, delta.shape[-1])
            change = delta.scatter_(1, where, change)
        elif name in tensors:
            change = tensors[name].copy_(change)
        if name in tensors:
            self._made[name] = change
        return change

    def _store(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        written = []
        for name, update in ((f"ring_k.{self._layer}", keys), (f"ring_v.{self._layer}", values)):
            ring = self._write(self._tensors[name], update, self._tensors["write_index"], self._kept)
            self._made[name] = ring
            written.append(ring)
        return written[0], written[1]


def _pick(x: Tensor, kept: Tensor) -> Tensor:
    """[B, T, C], [B, K] -> [B, K, C]"""
    return x.gather(1, kept.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def _unpatched(tokens: Tensor, shape: torch.Size) -> Tensor:
    """[B, F * H/2 * W/2, 4 * C] -> `shape`, [B, C, F, H, W]"""
    batch, channels, latents, high, wide = shape
    patches = tokens.view(batch, latents, high // PATCH, wide // PATCH, PATCH, PATCH, channels)
    return patches.permute(0, 6, 1, 2, 4, 3, 5).reshape(shape)


def cast(network: Network, dtype: torch.dtype) -> Network:
    """Weights to `dtype`, in place; those of timestep and modulation become float32, as in Wan. Weights of
    one byte (FP8) stay: they mean nothing without their scales."""
    for name, parameter in network.named_parameters():
        if parameter.element_size() == 1:
            continue
        kept = any(part in name for part in FLOAT32)
        parameter.data = parameter.data.to(torch.float32 if kept else dtype)
    return network


def random_network(
    config: WanConfig, seed: int = 0, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Network:
    """Weights by chance, of a size that activations keep theirs: for tests and benches, they edit nothing.

    The same for the same seed and device."""
    with torch.device("meta"):
        network = Network(config)
    network.to_empty(device=device)
    generator = torch.Generator(device).manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("modulation"):
                parameter.normal_(0, config.dim**-0.5, generator=generator)
            elif parameter.ndim > 1:
                parameter.normal_(0, math.prod(parameter.shape[1:]) ** -0.5, generator=generator)
            elif "norm" in name and name.endswith("weight"):
                parameter.normal_(1, 0.1, generator=generator)
            else:
                parameter.normal_(0, 0.02, generator=generator)
    return cast(network, dtype).requires_grad_(False).eval()
