"""Notices that a stream's edit drifts over minutes (colour, contrast, blur), and leads it back softly.

A causal editor sees its own past; small faults of one block are seen by the next, and add up. The source does
not drift. So what is watched is the *relation* of the edited latents to their source: by channel the mean and
contrast of the coarse part, and over all channels the share of fine detail. The relation is learned soon
after an instruction took effect, with how much it varies by itself. A lasting departure from it, beyond that
variation, is drift: as long as the source is much like it was then. An edit's relation to another scene may
be another, so after a cut, or a pan to something else, nothing is judged until the source is alike again, and
what was learned stays for then. If it does not come back, the relation to what it has become is learned; how
far the edit had drifted until then is not known any more, and is taken for the edit.

The correction is added to the clean latents *before* they are written to the ring: what can drift must be
kept from block to block, and all that is kept passes here. So there is no cut, no restart, no second pass. It
is proportional to the departure and not summed up over blocks: the ring sums it up already. With GAIN and
SMOOTH as they are that settles however much of its past a model keeps, all of it included. It changes by at
most a step a block (unseen: of latents of size 1) and never exceeds a bound, so that a wrong judgement costs
little. Without drift it is exactly nothing.

All of it stays on the device: nothing here waits, `report` apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.wan.config import StreamShape

# In latents, four pictures each: 0.16 to 0.25 s at 24 to 16 pictures a second.
SETTLE = 12  # after an instruction the window still holds blocks from before, and is not judged
LEARN = 96  # long enough that people and cameras have moved, short enough that little has drifted
SMOOTH = 12  # time constant of what is compared
FAR = 96  # so long must the source be another before the relation is learned again

# Of mean, contrast (log) and detail (log); latents have size 1, Wan's own normalisation.
FLOOR = (0.03, 0.03, 0.03)  # variation that is always allowed for
STEP = (0.015, 0.01, 0.015)  # the most a correction changes in a block of 3 latents
BOUND = (0.25, 0.15, 0.25)  # the most it can be
DEAD = 2.0  # departures up to so many times the variation are left alone
GAIN = 0.2  # of the departure beyond that, what a block of 3 latents corrects: see the module's text

LIKE, UNLIKE = 0.25, 0.5  # distance of the source's statistics: fully comparable up to, not at all beyond
TINY = 0.05  # added to sizes before a logarithm: a black picture is nothing to divide by


@dataclass(frozen=True, slots=True)
class DriftReport:
    """For people. Departures in multiples of what is allowed for, of the worst channel: 1 is where correction
    begins; corrections in latents of size 1 (mean) and as logarithms."""

    phase: str  # settling, learning, guarding; elsewhere: the source is another than the one learned from
    colour: float
    contrast: float
    detail: float
    corrected_colour: float
    corrected_contrast: float
    corrected_detail: float


class DriftGuard:
    """The guard of one stream. Its statistics: float32, [2 * channels + 1], in the order of FLOOR."""

    def __init__(self, shape: StreamShape, channels: int = 16, device: str = "cpu") -> None:
        block = shape.block
        self._channels = channels
        self._settle = math.ceil(max(SETTLE, shape.ring) / block)
        self._learn = self._settle + math.ceil(LEARN / block)
        self._far_limit = math.ceil(FAR / block)
        self._smooth = 1 - math.exp(-block / SMOOTH)
        self._gain = GAIN * block / 3

        def spread(values: tuple[float, float, float], scale: float = 1.0) -> Tensor:
            counts = torch.tensor([channels, channels, 1])
            return torch.tensor(values).mul(scale).repeat_interleave(counts).to(device)

        self._floor, self._bound, self._step = spread(FLOOR), spread(BOUND), spread(STEP, block / 3)
        like, scalar = torch.zeros(2 * channels + 1, device=device), torch.zeros((), device=device)
        self._age = scalar.clone()  # blocks since the learning was last started
        self._far = scalar.clone()  # blocks for which the source has been another
        self._mean, self._square = like.clone(), like.clone()  # the relation while it was learned, Welford
        self._source = torch.zeros(2 * channels, device=device)  # the source's statistics then
        self._now = like.clone()  # the relation, smoothed
        self._excess = like.clone()  # departure beyond what is allowed for
        self._correction = like.clone()
        self._likeness = scalar.clone()

    def restart(self) -> None:
        """Another instruction: learn its relation anew. The correction goes back to nothing step by step."""
        self._age.zero_()

    @property
    def correction(self) -> Tensor:
        """What is in force: a copy, [2 * channels + 1]."""
        return self._correction.clone()

    def correct(self, edited: Tensor, source: Tensor) -> Tensor:
        """The block's latents, corrected. edited, source: [1, C, block, h, w] float32 -> the same."""
        frames, frames_source = (x[0].transpose(0, 1) for x in (edited, source))  # [block, C, h, w]
        coarse = _coarse(frames)
        here = _statistics(frames, coarse)
        there = _statistics(frames_source, _coarse(frames_source))
        relation = here - there
        relation = torch.where(relation.isfinite(), relation, self._now)
        self._follow(there[:-1])
        self._judge(relation, there[:-1])
        return self._apply(frames, coarse).transpose(0, 1).unsqueeze(0)

    def _follow(self, source: Tensor) -> None:
        """How much the source is like the one that was learned from; a source that is not starts the learning
        again: at once while it is still learned from, else if it stays."""
        unlike = (source - self._source).square().mean().sqrt()
        known = self._age > self._settle
        likeness = ((UNLIKE - unlike) / (UNLIKE - LIKE)).clamp(0, 1)
        self._likeness.copy_(torch.where(known, likeness, 1.0))
        elsewhere = self._likeness == 0
        self._far.copy_(torch.where(elsewhere, self._far + 1, 0.0))
        limit = torch.where(self._age >= self._learn, self._far_limit, 0.0)
        self._age.copy_(torch.where(self._far > limit, 0.0, self._age))

    def _judge(self, relation: Tensor, source: Tensor) -> None:
        age = self._age
        learning = (age >= self._settle) & (age < self._learn)
        count = (age - self._settle + 1).clamp_min(1)  # this block included
        first = age == self._settle
        mean = torch.where(first, 0.0, self._mean)
        square = torch.where(first, 0.0, self._square)
        origin = torch.where(first, 0.0, self._source)
        off = relation - mean
        moved = mean + off / count
        self._mean.copy_(torch.where(learning, moved, self._mean))
        self._square.copy_(torch.where(learning, square + off * (relation - moved), self._square))
        self._source.copy_(torch.where(learning, origin + (source - origin) / count, self._source))
        guarding = age >= self._learn
        # While nothing is judged, what is smoothed stands at the learned relation.
        now = torch.lerp(self._now, relation, self._smooth * self._likeness)
        self._now.copy_(torch.where(guarding, now, self._mean))
        allowed = self._allowed()
        departure = self._now - self._mean
        excess = departure - departure.clamp(-allowed, allowed)
        self._excess.copy_(torch.where(guarding, excess * self._likeness, 0.0))
        wanted = (-self._gain * self._excess).clamp(-self._bound, self._bound)
        self._correction.add_((wanted - self._correction).clamp(-self._step, self._step))
        age.add_(1)

    def _allowed(self) -> Tensor:
        spread = (self._square / (self._learn - self._settle)).clamp_min(0).sqrt()
        return DEAD * torch.maximum(spread, self._floor)

    def _apply(self, frames: Tensor, coarse: Tensor) -> Tensor:
        mean, contrast, detail = self._correction.split((self._channels, self._channels, 1))
        centre = coarse.mean((0, 2, 3), keepdim=True)
        return (
            frames
            + mean[:, None, None]
            + (coarse - centre) * torch.expm1(contrast)[:, None, None]
            + (frames - coarse) * torch.expm1(detail)
        )

    def report(self) -> DriftReport:
        """Waits for the device: for logs and tests, not for every block."""
        parts = (self._channels, self._channels, 1)
        departure = ((self._now - self._mean).abs() / self._allowed()).split(parts)
        correction = self._correction.split(parts)
        worst = [float(part.max()) for part in departure]
        done = [float(part[part.abs().argmax()]) for part in correction]
        age = float(self._age)
        phase = "settling" if age <= self._settle else "learning" if age <= self._learn else "guarding"
        if float(self._likeness) == 0:
            phase = "elsewhere"
        return DriftReport(phase, worst[0], worst[1], worst[2], done[0], done[1], done[2])


def _coarse(frames: Tensor) -> Tensor:
    """[F, C, h, w] -> the same, each cell the mean of the 3 x 3 around it."""
    return F.avg_pool2d(frames, 3, 1, 1, count_include_pad=False)


def _statistics(frames: Tensor, coarse: Tensor) -> Tensor:
    """By channel the mean and the log size of what is coarse; the log size of what is fine, of the average
    channel. [F, C, h, w] twice -> [2 * C + 1]"""
    flat = coarse.transpose(0, 1).flatten(1)
    contrast = (flat.std(1, correction=0) + TINY).log()
    fine = ((frames - coarse).square().mean((0, 2, 3)).sqrt() + TINY).log().mean()
    return torch.cat((flat.mean(1), contrast, fine.unsqueeze(0)))
