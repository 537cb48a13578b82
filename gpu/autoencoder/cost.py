"""What the tiny autoencoder costs, from its layers alone: parameters, operations, bytes. No torch here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gpu.autoencoder.base import LATENT_CHANNELS, STRIDE

Part = Literal["encoder", "decoder"]


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution, and how much of it one latent takes."""

    inputs: int
    outputs: int
    kernel: int  # pixels a side
    shrink: int  # what it makes has a picture's rows and columns divided by this
    pictures: int  # that it makes a latent
    bias: bool = True

    @property
    def parameters(self) -> int:
        return self.outputs * (self.inputs * self.kernel**2 + self.bias)

    def flops(self, width: int, height: int) -> int:
        made = self.pictures * (width // self.shrink) * (height // self.shrink)
        return 2 * made * self.outputs * self.inputs * self.kernel**2


def layers(part: Part) -> Iterator[Layer]:
    """Every convolution of it, in order, as a step of one latent computes it (tiny_network.py)."""
    yield from _encoder() if part == "encoder" else _decoder()


def _encoder() -> Iterator[Layer]:
    yield Layer(3, 64, 3, 1, 5)  # the last picture of the step before, and four
    for shrink, folded, pictures, made in ((2, 2, 4, 3), (4, 2, 2, 2), (8, 1, 2, 2)):
        yield Layer(64 * folded, 64, 1, shrink // 2, made, bias=False)
        yield Layer(64, 64, 3, shrink, made, bias=False)
        for _ in range(3):
            yield from _mem_block(64, shrink, pictures)
    yield Layer(64, LATENT_CHANNELS, 3, STRIDE, 1)


def _decoder() -> Iterator[Layer]:
    yield Layer(LATENT_CHANNELS, 256, 3, STRIDE, 1)
    for channels, below, shrink, grown, pictures in (
        (256, 128, 8, 1, 1),
        (128, 64, 4, 2, 1),
        (64, 64, 2, 2, 2),
    ):
        for _ in range(3):
            yield from _mem_block(channels, shrink, pictures)
        yield Layer(channels, channels * grown, 1, shrink, pictures, bias=False)
        yield Layer(channels, below, 3, shrink // 2, pictures * grown, bias=False)
    yield Layer(64, 3, 3, 1, 4)


def _mem_block(channels: int, shrink: int, pictures: int) -> Iterator[Layer]:
    yield Layer(2 * channels, channels, 3, shrink, pictures)
    yield Layer(channels, channels, 3, shrink, pictures)
    yield Layer(channels, channels, 3, shrink, pictures)


def tiny_parameters(part: Part) -> int:
    """Numbers in its weights: 1.47 million in the encoder, 9.84 in the decoder."""
    return sum(layer.parameters for layer in layers(part))


def tiny_flops(part: Part, width: int, height: int) -> int:
    """Operations for one latent, four pictures; a multiplication with its addition counts as two.

    At 832x480: 0.47e12 in the encoder, 0.53e12 in the decoder."""
    return sum(layer.flops(width, height) for layer in layers(part))


def tiny_state_bytes(width: int, height: int, float_bytes: int) -> int:
    """What one stream remembers of both ways: a picture, and each MemBlock's last input."""
    pixels = width * height
    encoder = 3 * pixels + sum(3 * 64 * pixels // shrink**2 for shrink in (2, 4, 8))
    decoder = sum(3 * channels * pixels // shrink**2 for channels, shrink in ((256, 8), (128, 4), (64, 2)))
    return (encoder + decoder + 2) * float_bytes


# Numbers for each pixel that live at once at a step's dearest point, as tests/gpu/autoencoder/test_ae_cost.py
# counts them: all that a step makes.
_WORKING: dict[Part, int] = {"encoder": 1043, "decoder": 745}


def tiny_working_bytes(part: Part, width: int, height: int, float_bytes: int) -> int:
    """The most that a step of one latent holds for a moment: 832 MB and 595 MB at 832x480 in float16."""
    return _WORKING[part] * width * height * float_bytes
