"""The network written down once more, as plainly as can be: complex rotations in float64, softmax by hand,
every latent's keys and values kept for good in a list. No ring, no mask of slots, no named tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.wan.network import Network

Kept = list[tuple[Tensor, Tensor]]  # keys and values of each latent, [N, tokens, D]


def turned(heads: Tensor, latents: Sequence[int], grid: tuple[int, int]) -> Tensor:
    """heads: [N, len(latents) * rows * columns, D]"""
    pairs = heads.shape[-1] // 2
    space = heads.shape[-1] // 6
    turns = []
    for latent in latents:
        for row in range(grid[0]):
            for col in range(grid[1]):
                turn: list[float] = []
                for position, count in ((latent, pairs - 2 * space), (row, space), (col, space)):
                    turn += [position / 10000 ** (index / count) for index in range(count)]
                turns.append(turn)
    angle = torch.tensor(turns, dtype=torch.float64)
    numbers = torch.view_as_complex(heads.double().unflatten(-1, (pairs, 2)).contiguous())
    return torch.view_as_real(numbers * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def attended(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """[N, T, D] each, float64; mask [T, T'] -> [T, N * D]"""
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return (scores.softmax(-1) @ v).transpose(0, 1).flatten(1)


@dataclass
class Naive:
    """One stream in float64. Its whole past is remembered; `sink` and `window` latents are looked at."""

    network: Network
    text: Tensor  # [text_len, text_dim]
    sink: int
    window: int
    kept: list[Kept] = field(default_factory=list)  # by layer

    def __post_init__(self) -> None:
        self._weights = {name: weight.double() for name, weight in self.network.state_dict().items()}
        self.kept = [[] for _ in self.network.blocks]

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"].flatten(1), self._weights[f"{name}.bias"])

    def _rms(self, name: str, x: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * self._weights[f"{name}.weight"]

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.network.config.heads, -1)).transpose(0, 1)

    @staticmethod
    def _norm(x: Tensor) -> Tensor:
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()

    def run(
        self, noisy: Tensor, source: Tensor, timestep: float, first: int, mask: Tensor | None = None
    ) -> Tensor:
        """Latents [C, F, H, W] from the stream's latent `first` on; they are remembered. mask: [F, F] bool,
        which latent sees which, when nothing is older -> flow [C, F, H, W]"""
        count, rows, cols = noisy.shape[1], noisy.shape[2] // 2, noisy.shape[3] // 2
        grid, tokens, dim = (rows, cols), rows * cols, self.network.config.dim
        both = torch.cat((noisy, source)).double()
        patches = [
            both[:, f, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].flatten()
            for f in range(count)
            for y in range(rows)
            for x in range(cols)
        ]
        x = self._linear("patch_embedding", torch.stack(patches))
        half = self.network.config.freq_dim // 2
        wave = torch.tensor([timestep / 10000 ** (i / half) for i in range(half)], dtype=torch.float64)
        time = self._linear("time_embedding.0", torch.cat((wave.cos(), wave.sin())))
        time = self._linear("time_embedding.2", F.silu(time))
        six = self._linear("time_projection.1", F.silu(time)).view(6, dim)
        text = self._linear("text_embedding.0", self.text.double())
        text = self._linear("text_embedding.2", F.gelu(text, approximate="tanh"))
        end = first + count
        seen = [n for n in range(end) if n < self.sink or n >= end - self.window]
        places = {n: index for index, n in enumerate(seen)}
        full = None if mask is None else mask.repeat_interleave(tokens, 0).repeat_interleave(tokens, 1)
        for layer, kept in enumerate(self.kept):
            name = f"blocks.{layer}"
            part = self._weights[f"{name}.modulation"][0] + six
            y = self._norm(x) * (1 + part[1]) + part[0]
            q = self._heads(self._rms(f"{name}.self_attn.norm_q", self._linear(f"{name}.self_attn.q", y)))
            k = self._heads(self._rms(f"{name}.self_attn.norm_k", self._linear(f"{name}.self_attn.k", y)))
            v = self._heads(self._linear(f"{name}.self_attn.v", y))
            del kept[first:]
            kept += zip(k.split(tokens, 1), v.split(tokens, 1), strict=True)
            keys = turned(torch.cat([kept[n][0] for n in seen], 1), [places[n] for n in seen], grid)
            q = turned(q, [places[n] for n in range(first, end)], grid)
            y = attended(q, keys, torch.cat([kept[n][1] for n in seen], 1), full)
            x = x + self._linear(f"{name}.self_attn.o", y) * part[2]
            y = self._norm(x) * self._weights[f"{name}.norm3.weight"] + self._weights[f"{name}.norm3.bias"]
            q = self._heads(self._rms(f"{name}.cross_attn.norm_q", self._linear(f"{name}.cross_attn.q", y)))
            k = self._heads(
                self._rms(f"{name}.cross_attn.norm_k", self._linear(f"{name}.cross_attn.k", text))
            )
            v = self._heads(self._linear(f"{name}.cross_attn.v", text))
            x = x + self._linear(f"{name}.cross_attn.o", attended(q, k, v))
            y = self._linear(f"{name}.ffn.0", self._norm(x) * (1 + part[4]) + part[3])
            x = x + self._linear(f"{name}.ffn.2", F.gelu(y, approximate="tanh")) * part[5]
        shift, scale = self._weights["head.modulation"][0] + time
        x = self._linear("head.head", self._norm(x) * (1 + scale) + shift)
        flow = torch.empty_like(noisy)
        for index, token in enumerate(x.float()):
            f, y0, x0 = index // tokens, 2 * (index % tokens // cols), 2 * (index % cols)
            flow[:, f, y0 : y0 + 2, x0 : x0 + 2] = token.view(2, 2, -1).permute(2, 0, 1)
        return flow
