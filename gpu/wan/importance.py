"""Where an edit changes the picture: which tokens a pruned pass computes. Knows no network and no stream.

After LiveEdit's mask cache: what the block before changed most, the next block will change too, so that the
choice is made before the block begins and costs no latency. Nothing here waits for the device.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.errors import ModelError
from gpu.wan.config import PATCH

EPS = 1e-8  # in the denominator of the scaling (LiveEdit)


def importance(edited: Tensor, source: Tensor) -> Tensor:
    """How much each token was changed, 0..1 over a block.

    edited, source: [B, C, block, h, w], clean latents -> [B, block, tokens] float32, tokens by rows. The mean
    over channels, and over the token's 2 x 2 cells, of (edited - source)^2, min-max scaled. The scaling
    changes no choice; it makes blocks comparable to people."""
    if edited.shape != source.shape:
        raise ModelError(
            f"edited latents {tuple(edited.shape)} and their source {tuple(source.shape)} differ"
        )
    change = (edited.float() - source.float()).square().mean(1)  # [B, block, h, w]
    tokens = F.avg_pool2d(change, PATCH).flatten(2)
    low, high = (bound(tokens, dim=(1, 2), keepdim=True) for bound in (torch.amin, torch.amax))
    return (tokens - low) / (high - low + EPS)


def kept(scores: Tensor, count: int) -> Tensor:
    """The `count` most important tokens of each latent, as `kept` of bindings.py wants them.

    scores: [B, block, tokens] -> [B, block * count] int64, tokens of the block, rising. Of equal ones the
    first is kept, on every device: a plain top-k may choose any. Always as many, unlike a threshold's.

    The next block's first latent takes its tokens from this block's first, and so on (LiveEdit)."""
    tokens = scores.shape[-1]
    if not 1 <= count <= tokens:
        raise ModelError(f"{count} tokens kept of a latent of {tokens}: 1 to {tokens}")
    best = scores.argsort(dim=-1, descending=True, stable=True)[..., :count]
    best = best.sort(dim=-1).values
    first = torch.arange(scores.shape[1], device=scores.device).unsqueeze(-1) * tokens
    return (best + first).flatten(1)
