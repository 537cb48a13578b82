"""Instructions to embeddings, by UMT5: what conditions the network. Knows no network and no stream.

The encoder of the full-size model has 5.7 billion weights, far more than the network. It may stay on the GPU,
run on the CPU, or be there only while it encodes; what it made is kept either way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from gpu.checkpoints.fault import unusable
from gpu.checkpoints.needs import need
from gpu.errors import ModelError, NoMemory
from gpu.wan.config import WanConfig
from gpu.wan.text_cache import EmbeddingCache
from gpu.wan.text_tokens import Tokenizer, clean
from gpu.wan.text_umt5 import TextFiles, load_encoder

Keep = Literal["gpu", "cpu", "free"]
_ELSEWHERE = 'keep the text encoder on the CPU, or free it after encoding (keep "cpu" or "free")'
TURN_S = 300.0  # the longest wait for another's encoding: weights from a slow disk, on a CPU


@dataclass(frozen=True, slots=True)
class TextSettings:
    """`keep`: "gpu": on `device` all the time. "cpu": in memory, mapped from the file where its type is
    `dtype`, and runs there. "free": on `device` while it encodes, then gone; loaded again when needed.

    `dtype`: "bfloat16" or "float32"; float16 overflows in T5. `cache_bytes`: of embeddings that are kept."""

    keep: Keep = "cpu"
    device: str = "cpu"
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    cache_bytes: int = 64 << 20  # some 400 instructions of 20 tokens


class TextEncoder:
    """Any thread; one encoding at a time, while what is in the cache comes at once."""

    def __init__(
        self,
        files: TextFiles,
        config: WanConfig,
        settings: TextSettings = TextSettings(),
    ) -> None:
        """`config`: of the network that takes the embeddings. Weights are read at the first encoding, or by
        `load`. Raises ModelError when files are missing or the tokenizer is none, naming how to get them."""
        files.check(config.name)
        self._files, self._config, self._settings = files, config, settings
        self._tokenizer = Tokenizer(files.tokenizer, config.name)
        self._cache = EmbeddingCache(settings.cache_bytes)
        self._turn = threading.Lock()
        self._encoder: Any = None
        self._closed = False

    @property
    def name(self) -> str:
        """For people: "UMT5, bfloat16, cuda:0"."""
        return f"UMT5, {self._settings.dtype}, {self._device}"

    @property
    def loaded(self) -> bool:
        """Whether the weights are there now."""
        return self._encoder is not None

    def load(self) -> None:
        """Read the weights now, unless they are not kept. Raises what `encode` raises."""
        with self._my_turn():
            if self._settings.keep != "free":
                self._ready()

    def encode(self, prompt: str) -> Any:
        """[1, text_len, text_dim] float32 on the CPU, zero behind the text's end; the caller's own.

        Raises ModelError for weights that cannot be used, when closed, and when others' encodings took
        `TURN_S`; NoMemory when the device is full."""
        text = clean(prompt)
        rows = self._cache.get(text)
        if rows is None:
            with self._my_turn():
                rows = self._cache.get(text)  # somebody else's, meanwhile
                if rows is None:
                    rows = self._encode(text)
                    self._cache.put(text, rows)
        made = need("torch").zeros(1, self._config.text_len, self._config.text_dim)
        made[0, : len(rows)] = rows
        return made

    def close(self) -> None:
        """Let weights and embeddings go; waits for an encoding that runs. Idempotent."""
        self._closed = True
        self._cache.clear()
        if self._turn.acquire(timeout=TURN_S):
            try:
                self._free()
            finally:
                self._turn.release()

    @property
    def _device(self) -> str:
        return "cpu" if self._settings.keep == "cpu" else self._settings.device

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=TURN_S):
            raise ModelError(f"the text encoder was busy for {TURN_S:.0f} s: send the instruction again")
        try:
            if self._closed:
                raise ModelError("this model is closed: open another session")
            yield
        finally:
            self._turn.release()

    def _encode(self, text: str) -> Any:
        """Rows of the text's tokens, [n, text_dim] in the encoder's type, on the CPU."""
        torch = need("torch")
        ids = self._tokenizer.ids(text, self._config.text_len)
        encoder = self._ready()
        try:
            with torch.inference_mode():
                # Padding would be masked, and its rows zeroed: without it the numbers are the same.
                given = torch.tensor([ids], device=self._device)
                rows = encoder(given).last_hidden_state[0].to("cpu", copy=True)
        except torch.OutOfMemoryError as exc:
            self._free()
            raise NoMemory(f"{self._device} has no memory left to encode: {_ELSEWHERE}") from exc
        finally:
            if self._settings.keep == "free":
                self._free()
        if not bool(torch.isfinite(rows).all()):
            why = "gives numbers that are none: the file is damaged"
            raise unusable(self._files.weights, why, self._config.name)
        return rows

    def _ready(self) -> Any:
        if self._encoder is None:
            torch, name = need("torch"), self._config.name
            dtype = getattr(torch, self._settings.dtype)
            try:
                encoder = load_encoder(self._files.weights, name, dtype, self._device)
            except NoMemory as exc:
                raise NoMemory(f"the text encoder does not fit: {exc}. {_ELSEWHERE}") from exc
            width, words = encoder.config.d_model, encoder.config.vocab_size
            if width != self._config.text_dim:
                why = f"makes {width} numbers a token, where the network takes {self._config.text_dim}"
                raise unusable(self._files.weights, why, name)
            if self._tokenizer.size > words:
                why = f"knows {self._tokenizer.size} tokens, the text encoder {words}: not of one model"
                raise unusable(self._files.tokenizer, why, name)
            self._encoder = encoder
        return self._encoder

    def _free(self) -> None:
        if self._encoder is not None:
            self._encoder = None
            if self._device.startswith("cuda"):
                need("torch").cuda.empty_cache()
