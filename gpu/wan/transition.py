"""From one instruction to the next over some blocks: the keys and values of the cross attention are blended.

Blended are keys and values, not text embeddings: that is what a stream is handed, and it costs a few
element-wise operations a block instead of every layer's projections. Values are mixed linearly. Keys come out
of a norm, and a mix of two is shorter than either, which would flatten the attention in the middle of the
way: a token's mixed key gets the mixed length back, as the norm would have given it had the embeddings been
mixed. The shares are even, rise with every block and end at exactly the new instruction's own tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gpu.errors import ModelError

Cross = Sequence[tuple[Tensor, Tensor]]  # a layer's keys and values, each [1, heads, text_len, head_dim]


def blend(old: tuple[Tensor, Tensor], new: tuple[Tensor, Tensor], share: float) -> tuple[Tensor, Tensor]:
    """Keys and values with `share` (0..1) of the new; calculated in float32, in the type of the new.

    Keys, values: [B, heads, text_len, head_dim]. A key's length is that over all heads, as Wan's norm's."""
    old_k, new_k = old[0].float(), new[0].float()
    keys = torch.lerp(old_k, new_k, share)
    length = torch.lerp(_length(old_k), _length(new_k), share)
    # Opposite keys have no direction between them: theirs stays short instead of becoming chance.
    keys = keys * (length / _length(keys).clamp_min(1e-3 * length.clamp_min(1e-12)))
    values = torch.lerp(old[1].float(), new[1].float(), share)
    return keys.to(new[0].dtype), values.to(new[1].dtype)


def _length(keys: Tensor) -> Tensor:
    return keys.square().sum((1, 3), keepdim=True).sqrt()


class Transition:
    """What is in a pass's cross_k.* and cross_v.*, block by block. Both ends are held while it lasts only."""

    def __init__(self, tensors: Mapping[str, Tensor], layers: int) -> None:
        self._own = [(tensors[f"cross_k.{layer}"], tensors[f"cross_v.{layer}"]) for layer in range(layers)]
        self._old: list[tuple[Tensor, Tensor]] | None = None
        self._new: list[tuple[Tensor, Tensor]] | None = None
        self._blocks = self._done = 0

    @property
    def share(self) -> float:
        """Of the newest instruction, in what the tensors hold: above 0, up to 1."""
        return self._done / self._blocks if self._new is not None else 1.0

    @property
    def running(self) -> bool:
        return self._new is not None

    def check(self, cross: Cross) -> None:
        """Raises ModelError for conditioning of another network than this pass's."""
        if len(cross) != len(self._own):
            raise ModelError(f"conditioning of {len(cross)} layers for a network of {len(self._own)}")
        for layer, (given, own) in enumerate(zip(cross, self._own, strict=True)):
            for name, one, wanted in zip(("keys", "values"), given, own, strict=True):
                if one.shape != wanted.shape:
                    raise ModelError(
                        f"{name} of layer {layer} are {tuple(one.shape)}, not {tuple(wanted.shape)}:"
                        " make them with this network's condition() from one text"
                    )

    def begin(self, cross: Cross, blocks: int) -> None:
        """Towards `cross` over `blocks` blocks, from whatever the tensors hold now, a blend too. Nothing is
        written before `step`. The tensors of `cross` must not change until it is over."""
        self._new, self._blocks, self._done = list(cross), max(1, blocks), 0
        self._old = [(keys.clone(), values.clone()) for keys, values in self._own] if blocks > 1 else None

    def step(self) -> bool:
        """Write the next block's share. True if the new instruction is alone from here on. Only while
        `running`."""
        assert self._new is not None
        self._done += 1
        arrived = self._done == self._blocks
        for layer, (new, own) in enumerate(zip(self._new, self._own, strict=True)):
            written = new if arrived or self._old is None else blend(self._old[layer], new, self.share)
            for into, one in zip(own, written, strict=True):
                into.copy_(one, non_blocking=True)
        if arrived:
            self._new = self._old = None
        return arrived
