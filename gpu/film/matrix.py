"""From another colour matrix to BT.601 on 4:2:0 planes of limited range, in whole numbers. NumPy only.

libav's scaler goes through RGB for this: slower, and rounded twice. Each sample of chroma changes the four of
luma that it lies over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpu.types import U8

I16 = NDArray[np.int16]
Weights = tuple[float, float]  # Kr, Kb

BT601: Weights = (0.299, 0.114)  # ITU-R BT.601-7 §2.5.1
BT709: Weights = (0.2126, 0.0722)  # ITU-R BT.709-6 §3.2
BT2020: Weights = (0.2627, 0.0593)  # ITU-R BT.2020-2 table 4
SMPTE240M: Weights = (0.212, 0.087)
FCC: Weights = (0.30, 0.11)  # 47 CFR 73.682
_BITS = 6  # behind the point: the sums stay within 16 bits


class ToBt601:
    """Of pictures made with these weights."""

    def __init__(self, weights: Weights) -> None:
        change = _planes_of(BT601) @ np.linalg.inv(_planes_of(weights))  # [Y Cb Cr] to [Y Cb Cr]
        samples = (np.arange(256, dtype=np.float64) - 128) * (1 << _BITS)
        luma = 219 / 224  # chroma has 224 steps for the range in which luma has 219
        self._luma = _tables(change[0, 1:] * luma, samples, 0)
        self._u = _tables(change[1, 1:], samples, 128)
        self._v = _tables(change[2, 1:], samples, 128)

    def write(self, source: tuple[U8, U8, U8], out: tuple[U8, U8, U8]) -> None:
        """Planes y [H, W], u and v [H/2, W/2], H and W even, to planes of the same size."""
        y, u, v = source
        change = np.repeat(_mix(self._luma, u, v), 2, axis=1)
        height, width = y.shape
        changed = y.reshape(height // 2, 2, width) + change[:, None]
        np.clip(changed, 0, 255, out=changed)
        out[0][...] = changed.reshape(height, width)
        out[1][...] = np.clip(_mix(self._u, u, v), 0, 255)
        out[2][...] = np.clip(_mix(self._v, u, v), 0, 255)


def _mix(tables: tuple[I16, I16], u: U8, v: U8) -> I16:
    mixed: I16 = np.take(tables[0], u, mode="clip")  # not checked: faster
    mixed += np.take(tables[1], v, mode="clip")
    mixed >>= np.int16(_BITS)
    return mixed


def _tables(factors: NDArray[np.float64], samples: NDArray[np.float64], offset: int) -> tuple[I16, I16]:
    """Of what u and v add; the first with the offset and half a step, so that the sum is rounded."""
    first, second = (np.rint(factor * samples).astype(np.int16) for factor in factors)
    return first + np.int16((offset << _BITS) + (1 << _BITS - 1)), second


def _planes_of(weights: Weights) -> NDArray[np.float64]:
    """[3, 3]: RGB of 0..1 to luma 0..1 and chroma -0.5..0.5."""
    red, blue = weights
    green = 1 - red - blue
    return np.array(
        [
            [red, green, blue],
            [-red / (2 - 2 * blue), -green / (2 - 2 * blue), 0.5],
            [0.5, -green / (2 - 2 * red), -blue / (2 - 2 * red)],
        ]
    )
