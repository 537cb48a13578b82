"""Where heads begin. Two drawings posterise, and the staircase of a posterised light is what gradients find
last: their heads begin with it, built of pairs of hinges. The rest begins alike for the samples of a cell.

A *form* is linear in the features of a cell: weights [FEATURES], the last one its constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpu.nano.distill.draw_network import CONTEXT, FEATURES, HIDDEN_1, HIDDEN_2, LEAK, SHAPES, SHARED

F64 = NDArray[np.float64]
ONE = FEATURES - 1
BLURRED = slice(FEATURES - SHARED - CONTEXT, FEATURES - SHARED - CONTEXT + 4)  # the narrow blur, four samples
_STEEP = 8.0  # of a hinge: weights of a size the others have
_Y, _BLACK = 219 / 255, 16 / 255  # BT.601 limited range


@dataclass(frozen=True, slots=True)
class Step:
    """Up by `height` where a form passes `at`, over twice `half`."""

    at: float
    half: float
    height: float


@dataclass(frozen=True, slots=True)
class Units:
    """First-layer units: weights [N, FEATURES], and how to sum them up: shares [N] and a constant."""

    weights: F64
    shares: F64
    constant: float


def stairs(form: F64, steps: Sequence[Step]) -> Units:
    """The sum of soft steps along a form: two leaky hinges each, whose difference is level on both sides."""
    weights, shares, constant = [], [], 0.0
    for step in steps:
        share = step.height / ((1 - LEAK) * 2 * step.half * _STEEP)
        for shift, sign in ((step.half, 1.0), (-step.half, -1.0)):
            hinge = _STEEP * form
            hinge[ONE] += _STEEP * (shift - step.at)
            weights.append(hinge)
            shares.append(sign * share)
        constant -= step.height * LEAK / (1 - LEAK)
    return Units(np.stack(weights), np.array(shares), constant)


def _light(luma: slice) -> F64:
    """Full-range light 0..1 from planes of limited-range luma (their mean)."""
    form = np.zeros(FEATURES)
    form[luma] = 1.0
    form *= 1 / (_Y * form.sum())
    form[ONE] = -_BLACK / _Y
    return form


def _inverse_smoothstep(y: float, low: float, high: float) -> float:
    """Where smoothstep between low and high is y."""
    t = np.linspace(0, 1, 10_001)
    return low + (high - low) * float(np.interp(y, t * t * (3 - 2 * t), t))


@torch.no_grad()
def plain_head() -> dict[str, Tensor]:
    """Every unit begins with the features of one sample and what the cell shares, the four samples alike;
    from there they may part."""
    weights = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    own = FEATURES - SHARED
    per_sample, per_second = HIDDEN_1 // 4, HIDDEN_2 // 4
    first = torch.randn(per_sample, own // 4) * (1.4 / (own // 4) ** 0.5)
    chroma = torch.randn(per_sample, SHARED - 1) * 0.4
    second = torch.randn(per_second, per_sample) * (1.4 / per_sample**0.5)
    third = torch.randn(per_second) * 0.2
    offset = torch.randn(per_sample) * 0.3
    for sample in range(4):
        rows = slice(sample * per_sample, (sample + 1) * per_sample)
        weights["w1"][rows, sample:own:4, 0, 0] = first
        weights["w1"][rows, own:-1, 0, 0] = chroma
        weights["w1"][rows, -1, 0, 0] = offset - 0.5 * first[:, 2]
        seconds = slice(sample * per_second, (sample + 1) * per_second)
        weights["w2"][seconds, rows, 0, 0] = second
        weights["w3"][sample, seconds, 0, 0] = third
    weights["w3"][4:, :, 0, 0] = torch.randn(2, HIDDEN_2) * 0.05
    weights["b3"] += 0.5
    for name in ("w1", "w2", "w3"):
        weights[name] += torch.randn(SHAPES[name]) * 0.02
    return weights


@torch.no_grad()
def shaded_head(rises: Sequence[float], gain: float) -> dict[str, Tensor]:
    """A plain head, with `gain` times what even stairs that rise at those lights add to light."""
    head = plain_head()
    levels = len(rises) + 1
    light = _light(BLURRED)
    made = stairs(light, [Step(at, 0.02, 1 / levels) for at in rises])
    weights = np.vstack([made.weights, light])
    shares = np.append(made.shares, -1.0)
    # of every sample's units the last ones make room
    per_sample = HIDDEN_1 // 4
    units = [(n % 4) * per_sample + per_sample - 1 - n // 4 for n in range(len(weights))]
    lift = 1.5  # keeps the sum on the straight side of its unit
    head["w1"][units, :, 0, 0] = torch.from_numpy(weights).float()
    head["w2"][:, units] = 0
    head["w2"][-1] = 0
    head["w2"][-1, units, 0, 0] = torch.from_numpy(shares).float()
    head["b2"][0, -1] = made.constant + 0.5 / levels + lift
    head["w3"][:, -1, 0, 0] = torch.tensor([gain * _Y] * 4 + [0.0, 0.0])
    head["b3"][0, :4] -= gain * _Y * lift
    return head


def start_head(name: str) -> dict[str, Tensor]:
    """The head of a drawing before training."""
    if name == "cartoon":
        return shaded_head([k / 5 for k in range(1, 5)], 0.85)
    if name == "comic":
        return shaded_head([_inverse_smoothstep(k / 3, 0.0, 0.78) for k in (1, 2)], 0.5)
    return plain_head()
