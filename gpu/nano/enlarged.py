"""The stream of a small source, worked on at twice its side: painters and pencils have strokes of fixed size,
and on few pixels they leave nothing of a face.

Pixels are doubled and, once edited, averaged again: what is not edited comes back to the byte. Knows frames
and sizes; what happens in between is gpu.nano.stream's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpu.nano.experts import Experts
from gpu.nano.stream import NanoState
from gpu.types import Frame

U8 = NDArray[np.uint8]
SCALE = 2


class EnlargedState(NanoState):
    """Everything it keeps is of the enlarged size."""

    __slots__ = ()

    @property
    def source_size(self) -> tuple[int, int]:
        return self.width // SCALE, self.height // SCALE

    def step(self, frame: Frame, experts: Experts) -> Frame:
        y, u, v = map(enlarged, (frame.y, frame.u, frame.v))
        large = Frame(y, u, v, frame.pts, frame.arrived_ns, frame.full_range)
        made = super().step(large, experts)
        if made is large:
            return frame
        y, u, v = map(shrunk, (made.y, made.u, made.v))
        kept = self._kept()
        if kept is not None and not frame.full_range:
            np.copyto(u, frame.u, where=kept)
            np.copyto(v, frame.v, where=kept)
        return Frame(y, u, v, frame.pts, frame.arrived_ns, made.full_range)

    def _kept(self) -> NDArray[np.bool_] | None:
        """[H/2,W/2] of the source: chroma of which a pixel is surely on the other side of what is edited. The
        mean of four would let it have some of its neighbours' change. None where the edit is everywhere."""
        plans = [plan for plan, weight in self.transition.now.plans if weight > 0 and plan.stages]
        (reach, *others) = {plan.reach for plan in plans} or {"everywhere"}
        if others or reach == "everywhere" or self.rest is not None:
            return None
        mask = self.memory.person["mask"][0, 0, : self.height, : self.width]
        sure = mask == (1 if reach == "background" else 0)
        pixels = sure[::SCALE, ::SCALE] & sure[1::SCALE, ::SCALE] & sure[::SCALE, 1::SCALE] & sure[1::2, 1::2]
        return pixels[::2, ::2] | pixels[1::2, ::2] | pixels[::2, 1::2] | pixels[1::2, 1::2]


def enlarged(plane: U8) -> U8:
    """[H,W] -> [2H,2W], every pixel four times."""
    return plane.repeat(SCALE, 0).repeat(SCALE, 1)


def shrunk(plane: U8) -> U8:
    """[2H,2W] -> [H,W], the mean of four, rounded half up."""
    rows = plane[::2].astype(np.uint16) + plane[1::2]
    return ((rows[:, ::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)
