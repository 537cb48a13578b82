"""What the mask cache saves, and what it costs in accuracy. For benches and tests; knows no clock.

Operations follow from sizes alone. The error hangs on the weights and the pictures: with weights by chance,
or a source by chance, it says that the path works, not how an edit looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gpu.errors import ModelError
from gpu.wan.bindings import kept_tokens
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.cost import flops
from gpu.wan.engines.base import PassEngine
from gpu.wan.importance import importance, kept
from gpu.wan.sampler import Sampler, Sampling
from gpu.wan.transition import Cross, Transition


@dataclass(frozen=True, slots=True)
class MaskError:
    """Of clean latents, against the full computation from the same ring and noise: root mean square of the
    difference over that of what the full computation gives. Means over the blocks."""

    blocks: int
    all: float
    kept: float  # of the tokens that were computed
    reused: float  # of the tokens that took their change from the step before


def flop_share(config: WanConfig, shape: StreamShape, sampling: Sampling) -> float:
    """Operations of a block with the mask cache, over those without; the clean pass is in both."""
    full, pruned = flops(config, shape), flops(config, shape, pruned=True)
    steps = len(sampling.pruned_steps)
    return ((sampling.passes - steps) * full + steps * pruned) / (sampling.passes * full)


@torch.inference_mode()
def mask_error(
    engine: PassEngine, shape: StreamShape, cross: Cross, sources: Sequence[Tensor], seed: int = 0
) -> MaskError:
    """Make every block but the first twice, pruned and in full, and go on from the full one.

    sources: blocks of source latents, [1, C, block, h, w]. Raises ModelError for fewer than two."""
    if len(sources) < 2:
        raise ModelError("the error of the mask cache needs two blocks: the first is always computed in full")
    run = engine.open(shape, mask_cache=True)
    try:
        instruct = Transition(run.tensors, engine.config.layers)
        instruct.check(cross)
        instruct.begin(cross, 0)
        instruct.step()
        sampler = Sampler(run, Sampling(mask_cache=True, seed=seed))
        errors = []
        for block, given in enumerate(sources):
            source = given.to(engine.device, torch.float32)
            sampler.place(block, source)
            chosen = run.tensors["kept"]
            pruned = sampler.sample(block, pruned=True) if block else None
            clean = sampler.sample(block)
            if pruned is not None:
                errors.append(_errors(pruned, clean, chosen))
            sampler.commit(clean)
            chosen.copy_(kept(importance(clean, source), kept_tokens(shape)))
        mean = torch.stack(errors).mean(0).tolist()
        return MaskError(len(errors), *mean)
    finally:
        run.close()


def _errors(pruned: Tensor, full: Tensor, chosen: Tensor) -> Tensor:
    """[3]: over all cells, over those of the chosen tokens, over the others."""
    cells = torch.nn.functional.pixel_unshuffle  # a token's 2 x 2 cells beside each other
    off, size = (cells(x.transpose(1, 2), 2).square().sum(2).flatten(1) for x in (pruned - full, full))
    mask = torch.zeros_like(off, dtype=torch.bool).scatter_(1, chosen, True)
    parts = (torch.ones_like(mask), mask, ~mask)
    return torch.stack([((off * part).sum() / (size * part).sum()).sqrt() for part in parts])
