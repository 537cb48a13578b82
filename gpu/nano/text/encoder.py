"""The teacher of meaning: all-MiniLM-L6-v2 (Apache-2.0) run in plain torch. Needs torch; training only.

Reads the published weights file itself, so that neither `transformers` nor `sentence-transformers` is needed.
Knows nothing of edits.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

SIZE = 384  # of an embedding
_LAYERS, _HEADS = 6, 12
_MAX_PIECES = 64
_WORD = re.compile(r"\w+|[^\w\s]")


class Encoder:
    """Sentences to unit vectors [n, 384]. `folder` holds `model.safetensors` and `vocab.txt`."""

    def __init__(self, folder: Path) -> None:
        self._w = _tensors(folder / "model.safetensors")
        lines = (folder / "vocab.txt").read_text("utf-8").splitlines()
        self.vocabulary = {piece: row for row, piece in enumerate(lines)}

    @torch.no_grad()
    def embed(self, sentences: list[str], batch: int = 128) -> NDArray[np.float32]:
        """Unit vectors [n, 384] float32, in the order given."""
        pieces = [self._pieces(sentence) for sentence in sentences]
        order = sorted(range(len(pieces)), key=lambda at: len(pieces[at]))
        found = np.zeros((len(pieces), SIZE), np.float32)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            found[rows] = self._encode([pieces[row] for row in rows]).float().numpy()
        return found

    def _pieces(self, sentence: str) -> list[int]:
        text = unicodedata.normalize("NFD", sentence.lower())
        text = "".join(char for char in text if unicodedata.category(char) != "Mn")
        known = self.vocabulary
        rows = [known["[CLS]"]]
        for word in _WORD.findall(text):
            found: list[int] = []
            at = 0
            while at < len(word):
                end, lead = len(word), "##" if at else ""
                while end > at and lead + word[at:end] not in known:
                    end -= 1
                if end == at:
                    found = [known["[UNK]"]]
                    break
                found.append(known[lead + word[at:end]])
                at = end
            rows += found
        return [*rows[: _MAX_PIECES - 1], known["[SEP]"]]

    def _encode(self, pieces: list[list[int]]) -> torch.Tensor:
        longest = max(map(len, pieces))
        rows = torch.tensor([one + [0] * (longest - len(one)) for one in pieces])
        real = torch.tensor([[1.0] * len(one) + [0.0] * (longest - len(one)) for one in pieces])
        w = self._w
        x = w["embeddings.word_embeddings.weight"][rows]
        x = x + w["embeddings.position_embeddings.weight"][:longest]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        mask = (1 - real)[:, None, None, :] * -1e4
        for layer in range(_LAYERS):
            x = self._layer(x, mask.to(x.dtype), f"encoder.layer.{layer}.")
        pooled = (x.float() * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return F.normalize(pooled, dim=1)

    def _layer(self, x: torch.Tensor, mask: torch.Tensor, name: str) -> torch.Tensor:
        count, length, size = x.shape

        def heads(part: str) -> torch.Tensor:
            y = self._linear(x, f"{name}attention.self.{part}")
            return y.view(count, length, _HEADS, size // _HEADS).transpose(1, 2)

        seen = F.scaled_dot_product_attention(heads("query"), heads("key"), heads("value"), attn_mask=mask)
        seen = seen.transpose(1, 2).reshape(count, length, size)
        x = x + self._linear(seen, f"{name}attention.output.dense")
        x = self._norm(x, f"{name}attention.output.LayerNorm")
        y = self._linear(F.gelu(self._linear(x, f"{name}intermediate.dense")), f"{name}output.dense")
        return self._norm(x + y, f"{name}output.LayerNorm")

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, self._w[f"{name}.weight"], self._w[f"{name}.bias"])

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (SIZE,), self._w[f"{name}.weight"], self._w[f"{name}.bias"], 1e-12)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    """The float32 tensors of a safetensors file: a length, a JSON header, then raw little-endian data."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:start])
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (start + at for at in entry["data_offsets"])
            array = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
            found[name] = torch.from_numpy(array.copy()).bfloat16()
    return found
