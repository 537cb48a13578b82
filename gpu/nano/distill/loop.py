"""The one training loop: `python -m gpu.nano.distill.loop MODULE:TASK --pool POOL --out DIR --minutes N`.

A task says what is learned from what; the loop owns time, batches from data processes, the optimiser, the
running mean of the weights, checkpoints and contact sheets. Seeds are fixed, but a run is bounded by time, so
two runs are alike and not equal.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing as mp
import queue
import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Protocol, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from gpu.nano.distill.pictures import SEED, U8, held_out, load_pool, to_train

EMA = 0.998
WARM_STEPS = 60
SHEET_EVERY_S = 240
SAVE_EVERY_S = 60
BATCHES_AHEAD = 4
PARENT_ASKED_EVERY_S = 10.0
Batch = tuple[NDArray[Any], ...]


class Task(Protocol):
    """One thing to learn. Made anew in every data process, so it holds no state of training."""

    name: str  # of the checkpoint

    def network(self) -> nn.Module: ...

    def groups(self, net: nn.Module) -> list[dict[str, Any]]:
        """Optimiser groups {"params": [...], "factor": of the rate}; what is left out stays as it is."""
        ...

    def batch(self, pool: Sequence[U8], rng: np.random.Generator) -> Batch:
        """One batch, in a data process."""
        ...

    def loss(self, net: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor: ...

    def sheet(self, net: nn.Module, pictures: Sequence[U8]) -> U8:
        """RGB [H, W, 3]: what it can do now, on pictures kept from training."""
        ...


def task_of(where: str, options: Sequence[str] = ()) -> Task:
    """`package.module:Class`, made with `key=value` options as keyword arguments (strings)."""
    module, _, name = where.partition(":")
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as exc:
        raise SystemExit(f"there is no task {where} ({exc}): write package.module:Class") from exc
    if wrong := [option for option in options if "=" not in option]:
        raise SystemExit(f"--option {wrong[0]} is no KEY=VALUE")
    try:
        return cast(Task, made(**dict(option.split("=", 1) for option in options)))
    except TypeError as exc:
        raise SystemExit(f"the options of {where} are not right ({exc}): see --option") from exc


def _produce(where: str, options: Sequence[str], pool: str, seed: int, out: Queue[Any]) -> None:
    """A data process: fill the bounded queue until it is terminated or its training is gone."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    task, pictures, rng = (
        task_of(where, options),
        to_train(load_pool(Path(pool))),
        np.random.default_rng(seed),
    )
    parent = mp.parent_process()
    while True:
        arrays = task.batch(pictures, rng)
        batch = tuple(a.astype(np.float16) if a.dtype == np.float32 else a for a in arrays)
        while True:
            try:
                out.put(batch, timeout=PARENT_ASKED_EVERY_S)
                break
            except queue.Full:
                if parent is not None and not parent.is_alive():  # killed, it could not end us
                    out.cancel_join_thread()
                    return


class Feed:
    """Batches from background processes; owned by `with`. Floats travel as float16."""

    def __init__(self, where: str, options: Sequence[str], pool: Path, seed: int, workers: int) -> None:
        context = mp.get_context("spawn")
        self._queue: Queue[Any] = context.Queue(BATCHES_AHEAD)
        self._processes = [
            context.Process(
                target=_produce, args=(where, options, str(pool), seed + worker, self._queue), daemon=True
            )
            for worker in range(workers)
        ]

    def __enter__(self) -> Feed:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(10)
        self._queue.close()
        self._queue.cancel_join_thread()

    def next(self, device: torch.device) -> tuple[Tensor, ...]:
        try:
            arrays = self._queue.get(timeout=180)
        except queue.Empty:
            raise RuntimeError("the data processes delivered nothing for three minutes: see above") from None
        tensors = (torch.from_numpy(a).to(device) for a in arrays)
        return tuple(t.float() if t.dtype == torch.float16 else t for t in tensors)


