"""What a stream through Wan 2.1's autoencoder remembers, from its sizes alone. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gpu.autoencoder.base import LATENT_CHANNELS

BASE_DIM = 96  # Wan2.1_VAE.pth
_WIDER = (1, 2, 4, 4)  # channels of each level, in base dims (Wan2.1, wan/modules/vae.py)
_BLOCKS = 2  # residual blocks a level, one more where it decodes
_CACHED = 2  # pictures that a causal convolution of three remembers
Way = Literal["encode", "decode"]
# Numbers for each pixel that live at once at a step's dearest point, counted as in cost.py; bfloat16, where
# upsampling turns to float32 for a moment.
_WORKING: dict[Way, int] = {"encode": 2906, "decode": 4677}


def wan_state_bytes(width: int, height: int, float_bytes: int, base_dim: int = BASE_DIM) -> int:
    """Bytes of every causal convolution's last pictures, both ways."""
    cached = [*_encoder(base_dim), *_decoder(base_dim)]
    return float_bytes * sum(
        pictures * channels * (width // shrink) * (height // shrink) for channels, shrink, pictures in cached
    )


def wan_working_bytes(way: Way, width: int, height: int, float_bytes: int) -> int:
    """The most that a step of one latent makes and holds at once, what it remembers anew included.

    2.3 GB and 3.7 GB at 832x480 in bfloat16, for Wan's own width."""
    return _WORKING[way] * width * height * float_bytes


def _encoder(base_dim: int) -> Iterator[tuple[int, int, int]]:
    """(channels, a picture's size divided by, pictures) of every one that remembers."""
    yield 3, 1, _CACHED
    inputs = base_dim
    for level, wider in enumerate(_WIDER):
        outputs, shrink = wider * base_dim, 1 << level
        for _ in range(_BLOCKS):
            yield inputs, shrink, _CACHED
            yield outputs, shrink, _CACHED
            inputs = outputs
        if level in (1, 2):  # halves time behind the halving of rows and columns, over strides of two
            yield outputs, 2 * shrink, 1
    yield from [(inputs, shrink, _CACHED)] * 5  # two blocks in the middle, and the last convolution


def _decoder(base_dim: int) -> Iterator[tuple[int, int, int]]:
    yield LATENT_CHANNELS, 8, _CACHED
    inputs = _WIDER[-1] * base_dim
    yield from [(inputs, 8, _CACHED)] * 4
    for level, wider in enumerate(reversed(_WIDER)):
        outputs, shrink = wider * base_dim, 8 >> level
        for _ in range(_BLOCKS + 1):
            yield inputs, shrink, _CACHED
            yield outputs, shrink, _CACHED
            inputs = outputs
        if level in (0, 1):  # doubles time before the doubling of rows and columns
            yield outputs, shrink, _CACHED
        inputs = outputs // 2
    yield base_dim, 1, _CACHED
