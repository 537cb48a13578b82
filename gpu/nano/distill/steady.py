"""Steadying: the first graph of a frame. Noise is averaged over time where the picture is still or flat.

Each pixel of the canvas is `new + g * (previous - new)`, `previous` being what this graph gave for the frame
before. The share g comes from the difference between both, measured against the noise of this very picture: a
few means over blocks, two small convolutions, and a limit for each single pixel so that a moving edge leaves
no ghost. Knows nothing of edits. Levels are of 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.distill.graphs import GraphShapes, export_graph, level, shrink
from gpu.nano.distill.pictures import F32, U8, add_noise, draw_clip

MOST = 0.92  # of the frame before; still noise then keeps 6 % of its change from frame to frame
CELL = 8  # canvas pixels, side of the blocks the gate sees
WIDTH = 12  # channels
NOISE_FLOOR, NOISE_CEILING = 0.6, 6.0  # levels; rounding alone makes 0.3
GRAIN = 1.4  # of the noise above its floor: what is taken of the finest contrast where the picture moves
UNTOUCHED = 0.12  # levels; blocks that differ less are drawn or frozen and say nothing about noise


class Steady(nn.Module):
    """The recursion on one canvas: luma [B,1,2h,2w], chroma [B,2,h,w] as 0..1 of a byte."""

    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Conv2d(3, WIDTH, 4, stride=2, padding=1)
        self.see_shift = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.think = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.luma = nn.Conv2d(WIDTH, CELL * CELL, 1)
        self.chroma = nn.Conv2d(WIDTH, CELL * CELL // 4, 1)
        self.limit = nn.Parameter(torch.tensor([4.0, 4.0]))  # noise levels at which a single pixel is let go
        for out in (self.luma, self.chroma):
            nn.init.normal_(out.weight, std=0.02)
            nn.init.constant_(cast(Tensor, out.bias), 1.0)

    def forward(
        self, luma: Tensor, chroma: Tensor, before_luma: Tensor, before_chroma: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """keep [B,1,1,1]: 0 where there is no frame before. Returns luma, chroma and the gate [B,1,h/4,w/4]:
        1 where the picture stands still or is flat, 0 where it moves."""
        moved, moved_chroma = before_luma - luma, before_chroma - chroma
        size, size_chroma = moved.abs(), moved_chroma.abs()
        block, block_chroma = F.avg_pool2d(size, CELL // 2), shrink(size_chroma, CELL // 4)
        shift, shift_chroma = F.avg_pool2d(moved, CELL), shrink(moved_chroma, CELL // 2)
        noise, counted = noise_of(block)
        seen, shifted = torch.cat([block, block_chroma], 1), torch.cat([shift, shift_chroma], 1).abs()
        # 0..1, most of it spent around the noise
        x = self.see(seen / (seen + noise)) + self.see_shift(shifted / (shifted + noise / 6))
        x = F.relu(self.think(F.relu(x)))
        share, share_chroma = torch.sigmoid(self.luma(x)) * keep, torch.sigmoid(self.chroma(x)) * keep
        gate = share.mean(1, keepdim=True)
        share, share_chroma = F.pixel_shuffle(share, CELL), F.pixel_shuffle(share_chroma, CELL // 2)
        slope = 1 / noise
        most = MOST * (self.limit[0] - size * slope).clamp(0, 1)
        most_chroma = MOST * (self.limit[1] - size_chroma * slope).clamp(0, 1)
        kept = share * most
        luma = luma + kept * moved
        # what time cannot average where things move, space does: at most about as much as the noise is
        fine = luma - F.avg_pool2d(luma, 3, 1, 1, count_include_pad=False)
        grain = GRAIN * (noise - NOISE_FLOOR / 255) * (2 * counted - 0.5).clamp(0, 1) * keep
        luma = luma - (1 - kept) * torch.minimum(torch.maximum(fine, -grain), grain)
        return luma, chroma + share_chroma * most_chroma * moved_chroma, gate


def noise_of(block: Tensor) -> tuple[Tensor, Tensor]:
    """Mean difference of blocks [B,1,h/2,w/2] -> the noise of the picture [B,1,1,1], 0..1 of a byte, and the
    share of the blocks that had a say.

    A mean to the power -4, which the calm blocks decide; blocks without any difference are left out: where
    they are most, what differs is no noise but something that moves in a clean picture."""
    near = F.avg_pool2d(block, 3, 1, 1, count_include_pad=False)
    counts = (near * (255 * 8) - 8 * UNTOUCHED).clamp(0, 1)
    inverse = (near * 255 + 0.05).square().square().reciprocal()
    total = (counts * inverse).mean((2, 3), keepdim=True)
    counted = counts.mean((2, 3), keepdim=True)
    calm = (counted + 1e-6) / (total + 1e-9)
    return calm.sqrt().sqrt().clamp(NOISE_FLOOR, NOISE_CEILING) / 255, counted


class Step(nn.Module):
    """The exported graph. `native`: the source is the canvas; else it has twice its side."""

    def __init__(self, steady: Steady, native: bool) -> None:
        super().__init__()
        self.steady, self.native = steady, native

    def forward(
        self,
        y: Tensor,  # uint8 [1,1,H,W]
        uv: Tensor,  # uint8 [1,2,H/2,W/2]
        cache_luma: Tensor,  # [1,1,2h,2w] what this graph gave for the frame before
        cache_chroma: Tensor,  # [1,2,h,w]
        keep: Tensor,  # [1,1,1,1] 0: there is no frame before
    ) -> tuple[Tensor, Tensor, Tensor]:
        luma, chroma = level(y), level(uv)
        if not self.native:
            luma, chroma = F.avg_pool2d(luma, 2), shrink(chroma, 2)
        return cast(tuple[Tensor, Tensor, Tensor], self.steady(luma, chroma, cache_luma, cache_chroma, keep))


FILES = {"steady.onnx": True, "steady_half.onnx": False}  # file: the source is the canvas
OUTPUTS = ("luma", "chroma", "gate")


def export(checkpoint: Path, weights: Path) -> None:
    """Write both graphs into the weights folder."""
    steady = Steady()
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    steady.load_state_dict(stored["ema"])
    for file, native in FILES.items():
        height, width = (48, 64) if native else (96, 128)
        examples = {
            "y": torch.zeros(1, 1, height, width, dtype=torch.uint8),
            "uv": torch.zeros(1, 2, height // 2, width // 2, dtype=torch.uint8),
            "cache_luma": torch.zeros(1, 1, 48, 64),
            "cache_chroma": torch.zeros(1, 2, 24, 32),
            "keep": torch.ones(1, 1, 1, 1),
        }
        canvas, half = (
            ({2: "H", 3: "W"}, {2: "h", 3: "w"}) if native else ({2: "H2", 3: "W2"}, {2: "h2", 3: "w2"})
        )
        sizes: GraphShapes = {
            "y": {2: "H", 3: "W"}, "uv": {2: "h", 3: "w"}, "cache_luma": canvas, "cache_chroma": half,
            "luma": canvas, "chroma": half, "gate": {2: "gh", 3: "gw"},
        }  # fmt: skip
        export_graph(Step(steady, native), examples, OUTPUTS, sizes, weights / file)


FRAMES = 7  # of an unroll
SIZE = 96  # canvas pixels, side of a crop
BATCH = 6
JITTER = 3.0  # weight of the change from frame to frame that the clean clip does not have


class SteadyTask:
    """Unrolls of moving crops with the noise of cameras; what is asked for is the clean clip."""

    name = "steady"

    def network(self) -> nn.Module:
        return Steady()

    def groups(self, net: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "factor": 1.0}]

    def batch(self, pool: Sequence[U8], rng: np.random.Generator) -> tuple[np.ndarray[Any, Any], ...]:
        """Noisy and clean luma [B,T,1,S,S] and chroma [B,T,2,S/2,S/2]; the noisy ones as bytes."""
        clips = [noisy_clip(pool, rng) for _ in range(BATCH)]
        return tuple(np.stack([clip[part] for clip in clips]) for part in range(4))

    def loss(self, net: nn.Module, tensors: tuple[Tensor, ...]) -> Tensor:
        luma, chroma, clean, clean_chroma = tensors[0] / 255, tensors[1] / 255, tensors[2], tensors[3]
        kept = (luma[:, 0], chroma[:, 0])
        keep = torch.ones(len(luma), 1, 1, 1, device=luma.device)
        total = torch.zeros((), device=luma.device)
        for t in range(1, FRAMES):
            now = net(luma[:, t], chroma[:, t], *kept, keep)[:2]
            for new, old, wanted, weight in zip(now, kept, (clean, clean_chroma), (1.0, 0.5), strict=True):
                error = new - wanted[:, t]
                jitter = error - (old - wanted[:, t - 1])
                total = total + weight * (_cost(error) + JITTER * _cost(jitter))
            kept = now
        return total / (FRAMES - 1)

    def sheet(self, net: nn.Module, pictures: Sequence[U8]) -> U8:
        """Rows of clips: the last noisy frame, what became of it, the clean one, the gate."""
        rng = np.random.default_rng(3)
        rows = []
        for _ in range(4):
            luma, chroma, clean, clean_chroma = (
                torch.from_numpy(part) for part in noisy_clip(pictures, rng, 192)
            )
            luma, chroma = luma / 255, chroma / 255
            kept, gate = (luma[:1], chroma[:1]), luma[:1]
            for t in range(1, FRAMES):
                *now, gate = net(luma[t : t + 1], chroma[t : t + 1], *kept, torch.ones(1, 1, 1, 1))
                kept = (now[0], now[1])
            shown = [(luma[-1], chroma[-1]), (kept[0][0], kept[1][0]), (clean[-1], clean_chroma[-1])]
            images = [planes_to_rgb(a[0].numpy(), b.numpy()) for a, b in shown]
            images.append(
                np.repeat(np.kron(gate[0, 0].numpy(), np.ones((8, 8), np.float32))[..., None], 3, 2)
            )
            rows.append(np.hstack(images))
        return np.asarray(np.vstack(rows).clip(0, 1) * 255, np.uint8)


def _cost(error: Tensor) -> Tensor:
    """Between square and absolute value, the bend at two levels: ghosts count more than grain."""
    levels = error * 255
    return cast(Tensor, (levels.square() + 4).sqrt().mean() - 2 + 0.02 * levels.square().mean())


def noisy_clip(
    pool: Sequence[U8], rng: np.random.Generator, size: int = SIZE
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], F32, F32]:
    """[T,1,S,S] and [T,2,S/2,S/2], noisy bytes, then clean floats: a scene with something moving in front."""
    behind = draw_clip(pool, rng, size, FRAMES, still=0.6)
    before = draw_clip(pool, rng, size, FRAMES, still=0.3)
    rows, cols = np.mgrid[:size, :size].astype(np.float32) / size
    centre, speed = rng.uniform(0.1, 0.9, 2), rng.normal(size=2) * rng.choice([0.0, 0.01, 0.04])
    radius, lean = rng.uniform(0.1, 0.4), rng.uniform(0.6, 1.6)
    soft = rng.choice([0.01, 0.03, 0.1])
    present = rng.random() < 0.7
    light = rng.normal() * 0.004 if rng.random() < 0.3 else 0.0  # a lamp or the camera's exposure drifts
    noise = rng.uniform(0, 4) if rng.random() < 0.9 else 0.0
    noise_chroma, smooth = noise * rng.uniform(0.3, 1.0), rng.random() < 0.4
    parts: tuple[list[Any], ...] = ([], [], [], [])
    for t in range(FRAMES):
        image = behind[t]
        if present:
            y, x = centre + speed * t
            cover = ((radius - np.hypot((rows - y) * lean, cols - x)) / soft + 0.5).clip(0, 1)[..., None]
            image = image + cover * (before[t] - image)
        image = np.asarray((image * (1 + light * t)).clip(0, 1), np.float32)
        luma, chroma = rgb_to_planes(image)
        noisy = _grain(luma, rng, noise, smooth)
        noisy_chroma = np.stack([_grain(plane, rng, noise_chroma, smooth) for plane in chroma])
        for part, plane in zip(parts, (noisy[None], noisy_chroma, luma[None], chroma), strict=True):
            part.append(plane)
    grain, grain_chroma = (np.round(np.stack(part) * 255).astype(np.uint8) for part in parts[:2])
    return grain, grain_chroma, np.stack(parts[2]), np.stack(parts[3])


def _grain(plane: F32, rng: np.random.Generator, levels: float, smooth: bool) -> F32:
    """Noise of single pixels, or of pixels that a camera's own filter made alike."""
    if not smooth:
        return add_noise(plane, rng, levels)
    wider = np.pad(rng.standard_normal(plane.shape, np.float32), ((0, 1), (0, 1)), mode="wrap")
    field = (wider[:-1, :-1] + wider[1:, :-1] + wider[:-1, 1:] + wider[1:, 1:]) / 2
    return add_noise(np.asarray(plane + field * np.float32(levels / 255), np.float32), rng, 0.0)
