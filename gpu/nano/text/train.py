"""Trains the text tower: `python -m gpu.nano.text.train` writes weights/text.npz. Needs torch.

Two runs: a short one on five sixths of the ways of saying, to set the temperature on the sixth it never saw,
so that confidence is honest on unseen phrasings; then the one that ships, on all, which leaves checkpoints.
With `--meaning` (made by `gpu.nano.text.meaning`) common words start where a sentence encoder puts them. A
run can go on from another (`--start`, whose temperature stays), and runs that started together can be
averaged (`--average`).
"""

from __future__ import annotations

import argparse
import math
import pickle
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from gpu.nano.text.features import word_rows
from gpu.nano.text.network import Net, batch_of
from gpu.nano.text.sentences import Writer
from gpu.nano.text.tower import WEIGHTS
from gpu.nano.text.truth import SOURCE_TARGET, TARGETS, Sentence

BATCH = 256
_CHECKING = 1 / 3  # share of the time that the run which finds the temperature may take
_WARM_UP = 0.06  # share of a run in which the learning rate grows
_KNOWN_WORDS = 9000
_KNOWN_SIZE = 0.2  # standard deviation of what a known word starts with


def targets_of(sentences: list[Sentence]) -> tuple[torch.Tensor, ...]:
    """Presence [B, targets]; slots [B, T], -1 for padding; and of each target there is [P]: sentence, target,
    level, region (-1 of the source)."""
    present = torch.zeros(len(sentences), TARGETS)
    longest = max(len(one.words) for one in sentences)
    pairs = []
    for i, one in enumerate(sentences):
        for target, level in one.targets.items():
            present[i, target] = 1
            pairs.append((i, target, level, one.regions[target] if target != SOURCE_TARGET else -1))
    slots = torch.tensor([[*one.slots, *[-1] * (longest - len(one.slots))] for one in sentences])
    return present, slots, *torch.tensor(pairs).T


@torch.no_grad()
def know_words(net: Net, path: Path, count: int) -> None:
    """Start the rows of the `count` commonest words where the sentence encoder puts these words."""
    with np.load(path, allow_pickle=False) as file:
        words = [str(word) for word in file["words"][:count]]
        vectors = file["vectors"][:count].astype(np.float32)
    vectors -= vectors.mean(0)
    axes = np.linalg.eigh(vectors.T @ vectors)[1][:, ::-1][:, : net.table.shape[1]]
    known = vectors @ axes
    known *= _KNOWN_SIZE / known.std()
    for word, vector in reversed(
        list(zip(words, known, strict=True))
    ):  # the commonest word keeps a shared row
        net.table[word_rows(word)[0]] = torch.from_numpy(vector)


def train(
    keep: str, steps: int, minutes: float, options: argparse.Namespace, temperature: float = 1.0
) -> Net:
    """The network after `steps` or `minutes`, whichever comes first; what learns from "all" is saved."""
    seed = options.seed
    torch.manual_seed(seed)
    writer, rng = Writer(seed, keep), random.Random(seed + 1)
    net = Net()
    if options.start:
        net.load_state_dict(started(options.start)[0])
    elif options.meaning:
        know_words(net, options.meaning, _KNOWN_WORDS)
    optimizer = torch.optim.AdamW(net.parameters(), lr=options.rate, weight_decay=1e-3)
    begun = time.monotonic()
    totals = np.zeros(4)
    batches: list[list[Sentence]] = []
    for step in range(1, steps + 1):
        if not batches:  # of sentences about as long as each other: there is less padding to compute
            many = sorted((writer.write() for _ in range(8 * BATCH)), key=lambda one: len(one.words))
            batches = [many[at : at + BATCH] for at in range(0, len(many), BATCH)] * 2
            rng.shuffle(batches)
        sentences = batches.pop()
        present, wanted_slots, texts, targets, wanted_levels, wanted_regions = targets_of(sentences)
        with torch.autocast("cpu", torch.bfloat16):  # twice as fast on a CPU that has it
            batch = batch_of([one.words for one in sentences], rng)
            logits, slots, levels, regions = net(batch, texts, targets)
        losses = [
            F.binary_cross_entropy_with_logits(logits, present * 0.98 + 0.001) * TARGETS,
            F.cross_entropy(levels.float(), wanted_levels),
            F.cross_entropy(regions.float(), wanted_regions, ignore_index=-1),
            F.cross_entropy(slots.flatten(0, 1).float(), wanted_slots.flatten(), ignore_index=-1) * 5,
        ]
        done = max(step / steps, (time.monotonic() - begun) / (60 * minutes))
        if done > 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(done / _WARM_UP, (1 + math.cos(math.pi * done)) / 2)
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        totals += [loss.item() for loss in losses]
        if step % 200 == 0:
            print(f"{keep} step {step}/{steps} losses {(totals / 200).round(4)}", file=sys.stderr, flush=True)
            totals[:] = 0
            if keep == "all":
                save(net, temperature, options.save)
    if keep == "all":
        save(net, temperature, options.save)
    return net.eval()


