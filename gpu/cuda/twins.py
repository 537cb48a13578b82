"""What the CUDA kernels compute, in NumPy and float64: the reference that tests hold them to.

Written from the definitions at the top of kernels.cu, not from its code: resampling is a product of dense
matrices here. Slow, and exact to rounding. Bytes are uint8, everything else float64 unless said.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.cuda.place import Place

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]


def primaries(bt709: bool) -> F64:
    """[3] how much red, green and blue are in luma (ITU-T H.273, table 4)."""
    kr, kb = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    return np.array([kr, 1.0 - kr - kb, kb])


def to_ycbcr(bt709: bool) -> F64:
    """[3, 3] from RGB 0..1 to Y 0..1 and Cb, Cr -1/2..1/2."""
    luma = primaries(bt709)
    blue = (np.array([0.0, 0.0, 1.0]) - luma) / (2.0 - 2.0 * luma[2])
    red = (np.array([1.0, 0.0, 0.0]) - luma) / (2.0 - 2.0 * luma[0])
    return np.stack([luma, blue, red])


def code_scale(full_range: bool) -> F64:
    """[3] code values per unit of Y, Cb, Cr in 8 bits (ITU-T H.273, 8.3)."""
    return np.array([255.0, 255.0, 255.0] if full_range else [219.0, 224.0, 224.0])


def code_zero(full_range: bool) -> F64:
    """[3] the code of 0."""
    return np.array([0.0 if full_range else 16.0, 128.0, 128.0])


def to_bytes(values: F64) -> U8:
    """To nearest, within 0..255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def resampling(positions: F64, size: int, radius: float) -> F64:
    """[len(positions), size]: each row the weights of one result at a position (0 is the middle of sample 0)
    among `size` samples, by a triangle that reaches `radius` (at least 1); outside, the first and last sample
    go on."""
    radius = max(radius, 1.0)
    reach = int(np.ceil(radius)) + 1
    matrix = np.zeros((len(positions), size))
    for near in range(-reach, reach + 1):
        sample = np.floor(positions).astype(int) + near
        weights = np.maximum(0.0, 1.0 - np.abs(sample - positions) / radius)
        np.add.at(matrix, (np.arange(len(positions)), np.clip(sample, 0, size - 1)), weights)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def resize(plane: NDArray[Any], width: int, height: int, middle: float = 0.5) -> F64:
    """[H, W] or [H, W, C] -> [height, width(, C)]. `middle`: where in its cell a sample lies across; 1/4 for
    chroma that is sited left."""
    from_height, from_width = plane.shape[:2]
    across = (np.arange(width) + middle) * from_width / width - middle
    down = (np.arange(height) + 0.5) * from_height / height - 0.5
    left = resampling(down, from_height, from_height / height)
    right = resampling(across, from_width, from_width / width)
    return np.asarray(np.einsum("yj,ji...,xi->yx...", left, plane.astype(np.float64), right, optimize=True))


def nv12_to_rgb(luma: U8, chroma: U8, place: Place, bt709: bool, full_range: bool) -> F64:
    """luma [H, W], chroma [ceil(H/2), ceil(W/2), 2] -> [3, h, w] in 0..1 on the canvas."""
    # Where each canvas column and row looks, in luma samples. Outside the rectangle: as its nearest column or
    # row.
    column = np.clip(np.arange(place.canvas_width), place.cx, place.cx + place.cw - 1)
    line = np.clip(np.arange(place.canvas_height), place.cy, place.cy + place.ch - 1)
    x = place.sx + (column - place.cx + 0.5) * place.sw / place.cw - 0.5
    y = place.sy + (line - place.cy + 0.5) * place.sh / place.ch - 0.5
    shrink_x, shrink_y = place.sw / place.cw, place.sh / place.ch

    def look(plane: U8, at_x: F64, at_y: F64, reach_x: float, reach_y: float) -> F64:
        down = resampling(at_y, plane.shape[0], reach_y)
        across = resampling(at_x, plane.shape[1], reach_x)
        return np.asarray(down @ plane.astype(np.float64) @ across.T)

    # Chroma sample (i, j) lies at luma column 2i, row 2j + 1/2.
    codes = np.stack(
        [
            look(luma, x, y, shrink_x, shrink_y),
            look(chroma[..., 0], x / 2, (y - 0.5) / 2, shrink_x / 2, shrink_y / 2),
            look(chroma[..., 1], x / 2, (y - 0.5) / 2, shrink_x / 2, shrink_y / 2),
        ]
    )
    zero, scale = code_zero(full_range)[:, None, None], code_scale(full_range)[:, None, None]
    rgb = np.einsum("cy,yhw->chw", np.linalg.inv(to_ycbcr(bt709)), (codes - zero) / scale)
    return np.asarray(np.clip(rgb, 0.0, 1.0))


