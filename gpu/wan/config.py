"""What a network is and what one stream of it is: sizes only, from which every shape and cost follows."""

from __future__ import annotations

from dataclasses import dataclass

from gpu.errors import ModelError

VAE_STRIDE = (4, 8, 8)  # pictures a latent, pixels a latent's row and column (Wan 2.1's autoencoder)
PATCH = 2  # latent rows and columns a token (patch embedding 1 x 2 x 2)
CELL = VAE_STRIDE[1] * PATCH  # a canvas is a multiple of this, in pixels


@dataclass(frozen=True, slots=True)
class WanConfig:
    """The network of a checkpoint. Defaults: Wan2.1-T2V-1.3B's config.json, and the 16 channels of the source
    that LiveEdit joins to the noisy latent."""

    name: str = "liveedit-1.3b"
    dim: int = 1536
    layers: int = 30
    heads: int = 12
    ffn: int = 8960
    freq_dim: int = 256
    text_dim: int = 4096
    text_len: int = 512
    latent_channels: int = 16  # also the channels of what it predicts
    source_channels: int = 16  # 0: a network that makes video from text alone
    eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def in_channels(self) -> int:
        return self.latent_channels + self.source_channels


LIVEEDIT_1_3B = WanConfig()
# The same network small enough for two CPU cores; there are no trained weights of it.
TOY = WanConfig("liveedit-toy", dim=96, layers=2, heads=4, ffn=256, freq_dim=64, text_dim=64, text_len=32)


@dataclass(frozen=True, slots=True)
class StreamShape:
    """One stream's canvas and cache. Widths and heights in pixels, the rest counted in latents.

    The ring holds `sink` latents that stay and a window of `window` that rolls; the block being made is part
    of the window. Raises ModelError for sizes that do not fit each other."""

    width: int = 832
    height: int = 480
    block: int = 3  # latents that are made together: 1 or 3
    sink: int = 3
    window: int = 9

    def __post_init__(self) -> None:
        if self.width % CELL or self.height % CELL or min(self.width, self.height) < CELL:
            raise ModelError(f"a canvas of {self.width}x{self.height}: both must be multiples of {CELL}")
        if self.block < 1 or self.window < self.block or self.sink < 0:
            raise ModelError(f"a block of {self.block} latents needs a window of as many, not {self.window}")
        if self.window % self.block or self.sink % self.block:  # a block is written to the ring in one piece
            raise ModelError(
                f"sink {self.sink} and window {self.window} must be multiples of the block, {self.block}"
            )

    @property
    def frames_per_chunk(self) -> int:
        """Pictures that a block is made of."""
        return self.block * VAE_STRIDE[0]

    @property
    def latent_size(self) -> tuple[int, int]:
        """(rows, columns) of a latent."""
        return self.height // VAE_STRIDE[1], self.width // VAE_STRIDE[2]

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of tokens in a latent."""
        return self.height // CELL, self.width // CELL

    @property
    def latent_tokens(self) -> int:
        """Tokens of one latent: 1560 at 832x480."""
        return self.grid[0] * self.grid[1]

    @property
    def block_tokens(self) -> int:
        return self.block * self.latent_tokens

    @property
    def ring(self) -> int:
        """Latents the ring holds."""
        return self.sink + self.window

    @property
    def ring_tokens(self) -> int:
        return self.ring * self.latent_tokens
