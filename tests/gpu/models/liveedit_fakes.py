"""The full-size model with small parts: a real network of toy size, an autoencoder that only averages, a text
encoder that hashes; each may be told to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F

from gpu.models.liveedit import LiveEditModel
from gpu.models.liveedit_parts import Parts, RandomText
from gpu.models.settings import ModelSettings
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.engines.base import PassEngine
from gpu.wan.engines.eager import EagerEngine, EagerPass
from gpu.wan.network import random_network

TINY = WanConfig("liveedit-toy", dim=24, layers=1, heads=1, ffn=32, freq_dim=16, text_dim=16, text_len=8)
NETWORK = random_network(TINY, 5, torch.float32)


class Averages:
    """4x8x8 pixels of a colour are one number of a latent; the other channels are empty."""

    name, device = "averages", "cpu"

    def __init__(self) -> None:
        self.opened = 0

    def open(self, width: int, height: int) -> AveragesStream:
        self.opened += 1
        return AveragesStream(width, height)

    def state_bytes(self, width: int, height: int) -> int:
        return 0


class AveragesStream:
    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height

    def encode(self, frames: Any) -> Any:
        means = F.avg_pool3d(frames.transpose(0, 1)[None], (4, 8, 8))
        return F.pad(4 * means - 2, (0, 0, 0, 0, 0, 0, 0, 13))

    def decode(self, latents: Any) -> Any:
        large = F.interpolate((latents[:, :3] + 2) / 4, scale_factor=(4, 8, 8))
        return large[0].transpose(0, 1).clamp(0, 1)

    def close(self) -> None:
        pass


class Engine(EagerEngine):
    """Counts passes; `on_run` may raise."""

    def __init__(self, on_run: Callable[[], None] = lambda: None) -> None:
        super().__init__(NETWORK)
        self.on_run, self.runs = on_run, 0
        self.passes: list[EagerPass] = []

    def open(self, shape: StreamShape, batch: int = 1, mask_cache: bool = False) -> EagerPass:
        made = super().open(shape, batch, mask_cache)
        run = made.run

        def counted(pruned: bool = False) -> None:
            self.runs += 1
            self.on_run()
            run(pruned)

        made.run = counted  # type: ignore[method-assign]
        self.passes.append(made)
        return made


def out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nand more of that")


@contextmanager
def tiny_model(
    engine: PassEngine | None = None, text: Any = None, chunk_frames: int = 4, **more: Any
) -> Iterator[LiveEditModel]:
    parts = Parts(engine or Engine(), Averages(), text or RandomText(TINY), NETWORK.condition, random=True)
    model = LiveEditModel("liveedit-toy", parts, ModelSettings(True, chunk_frames), **more)
    try:
        yield model
    finally:
        model.close()
