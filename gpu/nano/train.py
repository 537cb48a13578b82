"""`python -m gpu.nano.train --data DIR --out DIR --minutes N [--resume]`: distil the teachers into `nano`.

Two phases. First the editor on single frames; then, with the editor frozen, the cache's share on unrolls of
moving noisy frames. Seeds are fixed, but a run is bounded by time, so two runs are alike and not equal.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import queue
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from gpu.nano.contact import contact_sheet
from gpu.nano.data import HELD_OUT_EVERY, U8, Sample, batches, build_pool
from gpu.nano.network import Core, moved

SEED = 20_261
SIZE = 128  # side of a training crop in luma pixels
BATCH = 8
CLIP_BATCH, CLIP_FRAMES = 4, 6
EMA = 0.998


def pyramid_loss(new: Tensor, target: Tensor) -> Tensor:
    """L1 at four scales."""
    loss = (new - target).abs().mean()
    for _ in range(3):
        new, target = F.avg_pool2d(new, 2), F.avg_pool2d(target, 2)
        loss = loss + 0.5 * (new - target).abs().mean()
    return loss


def texture_loss(new: Tensor, target: Tensor) -> Tensor:
    """Gradients where they are, and as much fine energy in every neighbourhood: keeps lines from fading."""
    loss = (new.diff(dim=-1) - target.diff(dim=-1)).abs().mean()
    loss = loss + (new.diff(dim=-2) - target.diff(dim=-2)).abs().mean()

    def energy(x: Tensor) -> Tensor:
        fine = x - F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
        return (F.avg_pool2d(fine * fine, 8, 4) + 1e-5).sqrt()

    return loss + 0.7 * (energy(new) - energy(target)).abs().mean()


def edit_loss(luma: Tensor, chroma: Tensor, target_luma: Tensor, target_chroma: Tensor) -> Tensor:
    """The editor's loss on clipped pictures, with a slight pull back into range."""
    excess = (luma - luma.clamp(0, 1)).abs().mean() + (chroma - chroma.clamp(0, 1)).abs().mean()
    # clipping hides the gradient of what is out of range, so the clip is soft
    luma, chroma = luma.clamp(-0.02, 1.02), chroma.clamp(-0.02, 1.02)
    return (
        pyramid_loss(luma, target_luma)
        + 2.0 * pyramid_loss(chroma, target_chroma)
        + texture_loss(luma, target_luma)
        + 0.5 * excess
    )


def cache_loss(core: Core, sample: tuple[Tensor, ...]) -> Tensor:
    """Unroll T frames: near the clean teacher, and changing from frame to frame as the clean teacher does."""
    luma, chroma, target_luma, _, cond, texture, coords = sample
    loss = torch.zeros(())
    edited = torch.zeros(())
    for t in range(luma.shape[1]):
        with torch.no_grad():
            new, _, _, features = core(luma[:, t], chroma[:, t], cond, texture, coords)
            new = new.clamp(0, 1)
        if t == 0:
            edited = new
        else:
            share = core.cache_share(features, moved(luma[:, t], luma[:, t - 1]))
            before = edited
            edited = new + share * (before - new)
            change = (edited - before) - (target_luma[:, t] - target_luma[:, t - 1])
            # against what the same editor draws now, too: the cache must not trade sharpness for calm
            loss = loss + pyramid_loss(edited, target_luma[:, t]) + 2.0 * change.abs().mean()
    return loss / (luma.shape[1] - 1)


def to_tensors(sample: Sample) -> tuple[Tensor, ...]:
    return tuple(
        torch.from_numpy(np.asarray(getattr(sample, f), np.float32)) for f in Sample.__dataclass_fields__
    )