def rgb_to_nv12(rgb: NDArray[Any], bt709: bool, full_range: bool) -> tuple[U8, U8]:
    """[3, H, W] in 0..1 -> luma, chroma. Chroma at column 2i: a quarter, a half and a quarter of the columns
    about it; both rows alike."""
    wanted = np.nan_to_num(np.asarray(rgb, np.float64), nan=0.0, posinf=1.0, neginf=0.0)
    codes = np.einsum("yc,chw->yhw", to_ycbcr(bt709), np.clip(wanted, 0.0, 1.0))
    codes = codes * code_scale(full_range)[:, None, None] + code_zero(full_range)[:, None, None]
    _, height, width = codes.shape
    rows = codes[1:, [min(y, height - 1) for y in range(height + height % 2)]]
    rows = (rows[:, 0::2] + rows[:, 1::2]) / 2
    middle = np.arange(0, width, 2)
    left, right = np.maximum(middle - 1, 0), np.minimum(middle + 1, width - 1)
    pairs = rows[..., left] / 4 + rows[..., middle] / 2 + rows[..., right] / 4
    return to_bytes(codes[0]), to_bytes(np.moveaxis(pairs, 0, -1))


def composite(
    luma: U8, chroma: U8, edited: NDArray[Any], shown: NDArray[Any], mask: NDArray[Any] | None,
    strength: float, place: Place, bt709: bool, full_range: bool,
) -> tuple[U8, U8]:  # fmt: skip
    """The source with what the edit changes: (edited - shown) * mask * strength, brought to the source's
    size.

    edited, shown [3, h, w] in 0..1, mask [h, w] in 0..1 or None for 1. A pixel whose own canvas pixel has
    mask 0 (or an edit that is not a number), or that the canvas does not show, keeps its byte; chroma keeps
    its bytes when any pixel that shares them does.
    """
    broken = np.isnan(edited).any(axis=0)
    amount = (
        np.ones(broken.shape) if mask is None else np.clip(np.nan_to_num(mask.astype(np.float64)), 0.0, 1.0)
    )
    amount = np.where(broken, 0.0, amount)
    change = np.clip(np.nan_to_num(edited.astype(np.float64), posinf=1, neginf=0), 0, 1) - shown.astype(
        np.float64
    )
    change = np.einsum("yc,chw->yhw", to_ycbcr(bt709), change * amount * strength)
    change = change * code_scale(full_range)[:, None, None]

    def brought(which: F64, x: F64, y: F64, shrink: float) -> F64:
        """One plane of the change at source columns x and rows y, for results `shrink` source samples
        apart."""
        across = place.cx + (x - place.sx + 0.5) * place.cw / place.sw - 0.5
        down = place.cy + (y - place.sy + 0.5) * place.ch / place.sh - 0.5
        left = resampling(down, place.canvas_height, shrink * place.ch / place.sh)
        return np.asarray(
            left @ which @ resampling(across, place.canvas_width, shrink * place.cw / place.sw).T
        )

    height, width = luma.shape
    x, y = np.arange(width), np.arange(height)  # whole numbers: which canvas pixel is theirs must be exact
    own_x = np.clip(
        place.cx + (2 * (x - place.sx) + 1) * place.cw // (2 * place.sw), 0, place.canvas_width - 1
    )
    own_y = np.clip(
        place.cy + (2 * (y - place.sy) + 1) * place.ch // (2 * place.sh), 0, place.canvas_height - 1
    )
    inside = np.outer(
        (y >= place.sy) & (y < place.sy + place.sh), (x >= place.sx) & (x < place.sx + place.sw)
    )
    edits = inside & (amount[np.ix_(own_y, own_x)] > 0)
    new_luma = to_bytes(luma + brought(change[0], x.astype(np.float64), y.astype(np.float64), 1.0))

    padded = np.ones((2 * chroma.shape[0], 2 * chroma.shape[1]), bool)
    padded[:height, :width] = edits
    all_four = padded[0::2, 0::2] & padded[0::2, 1::2] & padded[1::2, 0::2] & padded[1::2, 1::2]
    at_x = 2 * np.arange(chroma.shape[1], dtype=np.float64)
    at_y = 2 * np.arange(chroma.shape[0], dtype=np.float64) + 0.5
    moved = np.stack([brought(plane, at_x, at_y, 2.0) for plane in change[1:]], axis=-1)
    return (
        np.where(edits, new_luma, luma),
        np.where(all_four[..., None], to_bytes(chroma + moved), chroma),
    )


def p016_to_bytes(plane: NDArray[np.uint16], bits: int, full_range: bool, chroma: bool) -> U8:
    """A plane of P016 with `bits` of each sample in its upper bits, in 8 bits."""
    codes = (plane >> (16 - bits)).astype(np.float64)
    low = plane & ((1 << (16 - bits)) - 1)
    codes += low / float(1 << (16 - bits))  # 0 by the format
    if not full_range:
        return to_bytes(codes / (1 << (bits - 8)))
    zero = (1 << (bits - 1), 128) if chroma else (0, 0)
    return to_bytes((codes - zero[0]) / ((1 << bits) - 1) * 255 + zero[1])


def interleave(u: U8, v: U8) -> U8:
    """Two planes [h, w] as NV12's one [h, w, 2]."""
    return np.stack([u, v], axis=-1)


def to_bfloat16(values: NDArray[Any]) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16, ties to even, by way of float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FFF), rounded)


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The numbers that such bits stand for."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
