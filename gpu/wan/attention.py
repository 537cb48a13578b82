"""Attention over the ring and over the instruction. Knows heads and tokens, not blocks or pictures.

Keys enter the ring normalised but un-rotated, and are rotated whenever they are used: a latent's position in
the window changes with its age. Heads come before tokens, [B, N, T, D], as engines want them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.wan.rope import rotate

# (ring [B, N, R, D], update [B, N, U, D], write_index [B], kept [B, U] or None) -> the ring as written.
RingWriter = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def ring_tokens(tokens: int, write_index: Tensor, kept: Tensor | None) -> Tensor:
    """Tokens of the ring that an update of `tokens` is written to, [B, tokens] int64: all from `write_index`
    on, or, of the block that begins there, those in `kept`."""
    if kept is None:
        kept = torch.arange(tokens, device=write_index.device).unsqueeze(0)
    return write_index.unsqueeze(1) + kept


def write_ring(ring: Tensor, update: Tensor, write_index: Tensor, kept: Tensor | None = None) -> Tensor:
    """Write a block's keys or values into the ring, in place, without a look at the index on the host.

    ring: [B, N, R, D]; update: [B, N, U, D]; write_index: [B] int64, the token of the ring at which the block
    begins; kept: [B, U] int64, the tokens of the block that `update` holds, or None: all. Returns `ring`.
    What exports the network puts its own form in place of this (`Network.write`)."""
    places = ring_tokens(update.shape[2], write_index, kept)
    entries = torch.arange(ring.shape[0], device=ring.device).unsqueeze(1)
    # One write for the batch, on the ring itself: of a write through a view, torch.compile copies the ring.
    ring[entries, :, places] = update.transpose(1, 2)
    return ring


class RmsNorm(nn.Module):
    """Root mean square over all heads together. [..., dim] -> the same."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class _Projections(nn.Module):
    """The parameters that both kinds of attention have, by the names of Wan's checkpoints."""

    def __init__(self, dim: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)
        self.norm_q = RmsNorm(dim, eps)
        self.norm_k = RmsNorm(dim, eps)

    def split(self, x: Tensor) -> Tensor:
        """[B, T, dim] -> [B, N, T, D], a view."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def merge(self, x: Tensor) -> Tensor:
        """[B, N, T, D] -> through the last projection -> [B, T, dim]"""
        return self.o(x.transpose(1, 2).flatten(2))


class SelfAttention(_Projections):
    """A block of tokens over the whole ring, itself included."""

    def forward(
        self,
        x: Tensor,
        query: tuple[Tensor, Tensor],
        key: tuple[Tensor, Tensor],
        attend: Tensor | None,
        store: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    ) -> Tensor:
        """x: [B, T, dim]; query: cos and sin of x's tokens, [B, T, D/2] each; key: of the ring's,
        [B, R, D/2]; attend: [B, R] bool, or None: the ring is full. `store` takes the tokens' keys and
        values, [B, N, T, D], and gives the ring's with them written, [B, N, R, D]. -> [B, T, dim]"""
        ring_k, ring_v = store(self.split(self.norm_k(self.k(x))), self.split(self.v(x)))
        q = rotate(self.split(self.norm_q(self.q(x))), *query)
        mask = None if attend is None else attend[:, None, None]
        return self.merge(F.scaled_dot_product_attention(q, rotate(ring_k, *key), ring_v, attn_mask=mask))


class CrossAttention(_Projections):
    """A block of tokens over the instruction's."""

    def condition(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """An instruction's keys and values. context: [B, text_len, dim] -> [B, N, text_len, D] each."""
        keys, values = self.split(self.norm_k(self.k(context))), self.split(self.v(context))
        return keys.contiguous(), values.contiguous()

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """x: [B, T, dim]; keys, values: [B, N, text_len, D] -> [B, T, dim]. Nothing is masked: Wan attends to
        the padding of its texts too (their embeddings are zero before text_embedding, not after)."""
        q = self.split(self.norm_q(self.q(x)))
        return self.merge(F.scaled_dot_product_attention(q, keys, values))