def save(net: Net, temperature: float, path: Path | None) -> None:
    """A checkpoint to start from, whole or not at all; none without a path."""
    if path is None:
        return
    partial = path.with_suffix(".tmp")
    torch.save({"model": net.state_dict(), "temperature": temperature}, partial)
    partial.replace(path)


def started(path: Path) -> tuple[dict[str, Any], float]:
    """Of a checkpoint: the network's state, and its temperature. Raises SystemExit where it is none."""
    try:
        kept = torch.load(path, weights_only=True)
        return kept["model"], float(kept["temperature"])
    except (OSError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as exc:
        raise SystemExit(f"{path} is no checkpoint of the text tower ({exc}): start without it") from exc


@torch.no_grad()
def calibrate(net: Net, seed: int) -> tuple[float, float]:
    """The temperature with the least log loss on ways `net` never saw, and the share read exactly right."""
    writer = Writer(seed, "check")
    sentences = [writer.write() for _ in range(4000)]
    present, _, texts, targets, _, wanted_regions = targets_of(sentences)
    logits, _, _, regions = net(batch_of([one.words for one in sentences], None), texts, targets)
    right = ((logits > 0) == (present > 0.5)).all(1)
    placed = right.clone()
    placed[texts[(regions.argmax(1) != wanted_regions) & (wanted_regions >= 0)]] = False
    print(f"edits right {right.double().mean():.1%}, edits and regions {placed.double().mean():.1%}")
    grid = [step / 20 for step in range(14, 120)]
    losses = {t: F.binary_cross_entropy_with_logits(logits / t, present).item() for t in grid}
    return min(losses, key=losses.__getitem__), placed.double().mean().item()


def write_weights(net: Net, temperature: float, path: Path) -> None:
    weights: dict[str, Any] = {
        name: value.detach().numpy().astype(np.float16) for name, value in net.export().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **weights, temperature=np.float32(temperature))
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def average(files: list[Path], temperature: float, path: Path) -> None:
    """Write the mean of weights that went on from the same ones: it reads better than each."""
    many = [np.load(file, allow_pickle=False) for file in files]
    mean: dict[str, Any] = {
        name: np.mean([one[name].astype(np.float32) for one in many], 0).astype(np.float16)
        for name in many[0].files
    }
    np.savez_compressed(path, **mean | {"temperature": np.float32(temperature)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, help="skip the run that finds it")
    parser.add_argument("--meaning", type=Path, help="common words and their vectors")
    parser.add_argument("--only-check", action="store_true", help="only the run that finds the temperature")
    parser.add_argument("--start", type=Path, help="checkpoint to go on from")
    parser.add_argument("--minutes", type=float, default=math.inf, help="most that it may take")
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--save", type=Path, help="checkpoint")
    parser.add_argument("--average", type=Path, nargs="+", help="no training: weights to take the mean of")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    if options.average:
        average(options.average, options.temperature or 1.0, options.out)
        return
    torch.set_num_threads(1)  # the sum's order, and so the weights, must not depend on the machine's cores
    temperature, minutes = options.temperature, options.minutes
    if temperature is None and options.start:
        temperature = started(options.start)[1]  # it has seen all ways: none is left to check with
    if temperature is None:
        net = train("learn", options.steps // 2, minutes * _CHECKING, options)
        minutes *= 1 - _CHECKING
        temperature, right = calibrate(net, options.seed + 2)
        print(f"unseen ways of saying: {right:.1%} exactly right, temperature {temperature}")
    if not options.only_check:
        net = train("all", options.steps, minutes, options, temperature)
        write_weights(net, temperature, options.out)


if __name__ == "__main__":
    main()
