"""TAEHV's encoder and decoder as steps: what a stream remembers goes in and comes out beside the pictures.

Same weights as `taew2_1` (madebyollin/taehv, MIT), computed in another order. A step holds no state and no
shape of it changes: `forward(x, *state) -> (y, *state)`. So it can be recorded in a CUDA graph (copy the
new state over the old) or exported. Knows no pixel ranges but 0..1, and no streams.

The encoder was trained so that group k of four pictures, f[4k] to f[4k+3], gives Wan's latent of f[4k-3] to
f[4k] (madebyollin/seraena, TAEHV_Training_Example: the target is Wan's own latents of the same clip). It may
look three pictures ahead, and where a clip ends upstream repeats the last picture instead. A live stream ends
at every latent: a step takes the group before with its true pictures, for what is remembered, and the new one
as its first picture four times over, for the latent. Both go through as one batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gpu.autoencoder.base import FRAMES, LATENT_CHANNELS, STRIDE
from gpu.autoencoder.tiny_blocks import Clamp, MemBlock, TGrow, TPool, conv, upsample

WIDTH = 64  # channels throughout the encoder
WIDTHS = (256, 128, 64)  # channels of the decoder's three levels, from the latent up
GROWTH = (1, 2, 2)  # pictures that each level's TGrow makes of one


class StateTensor(NamedTuple):
    """One tensor that a step takes and gives back. Zeros when a stream begins."""

    name: str
    shape: tuple[int, ...]


class Encoder(nn.Sequential):
    """Pictures to latents. The layers are numbered as in the checkpoint."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [conv(3, WIDTH), nn.ReLU(inplace=True)]
        for pooled in (2, 2, 1):
            layers += [TPool(WIDTH, pooled), conv(WIDTH, WIDTH, stride=2, bias=False)]
            layers += [MemBlock(WIDTH) for _ in range(3)]
        super().__init__(*layers, conv(WIDTH, LATENT_CHANNELS))

    @staticmethod
    def state(batch: int, width: int, height: int) -> tuple[StateTensor, ...]:
        """What a step remembers: whether it has begun, the last picture, each MemBlock's last input."""
        made = [StateTensor("started", (batch,)), StateTensor("last", (batch, 3, height, width))]
        for level in range(1, 4):
            made += [
                StateTensor(
                    f"memory_{3 * level - 3 + index}", (batch, WIDTH, height >> level, width >> level)
                )
                for index in range(3)
            ]
        return tuple(made)

    def forward(self, frames: Tensor, started: Tensor, last: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """frames [B, 4L, 3, H, W] in 0..1 to latents [B, L, 16, H/8, W/8], then the state.

        Frame 4k+3 is Wan's f[4k] (base.py): the first group begins with the last frame of the step before."""
        batch, count = frames.shape[0], frames.shape[1] // FRAMES
        # The group before the first does not exist: nothing of it may be remembered.
        real = torch.cat([started[:, None], torch.ones_like(started)[:, None].expand(-1, count - 1)], 1)
        real = real[:, :, None, None, None, None] > 0.5
        sight = torch.cat([last[:, None], frames], 1)  # [B, 4L+1, 3, H, W]
        x = self[1](self[0](sight.flatten(0, 1))).unflatten(0, (batch, -1))
        pairs = x[:, :-1].unflatten(1, (count, 2, 2)).flatten(3, 4)  # [B, L, 2, 2C, H, W]
        twice = x[:, FRAMES::FRAMES].repeat(1, 1, 2, 1, 1)[:, :, None]  # the copies are pooled once
        x = self[3](self[2](torch.cat([pairs, twice], 2).flatten(0, 2))).unflatten(0, (batch, count, 3))
        # [B, L, group (the one before, the copies), pictures of a group, C, H, W] from here on
        x = torch.stack([x[:, :, :2], x[:, :, 2:].expand(-1, -1, 2, -1, -1, -1)], 2)
        kept: list[Tensor] = []
        for level in range(3):
            first = 4 + 5 * level
            if level:
                pooled = x.flatten(3, 4) if level == 1 else x.squeeze(3)
                pooled = self[first - 1](self[first - 2](pooled.flatten(0, 2)))
                x = pooled.unflatten(0, (batch, count, 2))[:, :, :, None]
            for index in range(3):
                x, remembered = _remember(self[first + index], x, memory[3 * level + index], real)
                kept.append(remembered)
        latents = self[17](x[:, :, 1, 0].flatten(0, 1)).unflatten(0, (batch, count))
        return latents, _begun(started), frames[:, -1].clone(), *kept


def _remember(block: nn.Module, x: Tensor, memory: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """A MemBlock over both kinds of groups: copies follow the group before them, which follows its own kind.

    x [B, L, 2, R, C, H, W]; returns its like, and the last picture that later groups follow."""
    batch, count, _, pictures = x.shape[:4]
    before = torch.where(real, x[:, :, 0], torch.zeros((), dtype=x.dtype, device=x.device))
    line = before.flatten(1, 2)  # [B, L*R, C, H, W]
    past = torch.cat([memory[:, None], line[:, :-1]], 1).unflatten(1, (count, pictures))
    past_of_copies = torch.cat([before[:, :, -1:], x[:, :, 1, :-1]], 2)
    y = block(x.flatten(0, 3), torch.stack([past, past_of_copies], 2).flatten(0, 3))
    return y.unflatten(0, (batch, count, 2, pictures)), line[:, -1].clone()


def _begun(started: Tensor) -> Tensor:
    """Ones, as something computed: engines dislike outputs that are constants."""
    return (started + 1).clamp(max=1)


class Decoder(nn.Sequential):
    """Latents to pictures. The layers are numbered as in the checkpoint."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [Clamp(), conv(LATENT_CHANNELS, WIDTHS[0]), nn.ReLU(inplace=True)]
        for inputs, outputs, grown in zip(WIDTHS, (*WIDTHS[1:], WIDTHS[-1]), GROWTH, strict=True):
            layers += [MemBlock(inputs) for _ in range(3)]
            layers += [nn.Identity(), TGrow(inputs, grown), conv(inputs, outputs, bias=False)]
        super().__init__(*layers, nn.ReLU(inplace=True), conv(WIDTHS[-1], 3))

    @staticmethod
    def state(batch: int, width: int, height: int) -> tuple[StateTensor, ...]:
        """What a step remembers: whether it has begun, and each MemBlock's last input."""
        made = [StateTensor("started", (batch,))]
        for level, channels in enumerate(WIDTHS):
            shape = (batch, channels, (height // STRIDE) << level, (width // STRIDE) << level)
            made += [StateTensor(f"memory_{3 * level + index}", shape) for index in range(3)]
        return tuple(made)

    def forward(self, latents: Tensor, started: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """latents [B, L, 16, H/8, W/8] to frames [B, 4L, 3, H, W] in 0..1, then the state.

        Of a stream's first latent only the last of four pictures is one (taehv.py, frames_to_trim): all four
        show it."""
        batch = latents.shape[0]
        x = self[2](self[1](self[0](latents.flatten(0, 1)))).unflatten(0, (batch, -1))  # [B, T, C, H, W]
        kept: list[Tensor] = []
        for level in range(3):
            first = 3 + 6 * level
            for index in range(3):
                past = torch.cat([memory[3 * level + index][:, None], x[:, :-1]], 1)
                kept.append(x[:, -1].clone())
                x = self[first + index](x.flatten(0, 1), past.flatten(0, 1)).unflatten(0, (batch, -1))
            # The checkpoint doubles pixels first; a 1x1 convolution before that gives the same for a quarter.
            x = self[first + 5](upsample(self[first + 4](x.flatten(0, 1)))).unflatten(0, (batch, -1))
        frames = self[22](self[21](x.flatten(0, 1))).clamp(0, 1).unflatten(0, (batch, -1))
        begun = started[:, None, None, None, None] > 0.5
        head = torch.where(begun, frames[:, :FRAMES], frames[:, FRAMES - 1 : FRAMES])
        return torch.cat([head, frames[:, FRAMES:]], 1), _begun(started), *kept


class TinyNetwork(nn.Module):
    """Both, under the names of the checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
