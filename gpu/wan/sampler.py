"""One block: from noise to clean latents in a few steps, and the pass that leaves it in the ring.

Writes a pass's inputs and reads its flow; knows no instruction, no history and no stream. Nothing here waits
for the device: noise is made on the host and copied from page-locked memory, all else is queued.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gpu.errors import ModelError
from gpu.wan.engines.base import Pass
from gpu.wan.ring import Ring
from gpu.wan.rope import fill
from gpu.wan.schedule import CLEAN, SHIFT, Schedule

STEPS = (4, 2)  # timesteps of the released students: all of theirs, or every second


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a stream's blocks are made. Raises ModelError for what does not fit together."""

    steps: int = 4  # 4 or 2
    # Of the schedule, as the student was distilled. LiveEdit's own script leaves its configuration's warp out
    # (causal_inference.py, e509726): 1.0 gives its timesteps, 1000, 750, 500, 250.
    shift: float = SHIFT
    seed: int = 0  # with a block's number it fixes the block's noise, on every device
    # One sample for all steps of a block, or another for each: LiveEdit's mm_inference.py does the first, its
    # distillation and causal_inference.py the second.
    noise: Literal["kept", "fresh"] = "kept"
    mask_cache: bool = False  # the middle steps' self-attention only where the block before was changed
    drift_guard: bool = True
    # At a new instruction: latents that are replayed under it, whole blocks of them; None: all in the window.
    # Each block costs a pass before the first new picture.
    replayed: int | None = None
    renew_sink: bool = False  # and the sink becomes the oldest of them; False: it stays as it is

    def __post_init__(self) -> None:
        if self.steps not in STEPS:
            raise ModelError(f"{self.steps} steps: the model was made for {' or '.join(map(str, STEPS))}")
        if self.noise not in ("kept", "fresh"):
            raise ModelError(f"noise {self.noise!r}: kept or fresh")
        if self.replayed is not None and self.replayed < 0:
            raise ModelError(f"{self.replayed} latents replayed: 0 or more, or None for the whole window")
        if self.mask_cache and not self.pruned_steps:
            raise ModelError(
                "the mask cache saves in the middle steps, and 2 steps have none: take 4, or go without it"
            )

    @property
    def pruned_steps(self) -> range:
        """Steps that a mask cache prunes: neither the first, which fills it, nor the last, which shows
        (LiveEdit, internal_pruning_steps: 1 and 2 of 4)."""
        return range(1, self.steps - 1)

    @property
    def passes(self) -> int:
        """Passes of a block, the clean one included."""
        return self.steps + 1


def noise(seed: int, block: int, draw: int, shape: tuple[int, ...], pin_memory: bool = False) -> Tensor:
    """Normal noise for a block's draw `draw`, float32, in host memory: the same on every machine and device.

    Numbers are hashed together, as a generator keeps only 32 bits of its seed, and neighbouring seeds must
    not give one stream's block 1 and another's block 0 the same."""
    key = hashlib.blake2b(f"{seed}.{block}.{draw}".encode(), digest_size=4).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(key, "little"))
    # Page-locked memory comes from torch's pool, which gives none back that a copy is still reading.
    return torch.randn(shape, generator=generator, pin_memory=pin_memory)


class Sampler:
    """Runs the passes of blocks on one stream's Pass."""

    def __init__(self, run: Pass, sampling: Sampling) -> None:
        self.sampling = sampling
        self.schedule = Schedule.of(sampling.steps, sampling.shift)
        self.ring = Ring(run.shape)
        self._pass = run
        self._tensors: Mapping[str, Tensor] = run.tensors

    def place(self, ring_block: int, source: Tensor) -> None:
        """Make ready for a block: positions, mask and place of the ring's block `ring_block`, counted from
        the ring's last start, and the source. source: [1, C, block, h, w]."""
        place = fill(self._tensors, self.ring, ring_block)
        if hasattr(self._pass, "full"):  # an engine that is faster without a mask
            self._pass.full = place.full
        if "source" in self._tensors:
            self._tensors["source"].copy_(source, non_blocking=True)

    def sample(self, block: int, pruned: bool = False) -> Tensor:
        """The placed block's clean latents, [1, C, block, h, w] float32, a new tensor. `block`: its number in
        the stream, for the noise. `pruned`: `kept` has been written, and the middle steps may use it."""
        noisy, flow, schedule = self._tensors["noisy"], self._tensors["flow"], self.schedule
        first = self._noise(block, 0)
        noisy.copy_(first, non_blocking=True)
        for step in range(len(schedule)):
            self._tensors["timestep"].fill_(schedule.timesteps[step])
            self._pass.run(pruned and step in self.sampling.pruned_steps)
            # From the latents as the network saw them, rounded to its type.
            clean = schedule.clean(step, noisy.float(), flow.float())
            if step + 1 < len(schedule):
                draw = first if self.sampling.noise == "kept" else self._noise(block, step + 1)
                noisy.copy_(schedule.renoise(step + 1, clean, draw))
        return clean

    def commit(self, clean: Tensor) -> None:
        """The clean pass: the placed block's keys and values in the ring become those of `clean`."""
        self._tensors["noisy"].copy_(clean)
        self._tensors["timestep"].fill_(CLEAN)
        self._pass.run()

    def _noise(self, block: int, draw: int) -> Tensor:
        noisy = self._tensors["noisy"]
        made = noise(self.sampling.seed, block, draw, tuple(noisy.shape), pin_memory=noisy.is_cuda)
        return made.to(noisy.device, non_blocking=True)
