"""Numbers drawn into pixels, so that a frame can be told at the other end of any codec and most edits.

A strip of large black and white blocks along the top: a black and a white guard, 16 bits of the number,
8 bits of checksum, a white and a black guard. Knows pictures, not streams.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
ID_BITS = 16
SUM_BITS = 8
_GUARDS = 2
BLOCKS = ID_BITS + SUM_BITS + 2 * _GUARDS
STRIP_ROWS = 32  # two macroblocks: survives H.264 at a few hundred kbit/s
_BLACK, _WHITE = 16, 235  # BT.601 limited range
_MIN_CONTRAST = 24.0  # guards closer than this: the edit has eaten the strip


def checksum(number: int) -> int:
    """CRC-8 (x^8 + x^2 + x + 1) of the 16 bits: any one to eight neighbouring wrong blocks are noticed."""
    rest = (number & 0xFFFF) << SUM_BITS
    for bit in range(ID_BITS + SUM_BITS - 1, SUM_BITS - 1, -1):
        if rest >> bit & 1:
            rest ^= 0x107 << (bit - SUM_BITS)
    return rest


def draw_id(y: U8, number: int) -> None:
    """Write `number` (its low 16 bits) into the top of a luma plane [H, W] in place; W >= 28 * 8."""
    number &= 0xFFFF
    word = number << SUM_BITS | checksum(number)
    bits = [0, 1, *((word >> i) & 1 for i in range(ID_BITS + SUM_BITS - 1, -1, -1)), 1, 0]
    edges = np.linspace(0, y.shape[1], BLOCKS + 1).astype(int)
    for bit, left, right in zip(bits, edges, edges[1:], strict=False):
        y[:STRIP_ROWS, left:right] = _WHITE if bit else _BLACK


def read_id(y: U8) -> int | None:
    """The number in a luma plane [H, W], or None where it does not survive. Reads inverted pictures too."""
    edges = np.linspace(0, y.shape[1], BLOCKS + 1)
    means = np.empty(BLOCKS)
    for i in range(BLOCKS):
        width = edges[i + 1] - edges[i]
        left, right = int(edges[i] + width * 0.25), int(edges[i + 1] - width * 0.25)
        means[i] = y[STRIP_ROWS // 4 : STRIP_ROWS * 3 // 4, left:right].mean()
    black = (means[0] + means[-1]) / 2
    white = (means[1] + means[-2]) / 2
    if abs(white - black) < _MIN_CONTRAST:
        return None
    level = (means - black) / (white - black)
    word = 0
    for bit in level[_GUARDS:-_GUARDS] > 0.5:
        word = word << 1 | int(bit)
    number, check = word >> SUM_BITS, word & 0xFF
    return number if check == checksum(number) else None
