"""In the place of a text encoder, for networks with random weights: numbers that the words alone decide."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from gpu.checkpoints.needs import need
from gpu.wan.config import WanConfig
from gpu.wan.text_tokens import clean

_STEPS = 1 << 16  # of two bytes


class RandomTextEncoder:
    """The same words give the same rows, on every machine; other words give other rows. It means nothing."""

    def __init__(self, config: WanConfig, seed: int = 0) -> None:
        self._config, self._seed = config, seed

    @property
    def name(self) -> str:
        """For people."""
        return f"random words, seed {self._seed}"

    def encode(self, prompt: str) -> Any:
        """[1, text_len, text_dim] float32 on the CPU: a row a word, one that ends the text, then zeros. Rows
        are uniform, mean 0, variance 1."""
        torch, config = need("torch"), self._config
        words = [*clean(prompt).lower().split()[: config.text_len - 1], ""]
        made = torch.zeros(1, config.text_len, config.text_dim)
        made[0, : len(words)] = torch.from_numpy(np.stack([self._row(word) for word in words]))
        return made

    def close(self) -> None:
        """Nothing is held."""

    def _row(self, word: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        digest = hashlib.shake_128(f"{self._seed}:{word}".encode()).digest(2 * self._config.text_dim)
        steps = np.frombuffer(digest, "<u2").astype(np.float32)
        return (steps / (_STEPS / 2) - 1) * np.float32(3**0.5)
