"""A picture that moves, the same every time, and how alike two pictures are."""

from __future__ import annotations

import functools

import numpy as np

from gpu.codec import ENCODES, EncoderConfig, open_encoder
from gpu.types import U8, Codec, EncodedFrame, Frame
from tests.foreign import encode

START_PTS = 1 << 33  # beyond 32 bits: pts are unwrapped
STEP = 3000  # 30 fps


def picture(
    index: int, width: int = 320, height: int = 240, *, step: int = STEP, full_range: bool = False
) -> Frame:
    """Waves and a drifting texture; the index is its time."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = 120 + 55 * np.sin((columns + 4 * index) / 17) + 35 * np.cos((rows - 3 * index) / 11)
    y: U8 = (waves + _texture(height, width, index)).astype(np.uint8)
    u: U8 = (110 + 30 * np.sin((columns[::2, ::2] + index) / 40)).astype(np.uint8)
    v: U8 = (140 + 30 * np.cos((rows[::2, ::2] - index) / 40)).astype(np.uint8)
    return Frame(y, u, v, START_PTS + index * step, 1_000 + index, full_range)


def _texture(height: int, width: int, index: int) -> U8:
    noise = _noise()
    return noise[index % 60 : index % 60 + height, 2 * index % 80 : 2 * index % 80 + width] // 16


@functools.cache
def _noise() -> U8:
    return np.random.default_rng(7).integers(0, 255, (800, 1400), np.uint8)


def encoded(count: int, codec: Codec = "h264", width: int = 320, height: int = 240) -> list[EncodedFrame]:
    """`count` moving pictures, encoded; the first is a keyframe, and every 30th."""
    return list(_encoded(count, codec, width, height))


@functools.cache
def _encoded(count: int, codec: Codec, width: int, height: int) -> tuple[EncodedFrame, ...]:
    if codec not in ENCODES:
        return tuple(encode(codec, [picture(i, width, height) for i in range(count)]))
    encoder = open_encoder(EncoderConfig(codec))
    try:
        return tuple(
            out for i in range(count) for out in encoder.encode(picture(i, width, height), i % 30 == 0)
        )
    finally:
        encoder.close()


def psnr(a: U8, b: U8) -> float:
    """Peak signal to noise ratio in dB; 99 for equal planes."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def same(a: Frame, b: Frame) -> bool:
    """Equal to the byte, with time and range."""
    planes = ((a.y, b.y), (a.u, b.u), (a.v, b.v))
    tags = (a.pts, a.arrived_ns, a.full_range) == (b.pts, b.arrived_ns, b.full_range)
    return tags and all(np.array_equal(one, other) for one, other in planes)
