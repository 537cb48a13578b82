"""One layer of the transformer: self-attention over the ring, the instruction, and the feed-forward part.

Every latent of a block has the same timestep, so that a layer's modulation is six vectors a stream.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.wan.attention import CrossAttention, SelfAttention
from gpu.wan.config import WanConfig

Attend = Callable[[SelfAttention, Tensor], Tensor]  # one layer's self-attention of [B, T, dim], over its ring


def modulated(x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    """Normalise each token, then scale and shift: x [B, T, dim], shift and scale [B, 1, dim]."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=eps), scale)


class Block(nn.Module):
    """A layer, its parameters by the names of Wan's checkpoints."""

    def __init__(self, config: WanConfig) -> None:
        super().__init__()
        dim, eps = config.dim, config.eps
        self.eps = eps
        self.norm3 = nn.LayerNorm(dim, eps=eps)  # before cross attention; norm1 and norm2 have no weights
        self.self_attn = SelfAttention(dim, config.heads, eps)
        self.cross_attn = CrossAttention(dim, config.heads, eps)
        self.ffn = nn.Sequential(
            nn.Linear(dim, config.ffn), nn.GELU(approximate="tanh"), nn.Linear(config.ffn, dim)
        )
        self.modulation = nn.Parameter(torch.zeros(1, 6, dim))

    def forward(self, x: Tensor, time: Tensor, cross: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """x: [B, T, dim]; time: [B, 6, dim] float32, the timestep's part of the modulation; cross: the
        instruction's keys and values -> [B, T, dim]. `attend` gives the self-attention's change of every
        token, calculated or remembered."""
        # Summed in float32, then used in the type of the activations, as the causal students were trained.
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = modulation(self.modulation, time, x.dtype)
        x = torch.addcmul(x, attend(self.self_attn, modulated(x, shift, scale, self.eps)), gate)
        x = x + self.cross_attn(self.norm3(x), *cross)
        return torch.addcmul(x, self.ffn(modulated(x, ffn_shift, ffn_scale, self.eps)), ffn_gate)


def modulation(own: Tensor, time: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """A layer's vectors and the timestep's, [1, n, dim] and [B, n, dim] or [B, 1, dim] -> n of [B, 1, dim].
    They come as shift, scale, gate, shift, scale, gate, or as shift, scale: 1 is added to the scales."""
    parts = list((own.float() + time).chunk(own.shape[1], 1))
    for index in range(1, len(parts), 3):
        parts[index] = parts[index] + 1
    return tuple(part.to(dtype) for part in parts)
