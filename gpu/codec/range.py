"""Full-range samples to limited range, for codecs that cannot say which they carry."""

from __future__ import annotations

import numpy as np

from gpu.types import U8, Frame


def to_limited(frame: Frame) -> Frame:
    """The same picture with its full-range samples squeezed to 16..235 (luma) and 16..240 (chroma)."""
    return Frame(_LUMA[frame.y], _CHROMA[frame.u], _CHROMA[frame.v], frame.pts, frame.arrived_ns, False)


def _table(offset: float, scale: float, centre: float) -> U8:
    table: U8 = np.clip(np.rint((np.arange(256) - centre) * scale + offset), 0, 255).astype(np.uint8)
    return table


_LUMA = _table(16, 219 / 255, 0)  # BT.601: 219 steps of luma
_CHROMA = _table(128, 224 / 255, 128)  # 224 steps of chroma around 128
