"""The few timesteps a student was distilled to, and the arithmetic between them. Knows no network.

A noisy latent is x = (1 - sigma) * clean + sigma * noise; the network predicts the flow, noise - clean.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gpu.errors import ModelError

TRAINING_STEPS = 1000  # timestep = 1000 * sigma
SHIFT = 5.0  # of the released students: Self-Forcing, LongLive, LiveEdit
CLEAN = 0.0  # timestep of the pass that writes a finished block's keys and values


@dataclass(frozen=True, slots=True)
class Schedule:
    """From the noisiest step down. `timesteps` 0..1000, `sigmas` 0..1."""

    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]

    @classmethod
    def of(cls, steps: int = 4, shift: float = SHIFT) -> Schedule:
        """`steps` even steps from 1 down, without 0, moved towards the noise: s*x / (1 + (s-1)*x).

        4 steps with shift 5 are those that Self-Forcing's students are trained and run with, and what
        LiveEdit's training is configured to. LiveEdit's own script leaves the shift out: 1000, 750, 500, 250,
        which is `shift` 1. Which of them suits its checkpoint better, only its pictures can show.
        Raises ModelError for fewer than one step, or a shift that is not positive."""
        if steps < 1 or shift <= 0:
            raise ModelError(f"a schedule of {steps} steps, shifted by {shift}: both must be above 0")
        even = [1 - index / steps for index in range(steps)]
        sigmas = tuple(shift * sigma / (1 + (shift - 1) * sigma) for sigma in even)
        return cls(tuple(TRAINING_STEPS * sigma for sigma in sigmas), sigmas)

    def __len__(self) -> int:
        return len(self.sigmas)

    def clean(self, step: int, noisy: Tensor, flow: Tensor) -> Tensor:
        """What the network takes the clean latents to be after step `step`; same shape and type as `noisy`,
        calculated in float64 as the students' training did."""
        return (noisy.double() - self.sigmas[step] * flow.double()).to(noisy.dtype)

    def renoise(self, step: int, clean: Tensor, noise: Tensor) -> Tensor:
        """The latents that step `step` begins with: `clean` with so much of `noise`."""
        sigma = self.sigmas[step]
        return (1 - sigma) * clean + sigma * noise