def _produce(pool_path: str, seed: int, batch: int, frames: int, out: Queue[Any]) -> None:
    """A data process: fill the bounded queue until it is terminated."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    pool = load_pool(Path(pool_path))
    train = [image for i, image in enumerate(pool) if i % HELD_OUT_EVERY]
    for sample in batches(train, seed, batch, SIZE, frames):
        half = tuple(np.asarray(getattr(sample, f), np.float16) for f in Sample.__dataclass_fields__)
        out.put(half)


def load_pool(path: Path) -> list[U8]:
    with np.load(path) as stored:
        return [stored[name] for name in stored.files]


def prepare(folders: Sequence[Path], path: Path) -> None:
    """Build the pool once; later runs read it."""
    if not path.exists():
        pool = build_pool(folders, SEED)
        np.savez(path, *pool)
        print(f"{len(pool)} pictures in {path}")


class Feed:
    """Batches from one background process; owned by `with`."""

    def __init__(self, pool: Path, seed: int, batch: int, frames: int) -> None:
        context = mp.get_context("spawn")
        self._queue: Queue[Any] = context.Queue(4)
        self._process = context.Process(
            target=_produce, args=(str(pool), seed, batch, frames, self._queue), daemon=True
        )

    def __enter__(self) -> Feed:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join(10)

    def next(self) -> tuple[Tensor, ...]:
        try:
            half = self._queue.get(timeout=120)
        except queue.Empty:
            raise RuntimeError("the data process delivered nothing in two minutes: see above why") from None
        return tuple(torch.from_numpy(x.astype(np.float32)) for x in half)


class Trainer:
    """Weights, their running mean, optimiser and clock."""

    def __init__(self, out: Path, resume: bool) -> None:
        self.out, self.path = out, out / "nano.pt"
        torch.manual_seed(SEED)
        self.core = Core()
        self.step = 0
        self.minutes = 0.0
        if resume and self.path.exists():
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
            self.core.load_state_dict(stored["model"])
            self.step, self.minutes = int(stored["step"]), float(stored["minutes"])
            self.ema = {k: v.clone() for k, v in stored["ema"].items()}
        else:
            self.ema = {k: v.detach().clone() for k, v in self.core.state_dict().items()}

    def average(self) -> None:
        decay = min(EMA, (1 + self.step) / (10 + self.step))
        for name, value in self.core.state_dict().items():
            self.ema[name].lerp_(value, 1 - decay)

    def save(self) -> None:
        partial = self.path.with_suffix(".tmp")
        torch.save(
            {"model": self.core.state_dict(), "ema": self.ema, "step": self.step, "minutes": self.minutes},
            partial,
        )
        partial.replace(self.path)

    def sheet(self, held_out: Sequence[U8]) -> None:
        core = Core()
        core.load_state_dict(self.ema)
        cv2.imwrite(str(self.out / f"sheet_{self.step:06d}.png"), contact_sheet(core, held_out)[..., ::-1])

    def run(self, pool: Path, minutes: float, rate: float, held_out: Sequence[U8], cache: bool) -> None:
        """One phase: the editor, or with `cache` only the cache's share."""
        share = [*self.core.see_motion.parameters(), *self.core.share.parameters()]
        names = {id(p) for p in share}
        editor = [p for p in self.core.parameters() if id(p) not in names]
        fast = {id(p) for p in self.core.conditioning()}
        groups = [
            {"params": [p for p in editor if id(p) not in fast], "factor": 1.0},
            {"params": [p for p in editor if id(p) in fast], "factor": 2.0},
        ]
        optimiser = torch.optim.AdamW(
            [{"params": share, "factor": 1.0}] if cache else groups,
            lr=rate,
            weight_decay=1e-5,
            betas=(0.9, 0.98),
        )
        batch, frames = (CLIP_BATCH, CLIP_FRAMES) if cache else (BATCH, 1)
        start = last_save = time.monotonic()
        base, mean = self.minutes, 0.0
        with Feed(pool, SEED + 1 + self.step, batch, frames) as feed, tqdm(total=round(minutes * 60)) as bar:
            while (elapsed := time.monotonic() - start) < minutes * 60:
                progress = elapsed / (minutes * 60)
                warm = min(1.0, (self.step + 1) / 60)
                for group in optimiser.param_groups:
                    group["lr"] = (
                        group["factor"] * rate * warm * (0.5 + 0.5 * np.cos(np.pi * progress)) + 1e-5
                    )
                sample = feed.next()
                loss = cache_loss(self.core, sample) if cache else self._edit(sample)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(share if cache else editor, 1.0)
                optimiser.step()
                self.step += 1
                self.average()
                self.minutes = base + elapsed / 60
                mean = loss.item() if mean == 0 else 0.98 * mean + 0.02 * loss.item()
                bar.n = round(elapsed)
                bar.set_postfix(step=self.step, loss=f"{mean:.4f}", refresh=False)
                bar.update(0)
                if time.monotonic() - last_save > 150:
                    last_save = time.monotonic()
                    self.save()
                    self.sheet(held_out)
        self.save()
        self.sheet(held_out)

    def _edit(self, sample: tuple[Tensor, ...]) -> Tensor:
        luma, chroma, target_luma, target_chroma, cond, texture, coords = sample
        with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            new, new_chroma, _, _ = self.core(luma[:, 0], chroma[:, 0], cond, texture, coords)
        return edit_loss(new.float(), new_chroma.float(), target_luma[:, 0], target_chroma[:, 0])


BF16 = False


def main() -> None:
    parser = argparse.ArgumentParser(description="train nano")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders with photographs and clips"
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, pool and contact sheets")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--cache-minutes", type=float, default=6)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="autocast: faster where the CPU has AVX-512 bf16")
    arguments = parser.parse_args()
    global BF16
    BF16 = arguments.bf16
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    pool = arguments.out / "pool.npz"
    prepare(arguments.data, pool)
    held_out = [image for i, image in enumerate(load_pool(pool)) if i % HELD_OUT_EVERY == 0]
    trainer = Trainer(arguments.out, arguments.resume)
    if arguments.minutes > 0:
        trainer.run(pool, arguments.minutes, arguments.rate, held_out, cache=False)
    if arguments.cache_minutes > 0:
        trainer.run(pool, arguments.cache_minutes, 3e-3, held_out, cache=True)


if __name__ == "__main__":
    main()