class Trainer:
    """Network, the running mean of its weights, and how far it is."""

    def __init__(self, task: Task, out: Path, device: str, resume: bool) -> None:
        self.task, self.out, self.path = task, out, out / f"{task.name}.pt"
        self.device = torch.device(device)
        torch.manual_seed(SEED)
        self.net = task.network().to(self.device)
        self.step, self.minutes = 0, 0.0
        self.ema = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        if resume and self.path.exists():
            stored = torch.load(self.path, map_location=self.device, weights_only=True)
            self.net.load_state_dict(stored["model"])
            self.step, self.minutes = int(stored["step"]), float(stored["minutes"])
            self.ema = {k: v.clone() for k, v in stored["ema"].items()}

    def average(self) -> None:
        decay = min(EMA, (1 + self.step) / (10 + self.step))
        for name, value in self.net.state_dict().items():
            if value.dtype.is_floating_point:
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)

    def save(self) -> None:
        partial = self.path.with_suffix(".tmp")
        state = {"model": self.net.state_dict(), "ema": self.ema, "step": self.step, "minutes": self.minutes}
        torch.save(state, partial)
        partial.replace(self.path)

    def sheet(self, pictures: Sequence[U8]) -> None:
        """Write the contact sheet of the running mean: DIR/<name>_sheet.png, always the newest."""
        live = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.ema)
        self.net.eval()
        try:
            with torch.no_grad():
                image = self.task.sheet(self.net, pictures)
        finally:
            self.net.load_state_dict(live)
            self.net.train()
        partial = self.out / f"{self.task.name}_sheet.tmp.png"
        cv2.imwrite(str(partial), np.ascontiguousarray(image[..., ::-1]))
        partial.replace(self.out / f"{self.task.name}_sheet.png")

    def run(self, feed: Feed, minutes: float, rate: float, bf16: bool, pictures: Sequence[U8]) -> None:
        """Train for that long: AdamW, the rate warmed up and then falling as a cosine."""
        groups = self.task.groups(self.net)
        parameters = [p for group in groups for p in group["params"]]
        optimiser = torch.optim.AdamW(groups, lr=rate, weight_decay=1e-5, betas=(0.9, 0.98))
        start = saved = drawn = time.monotonic()
        base, mean, begun = self.minutes, 0.0, self.step
        with tqdm(total=round(minutes * 60), unit="s", mininterval=2.0) as bar:
            while (elapsed := time.monotonic() - start) < minutes * 60:
                fall = 0.5 + 0.5 * np.cos(np.pi * elapsed / (minutes * 60))
                for group in optimiser.param_groups:
                    warm = min(1.0, (self.step - begun + 1) / WARM_STEPS)
                    group["lr"] = group["factor"] * (rate * warm * fall + rate / 200)
                tensors = feed.next(self.device)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                    loss = self.task.loss(self.net, tensors)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                if torch.isfinite(torch.nn.utils.clip_grad_norm_(parameters, 1.0)):
                    optimiser.step()
                self.step += 1
                self.average()
                self.minutes = base + (time.monotonic() - start) / 60
                mean = loss.item() if mean == 0 else 0.98 * mean + 0.02 * loss.item()
                bar.n = min(bar.total, round(elapsed))
                bar.set_postfix(step=self.step, loss=f"{mean:.4f}", refresh=False)
                bar.update(0)
                now = time.monotonic()
                if now - saved > SAVE_EVERY_S:
                    saved = now
                    self.save()
                if now - drawn > SHEET_EVERY_S:
                    drawn = now
                    self.sheet(pictures)
        self.save()
        self.sheet(pictures)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="gpu.nano.distill.loop", description="train one part of nano")
    parser.add_argument("task", help="package.module:Class")
    parser.add_argument("--pool", type=Path, required=True, help="the pictures of `relens distill prepare`")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint and contact sheet")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="data processes")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="autocast: faster where the CPU has AVX-512 bf16")
    parser.add_argument("--option", action="append", default=[], help="key=value for the task; may repeat")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    task = task_of(options.task, options.option)
    pictures = held_out(load_pool(options.pool))
    trainer = Trainer(task, options.out, options.device, options.resume)
    with ExitStack() as stack:
        seed = SEED + 1 + 1000 * trainer.step  # resumed runs see other crops
        feed = stack.enter_context(Feed(options.task, options.option, options.pool, seed, options.workers))
        trainer.run(feed, options.minutes, options.rate, options.bf16, pictures)
    print(f"{trainer.path}: {trainer.step} steps, {trainer.minutes:.1f} minutes in all")


if __name__ == "__main__":
    main()
