"""What a full-size model is put together from: network on an engine, autoencoder, text encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from gpu.autoencoder.base import Autoencoder
from gpu.autoencoder.tiny import TinyAutoencoder
from gpu.checkpoints import store
from gpu.checkpoints.load import load_network
from gpu.errors import ModelError
from gpu.models.liveedit_engine import engine_of, float_of, picture_float_of
from gpu.models.liveedit_spec import CONFIGS
from gpu.models.liveedit_text import TextEncoder
from gpu.models.settings import DEFAULT, ModelSettings
from gpu.wan.config import WanConfig
from gpu.wan.engines.base import PassEngine
from gpu.wan.memory import free_bytes
from gpu.wan.network import random_network
from gpu.wan.text import TextEncoder as UMT5
from gpu.wan.text import TextSettings
from gpu.wan.text_umt5 import TextFiles

SEED = 20261129  # of random weights
WAN_DIM = 96  # channels that Wan's own autoencoder begins with
TEXT_ROOM = 2.5  # times the text encoder's size must be free for it to stay on a GPU


@dataclass(frozen=True, slots=True)
class Parts:
    """`condition`: an embedding [1, text_len, text_dim] to each layer's keys and values."""

    engine: PassEngine
    autoencoder: Autoencoder
    text: TextEncoder
    condition: Callable[[Any], Any]
    random: bool = False

    @property
    def on_gpu(self) -> bool:
        return self.engine.device.startswith("cuda")

    @property
    def words(self) -> str:
        """For people, as EditModel.device."""
        return f"{'CUDA' if self.on_gpu else 'CPU'}, {self.engine.name}; {self.autoencoder.name}"

    def close(self) -> None:
        """Let the weights go. Idempotent."""
        self.engine.close()


def trained_parts(name: str, settings: ModelSettings, device: str = "cpu") -> Parts:
    """With the weights of the store (`relens models`). The text encoder stays on a GPU where there is room
    for it beside the streams, else it runs on the CPU.

    Raises ModelError for weights that are missing or unfit, NoMemory where they do not fit."""
    found = store.find(name, settings.models_dir)
    if isinstance(found, store.Missing):
        raise ModelError(found.message)
    files, config = found.parts, CONFIGS[name]
    network = load_network(files["network"], config, float_of(device), device)
    if settings.autoencoder == "wan":
        from gpu.autoencoder.wan import WanAutoencoder

        autoencoder: Autoencoder = WanAutoencoder.load(files["autoencoder"], device, float_of(device))
    else:
        autoencoder = TinyAutoencoder.load(files["tiny_autoencoder"], device, picture_float_of(device))
    engine = engine_of(name, network, settings, device)
    text_files = TextFiles(files["text_encoder"], files["tokenizer"])
    roomy = device.startswith("cuda") and free_bytes(device) > TEXT_ROOM * text_files.weights.stat().st_size
    text = UMT5(text_files, config, TextSettings("gpu" if roomy else "cpu", device))
    text.load()  # or the first instruction would wait for it
    return Parts(engine, autoencoder, text, network.condition)


def best_device() -> str:
    """torch's first GPU, or "cpu"."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def random_parts(name: str, settings: ModelSettings = DEFAULT, device: str = "cpu") -> Parts:
    """All with seeded weights that nobody trained: honest in speed and memory, and in nothing else."""
    config = CONFIGS[name]
    network = random_network(config, SEED, float_of(device))
    if settings.autoencoder == "wan":
        from gpu.autoencoder.wan import WanAutoencoder

        autoencoder: Autoencoder = WanAutoencoder.random(SEED, device, float_of(device), base_dim=WAN_DIM)
    else:
        autoencoder = TinyAutoencoder.random(SEED, device, picture_float_of(device))
    engine = engine_of(name, network, settings, device)
    return Parts(engine, autoencoder, RandomText(config), network.condition, random=True)


class RandomText:
    """In the place of a text encoder: numbers that a prompt alone decides, as large as the real ones'."""

    def __init__(self, config: WanConfig) -> None:
        self._config = config

    def encode(self, prompt: str) -> Any:
        """[1, text_len, text_dim] float32: a row a word, then zeros."""
        config = self._config
        made = torch.zeros(1, config.text_len, config.text_dim)
        for place, word in enumerate(prompt.lower().split()[: config.text_len]):
            seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")
            made[0, place] = torch.randn(config.text_dim, generator=torch.Generator().manual_seed(seed))
        return made
