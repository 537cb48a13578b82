"""Trains the text tower: `python -m gpu.nano.text_train` writes weights/text.npz. Needs torch.

Two runs: a short one on five sixths of the ways of saying, to set the temperature on the sixth it never saw,
so that confidence is honest on unseen phrasings; then the one that ships, on all. Same seed, same weights.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gpu.nano.text import DILATIONS, WEIGHTS, WIDTH
from gpu.nano.text_features import BUCKETS, split, word_rows
from gpu.nano.text_sentences import TARGETS, Sentence, Writer

EMBED = 32
CHANNELS = 64
LEVELS = 7
BATCH = 256


class Net(nn.Module):
    """The network `gpu.nano.text` runs in numpy; the names of the parameters are those in the file."""

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
        self.level = nn.Linear(CHANNELS, LEVELS)
        nn.init.constant_(self.score.bias, -4.0)

    def forward(
        self, rows: torch.Tensor, bags: torch.Tensor, starts: torch.Tensor, words: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """rows [V] whole-word rows, bags/starts their pieces, words [B, T] into V with -1 for padding.

        Returns logits [B, targets] and levels [B, targets, levels]."""
        vectors = self.table[rows] + F.embedding_bag(bags, self.table, starts, mode="mean")
        vectors = F.dropout(vectors, 0.15, self.training)
        real = (words >= 0).unsqueeze(-1)
        x = torch.relu(self.input(vectors))[words.clamp(min=0)] * real
        for conv in self.convs:
            x = (x + torch.relu(conv(x.transpose(1, 2)).transpose(1, 2))) * real
        x = F.dropout(x, 0.1, self.training)
        x = x + torch.relu(self.all(x.masked_fill(~real, -1e4).max(1, keepdim=True).values))
        s = self.score(x).masked_fill(~real, -1e4)
        heard = torch.softmax(s, 1).transpose(1, 2) @ (x * real)
        return torch.logsumexp(s, 1), self.level(torch.relu(self.heard(heard)))

    def export(self) -> dict[str, torch.Tensor]:
        layers: dict[str, nn.Module] = {"in": self.input, "all": self.all, "score": self.score}
        layers |= {"heard": self.heard, "level": self.level}
        layers |= {f"conv{i}": conv for i, conv in enumerate(self.convs)}
        tensors: dict[str, torch.Tensor] = {"table": self.table}
        for name, layer in layers.items():
            tensors |= {f"{name}.{key}": value for key, value in layer.named_parameters()}
        return tensors


def batch_of(sentences: list[Sentence], rng: random.Random | None) -> tuple[torch.Tensor, ...]:
    """Rows, pieces and word indices of a batch. With `rng`, some words lose their own row."""
    known: dict[str, int] = {}
    texts = [split(one.prompt).words or ("?",) for one in sentences]
    cut = [[known.setdefault(word, len(known)) for word in text] for text in texts]
    rows: list[int] = []
    bags: list[int] = []
    starts: list[int] = []
    for word in known:
        whole, pieces = word_rows(word)
        rows.append(rng.randrange(1, BUCKETS) if rng and rng.random() < 0.3 else whole)
        starts.append(len(bags))
        bags.extend(pieces)
    longest = max(map(len, cut))
    words = torch.tensor([one + [-1] * (longest - len(one)) for one in cut])
    return torch.tensor(rows), torch.tensor(bags), torch.tensor(starts), words


def targets_of(sentences: list[Sentence]) -> tuple[torch.Tensor, torch.Tensor]:
    """Presence [B, targets] and levels [B, targets], -1 where absent."""
    present = torch.zeros(len(sentences), TARGETS)
    levels = torch.full((len(sentences), TARGETS), -1)
    for i, one in enumerate(sentences):
        for target, level in one.targets.items():
            present[i, target] = 1
            levels[i, target] = level
    return present, levels


def train(keep: str, steps: int, seed: int) -> Net:
    torch.manual_seed(seed)
    writer, rng = Writer(seed, keep), random.Random(seed + 1)
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    total = 0.0
    batches: list[list[Sentence]] = []
    for step in range(1, steps + 1):
        if not batches:  # of sentences about as long as each other: there is less padding to compute
            many = sorted((writer.write() for _ in range(4 * BATCH)), key=lambda one: one.prompt.count(" "))
            batches = [many[at : at + BATCH] for at in range(0, len(many), BATCH)]
            rng.shuffle(batches)
        sentences = batches.pop()
        logits, levels = net(*batch_of(sentences, rng))
        present, wanted = targets_of(sentences)
        loss = F.binary_cross_entropy_with_logits(logits, present * 0.98 + 0.001) * TARGETS
        loss = loss + F.cross_entropy(levels.flatten(0, 1), wanted.flatten(), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % 200 == 0:
            print(f"{keep} step {step}/{steps} loss {total / 200:.4f}", file=sys.stderr, flush=True)
            total = 0.0
    return net.eval()


@torch.no_grad()
def calibrate(net: Net, seed: int) -> tuple[float, float]:
    """The temperature with the least log loss on ways `net` never saw, and the share read exactly right."""
    writer = Writer(seed, "check")
    sentences = [writer.write() for _ in range(4000)]
    logits, _ = net(*batch_of(sentences, None))
    present, _ = targets_of(sentences)
    right = ((logits > 0) == (present > 0.5)).all(1).double().mean().item()
    grid = [step / 20 for step in range(14, 120)]
    losses = {t: F.binary_cross_entropy_with_logits(logits / t, present).item() for t in grid}
    return min(losses, key=losses.__getitem__), right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, help="skip the run that finds it")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the sum's order, and so the weights, must not depend on the machine's cores
    temperature = options.temperature
    if temperature is None:
        temperature, right = calibrate(train("learn", options.steps // 2, options.seed), options.seed + 2)
        print(f"unseen ways of saying: {right:.1%} exactly right, temperature {temperature}")
    net = train("all", options.steps, options.seed).export()
    weights: dict[str, Any] = {name: value.detach().numpy().astype(np.float16) for name, value in net.items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **weights, temperature=np.float32(temperature))
    print(f"{options.out}: {options.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
