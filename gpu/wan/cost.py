"""What a network costs, from its sizes alone: parameters, and operations a pass. No torch here."""

from __future__ import annotations

from gpu.wan.bindings import kept_tokens
from gpu.wan.config import PATCH, StreamShape, WanConfig


def parameters(config: WanConfig) -> int:
    """Numbers in the weights: 1.42e9 for LiveEdit-1.3B."""
    dim, ffn = config.dim, config.ffn
    patch = PATCH * PATCH
    attention = 4 * _linear(dim, dim) + 2 * dim  # q, k, v, o; norm_q, norm_k
    layer = 2 * attention + _linear(dim, ffn) + _linear(ffn, dim) + 2 * dim + 6 * dim  # norm3, modulation
    text = _linear(config.text_dim, dim) + _linear(dim, dim)
    time = _linear(config.freq_dim, dim) + _linear(dim, dim) + _linear(dim, 6 * dim)
    head = _linear(dim, config.latent_channels * patch) + 2 * dim
    return _linear(config.in_channels * patch, dim) + text + time + config.layers * layer + head


def large_weights(config: WanConfig) -> int:
    """Of these, the weights of the blocks' large layers: all that engines/fp8.py has in 8 bits."""
    return config.layers * (6 * config.dim * config.dim + 2 * config.dim * config.ffn)


def flops(config: WanConfig, shape: StreamShape, pruned: bool = False) -> int:
    """Operations of one pass for one stream, a multiplication with its addition counted as two.

    Matrix products and attention only, over the whole ring whether filled or not, as the engines compute it;
    an instruction's keys and values are made once and not counted (`condition_flops`). `pruned`: the pass
    that computes the self-attention of the kept tokens only."""
    dim, tokens = config.dim, shape.block_tokens
    computed = shape.block * kept_tokens(shape) if pruned else tokens
    patch = PATCH * PATCH
    self_attention = 4 * computed * dim * dim + 2 * computed * shape.ring_tokens * dim
    cross_attention = 2 * tokens * dim * dim + 2 * tokens * config.text_len * dim
    layer = self_attention + cross_attention + 2 * tokens * dim * config.ffn
    ends = tokens * dim * patch * (config.in_channels + config.latent_channels)
    time = config.freq_dim * dim + dim * dim + 6 * dim * dim
    return 2 * (config.layers * layer + ends + time)


def condition_flops(config: WanConfig) -> int:
    """Operations of `Network.condition` for one instruction."""
    dim, tokens = config.dim, config.text_len
    text = tokens * (config.text_dim * dim + dim * dim)
    return 2 * (text + config.layers * 2 * tokens * dim * dim)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs
