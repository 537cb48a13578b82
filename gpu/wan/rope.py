"""Rotary positions of the Wan family: a head's pairs are turned by a latent's time, row and column.

Real numbers only (complex ones neither export to ONNX nor exist in bf16). `fill` writes what a block's passes
need to know of positions into their tensors; it does not know who runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gpu.wan.config import StreamShape
from gpu.wan.ring import EMPTY, Ring, RingPlace

THETA = 10_000.0  # Wan 2.1, rope_params


def pairs(head_dim: int) -> tuple[int, int, int]:
    """Pairs of a head that turn with time, rows and columns: 22, 21, 21 of a head of 128 (Wan 2.1: of d
    channels d - 4(d//6), 2(d//6) and 2(d//6))."""
    space = head_dim // 6
    return head_dim // 2 - 2 * space, space, space


def angles(positions: Sequence[int], count: int) -> Tensor:
    """How far each of `count` pairs is turned at each position -> [positions, count] float64, radians."""
    frequencies = THETA ** (-torch.arange(count, dtype=torch.float64) / count)
    return torch.outer(torch.tensor(positions, dtype=torch.float64), frequencies)


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn neighbouring channels by pairs. heads: [B, N, T, D]; cos, sin: [B, T, D/2] float32 -> [B, N, T, D]
    in heads' own type, calculated in float32."""
    even, odd = heads.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1)
    return turned.flatten(-2).to(heads.dtype)


def tables(positions: Sequence[int], shape: StreamShape, head_dim: int) -> tuple[Tensor, Tensor]:
    """cos and sin of every token of latents at `positions`, each [latents * latent_tokens, head_dim/2]
    float32. An EMPTY position is taken as 0: its tokens are masked."""
    cos = torch.empty(len(positions) * shape.latent_tokens, head_dim // 2)
    sin = torch.empty_like(cos)
    _write(cos, sin, positions, shape)
    return cos, sin


def fill(tensors: Mapping[str, Tensor], ring: Ring, block_index: int, entry: int | None = None) -> RingPlace:
    """Make a pass's tensors ready for a block: query_*, key_*, attend and write_index are written.

    `entry`: of the batch, only this one; None: all, alike. Once a block is enough, its passes share them.
    Returns the block's place. Raises ModelError for a negative block."""
    place = ring.place(block_index)
    fill_place(tensors, place, ring.shape, entry)
    return place


def fill_place(
    tensors: Mapping[str, Tensor], place: RingPlace, shape: StreamShape, entry: int | None = None
) -> None:
    """`fill` for a place that need not be the ring's own, as when past blocks are replayed."""
    entries = range(tensors["attend"].shape[0]) if entry is None else (entry,)
    filled = _sent(torch.tensor([latent != EMPTY for latent in place.latents]), tensors["attend"])
    for one in entries:
        _write(tensors["query_cos"][one], tensors["query_sin"][one], place.query_positions, shape)
        _write(tensors["key_cos"][one], tensors["key_sin"][one], place.positions, shape)
        attend = tensors["attend"][one]
        attend.unflatten(0, (len(filled), -1)).copy_(filled[:, None])
        tensors["write_index"][one].fill_(place.write_index)


def _write(cos: Tensor, sin: Tensor, positions: Sequence[int], shape: StreamShape) -> None:
    """The tables into tensors that lie somewhere already, [T, half]. Three small tables travel to the device,
    and are spread there: a whole one is megabytes."""
    rows, cols = shape.grid
    half = cos.shape[-1]
    time, row, col = pairs(2 * half)
    turns = (
        angles([max(0, position) for position in positions], time)[:, None, None],
        angles(range(rows), row)[None, :, None],
        angles(range(cols), col)[None, None],
    )
    for into, function in ((cos, torch.cos), (sin, torch.sin)):
        grid = into.view(len(positions), rows, cols, half)
        for part, turn in zip(grid.split((time, row, col), -1), turns, strict=True):
            part.copy_(_sent(function(turn).to(torch.float32), into))


def _sent(small: Tensor, beside: Tensor) -> Tensor:
    """A tensor of the host on the device of another. On CUDA it is queued: from memory that is not
    page-locked, torch would wait until all that was queued before is done."""
    return small.pin_memory().to(beside.device, non_blocking=True) if beside.is_cuda else small
