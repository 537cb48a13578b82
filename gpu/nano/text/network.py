"""The text tower's network in torch, for training: `gpu.nano.text.tower` runs the same in numpy."""

from __future__ import annotations

import random
from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

from gpu.nano.edits import REGIONS
from gpu.nano.text.features import BUCKETS, word_rows
from gpu.nano.text.tower import DILATIONS, WIDTH
from gpu.nano.text.truth import LEVELS, SLOTS, TARGETS

EMBED = 48
CHANNELS = 80

_rows = cache(word_rows.__wrapped__)


class Net(nn.Module):
    """The names of the parameters that `export` gives are those in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(BUCKETS, EMBED) * 0.1)
        self.input = nn.Linear(EMBED, CHANNELS)
        self.convs = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, WIDTH, padding=WIDTH // 2 * d, dilation=d) for d in DILATIONS
        )
        self.all = nn.Linear(CHANNELS, CHANNELS)
        self.score = nn.Linear(CHANNELS, TARGETS)
        self.heard = nn.Linear(CHANNELS, CHANNELS)
        self.level = nn.Linear(CHANNELS, len(LEVELS))
        self.region = nn.Linear(CHANNELS, len(REGIONS))
        self.slot = nn.Linear(CHANNELS, len(SLOTS))
        nn.init.constant_(self.score.bias, -4.0)

    def trunk(self, batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Words [B, T, C] that have looked around, which are real [B, T, 1], and their maximum [B, 1, C]."""
        rows, bags, starts, words = batch
        vectors = self.table[rows] + F.embedding_bag(bags, self.table, starts, mode="mean")
        vectors = F.dropout(vectors, 0.15, self.training)
        real = (words >= 0).unsqueeze(-1)
        x = torch.relu(self.input(vectors))[words.clamp(min=0)] * real
        for conv in self.convs:
            x = (x + torch.relu(conv(x.transpose(1, 2)).transpose(1, 2))) * real
        x = F.dropout(x, 0.1, self.training)
        return x, real, x.masked_fill(~real, -1e4).max(1, keepdim=True).values

    def forward(
        self, batch: tuple[torch.Tensor, ...], texts: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Logits [B, targets] and slots [B, T, slots]; levels [P, levels] and regions [P, 3] only of the
        pairs (text, target) [P] that are asked for: of the others there is nothing to learn."""
        x, real, pooled = self.trunk(batch)
        x = x + torch.relu(self.all(pooled))
        s = self.score(x).masked_fill(~real, -1e4)
        listens = torch.softmax(s[texts, :, targets].float(), 1).unsqueeze(1).to(x.dtype)  # [P, 1, T]
        heard = torch.relu(self.heard((listens @ x[texts])[:, 0]))
        return torch.logsumexp(s.float(), 1), self.slot(x), self.level(heard), self.region(heard)

    def export(self) -> dict[str, torch.Tensor]:
        layers: dict[str, nn.Module] = {"in": self.input, "all": self.all, "score": self.score}
        layers |= {"heard": self.heard, "level": self.level, "region": self.region, "slot": self.slot}
        layers |= {f"conv{i}": conv for i, conv in enumerate(self.convs)}
        tensors: dict[str, torch.Tensor] = {"table": self.table}
        for name, layer in layers.items():
            tensors |= {f"{name}.{key}": value for key, value in layer.named_parameters()}
        return tensors


def batch_of(texts: list[tuple[str, ...]], rng: random.Random | None) -> tuple[torch.Tensor, ...]:
    """Whole-word rows [V], pieces and where they start, and words [B, T] into V with -1 for padding.

    With `rng`, some words lose their own row, so that their pieces alone must do."""
    known: dict[str, int] = {}
    cut = [[known.setdefault(word, len(known)) for word in text] for text in texts]
    rows: list[int] = []
    bags: list[int] = []
    starts: list[int] = []
    for word in known:
        whole, pieces = _rows(word)
        rows.append(rng.randrange(1, BUCKETS) if rng and rng.random() < 0.15 else whole)
        starts.append(len(bags))
        bags.extend(pieces)
    longest = max(map(len, cut))
    words = torch.tensor([one + [-1] * (longest - len(one)) for one in cut])
    return torch.tensor(rows), torch.tensor(bags), torch.tensor(starts), words
