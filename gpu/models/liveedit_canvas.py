"""Host pictures onto a canvas of RGB and what a network changed back over them, in torch, on any device.

The definitions are those of gpu/cuda/twins.py, whose matrices it uses, so that host and GPU paths show the
same: BT.601, resampling by a triangle as wide as the picture shrinks, only the *change* is enlarged, and
where the mask is 0 the source's bytes stay. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from gpu.cuda import twins
from gpu.cuda.place import Place
from gpu.types import Frame

# Mean change of a cell below which nothing was meant (what an autoencoder loses by itself is about 0.02, or
# 30 dB), and from which on all of it shows. A guess to be tuned on trained weights.
UNTOUCHED, TOUCHED = 0.03, 0.08
CELL = 8  # canvas pixels a side over which a change is judged


class Canvas:
    """For pictures of one size. Not thread-safe; torch.inference_mode is the caller's."""

    def __init__(self, width: int, height: int, canvas: tuple[int, int], device: str = "cpu") -> None:
        """`canvas`: (w, h) of what the network takes; the picture keeps its shape, its edge is repeated."""
        self.place = place = Place.of(width, height, canvas, "pad")
        self.device = device
        column = np.clip(np.arange(place.canvas_width), place.cx, place.cx + place.cw - 1)
        line = np.clip(np.arange(place.canvas_height), place.cy, place.cy + place.ch - 1)
        x = place.sx + (column - place.cx + 0.5) * place.sw / place.cw - 0.5
        y = place.sy + (line - place.cy + 0.5) * place.sh / place.ch - 0.5
        shrink_x, shrink_y = place.sw / place.cw, place.sh / place.ch
        self._luma_on = self._pair(y, height, shrink_y, x, width, shrink_x)
        # a chroma sample lies at every second column of luma, between two rows
        self._chroma_on = self._pair(
            (y - 0.5) / 2, height // 2, shrink_y / 2, x / 2, width // 2, shrink_x / 2
        )
        luma_x, luma_y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
        self._luma_over = self._over_pair(luma_x, luma_y, 1.0)
        self._chroma_over = self._over_pair(luma_x[::2], luma_y[::2] + 0.5, 2.0)
        own_x = np.clip(
            place.cx + (2 * (luma_x.astype(int) - place.sx) + 1) * place.cw // (2 * place.sw),
            0,
            canvas[0] - 1,
        )
        own_y = np.clip(
            place.cy + (2 * (luma_y.astype(int) - place.sy) + 1) * place.ch // (2 * place.sh),
            0,
            canvas[1] - 1,
        )
        self._own = (self._tensor(own_y, torch.int64)[:, None], self._tensor(own_x, torch.int64)[None, :])
        self._to_ycbcr = self._tensor(twins.to_ycbcr(False))
        self._to_rgb = self._tensor(np.linalg.inv(twins.to_ycbcr(False)))

    def onto(self, frames: Sequence[Frame]) -> Any:
        """The pictures on the canvas: float32 [T, 3, h, w] in 0..1."""
        y, u, v = self._planes(frames)
        down, across = self._chroma_on
        codes = torch.stack(
            [self._luma_on[0] @ y @ self._luma_on[1], down @ u @ across, down @ v @ across], dim=1
        )
        zero, scale = self._levels(frames)
        return torch.einsum("cy,tyhw->tchw", self._to_rgb, (codes - zero) / scale).clamp_(0.0, 1.0)

    def over(
        self, frames: Sequence[Frame], edited: Any, shown: Any, mask: Any, strengths: Sequence[float]
    ) -> list[Frame]:
        """The pictures with (edited - shown) * mask * strength over them.

        edited, shown: [T, 3, h, w] in 0..1, `shown` as `onto` gave it; mask: [T, h, w] in 0..1; a strength a
        picture. Bytes of the source where the mask is 0, times and range of the source."""
        amount = mask * self._tensor(np.asarray(strengths))[:, None, None]
        broken = torch.isnan(edited).any(dim=1)
        amount = torch.where(broken, 0.0, amount.clamp(0.0, 1.0))
        change = torch.nan_to_num(edited, posinf=1.0, neginf=0.0).clamp(0.0, 1.0) - shown
        _, scale = self._levels(frames)
        change = torch.einsum("yc,tchw->tyhw", self._to_ycbcr, change * amount[:, None]) * scale
        y, u, v = self._planes(frames)
        down, across = self._luma_over
        new_y = y + down @ change[:, 0] @ across
        down, across = self._chroma_over
        new_u, new_v = (old + down @ change[:, i] @ across for i, old in ((1, u), (2, v)))
        edits = amount[:, self._own[0], self._own[1]] > 0  # [T, H, W]; with `pad` all of the source is shown
        pairs = edits.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).all(dim=4).all(dim=2)
        planes = (
            _bytes(torch.where(edits, new_y, y)),
            _bytes(torch.where(pairs, new_u, u)),
            _bytes(torch.where(pairs, new_v, v)),
        )
        return [
            Frame(
                planes[0][i], planes[1][i], planes[2][i], frame.pts, frame.arrived_ns, frame.full_range
            )
            for i, frame in enumerate(frames)
        ]  # fmt: skip

    def _planes(self, frames: Sequence[Frame]) -> tuple[Any, Any, Any]:
        """[T, H, W] and twice [T, H/2, W/2] float32, code values."""
        stacks = (np.stack([getattr(frame, name) for frame in frames]) for name in "yuv")
        y, u, v = (torch.from_numpy(stack).to(self.device).float() for stack in stacks)
        return y, u, v

    def _levels(self, frames: Sequence[Frame]) -> tuple[Any, Any]:
        """Code of 0 and codes per unit of each picture: [T, 3, 1, 1]."""
        zero = np.stack([twins.code_zero(frame.full_range) for frame in frames])
        scale = np.stack([twins.code_scale(frame.full_range) for frame in frames])
        return self._tensor(zero)[..., None, None], self._tensor(scale)[..., None, None]

    def _over_pair(self, x: Any, y: Any, shrink: float) -> tuple[Any, Any]:
        """From the canvas to source columns x and rows y, `shrink` source samples apart."""
        place = self.place
        across = place.cx + (x - place.sx + 0.5) * place.cw / place.sw - 0.5
        down = place.cy + (y - place.sy + 0.5) * place.ch / place.sh - 0.5
        return self._pair(
            down, place.canvas_height, shrink * place.ch / place.sh,
            across, place.canvas_width, shrink * place.cw / place.sw,
        )  # fmt: skip

    def _pair(self, y: Any, rows: int, reach_y: float, x: Any, cols: int, reach_x: float) -> tuple[Any, Any]:
        """What to multiply a plane with from the left and from the right."""
        down, across = twins.resampling(y, rows, reach_y), twins.resampling(x, cols, reach_x)
        return self._tensor(down), self._tensor(across.T)

    def _tensor(self, values: Any, dtype: Any = torch.float32) -> Any:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, dtype)


def change_mask(edited: Any, shown: Any) -> Any:
    """Where an edit is meant: [T, h, w] in 0..1 of two [T, 3, h, w], 0 where the network only lost detail.

    Judged by cells, and a cell beside a changed one counts: what is smooth in the middle of an edit stays."""
    change = (edited - shown).abs().amax(dim=1, keepdim=True)
    size = change.shape[-2:]
    cells = F.avg_pool2d(change, CELL, ceil_mode=True)
    cells = F.max_pool2d(cells, 3, stride=1, padding=1)
    cells = ((cells - UNTOUCHED) / (TOUCHED - UNTOUCHED)).clamp(0.0, 1.0)
    return torch.nan_to_num(F.interpolate(cells, size, mode="bilinear", align_corners=False))[:, 0]


def _bytes(plane: Any) -> Any:
    return plane.round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()
