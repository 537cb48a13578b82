"""Small films of every kind that the reader must read exactly, made by libav, their boxes changed by hand."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

UNIT = Fraction(1, 1000)


@dataclass(frozen=True)
class Kind:
    """`times`: ms of each frame. `skipped`: frames that an edit list hides at the start."""

    name: str = "film.mp4"
    codec: str = "libx264"
    pixels: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    times: tuple[int, ...] = tuple(range(0, 2400, 40))
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    colour: int = 6  # AVColorSpace
    full_range: bool = False
    aspect: Fraction = Fraction(1)
    matrix: tuple[int, int, int, int] | None = None  # a b c d of the display matrix
    skipped: int = 0


def picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB [H, W, 3]: a gradient with a block that moves, the upper left corner red."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 5 * number % 256)], -1).astype(
        np.uint8
    )
    left = number * 3 % max(1, width - 16)
    image[height // 2 : height // 2 + 12, left : left + 16] = (250, 250, 30)
    image[: height // 3, : width // 4] = (230, 20, 20)
    return image


def make(folder: Path, kind: Kind) -> Path:
    path = folder / kind.name
    with av.open(str(path), "w", options=kind.muxer) as file:
        stream: Any = file.add_stream(kind.codec, rate=25)
        stream.width, stream.height = kind.size
        stream.pix_fmt = kind.pixels
        stream.options = kind.options
        context = stream.codec_context
        context.time_base = stream.time_base = UNIT
        context.colorspace = kind.colour
        context.color_range = 2 if kind.full_range else 1
        if kind.aspect != 1:
            context.sample_aspect_ratio = kind.aspect
        for number, time in enumerate(kind.times):
            frame: Any = av.VideoFrame.from_ndarray(picture(number, kind.size), "rgb24")
            frame = frame.reformat(
                format=kind.pixels,
                dst_colorspace="ITU709" if kind.colour == 1 else "ITU601",
                dst_color_range="JPEG" if kind.full_range else "MPEG",
            )
            frame.pts, frame.time_base = time, UNIT
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    if kind.matrix is not None:
        turn(path, kind.matrix)
    if kind.skipped:
        skip(path, kind.times[kind.skipped] - kind.times[0])
    return path


def turn(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write the display matrix of the first track (ISO/IEC 14496-12 §8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (each << 16 for each in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def skip(path: Path, milliseconds: int) -> None:
    """Let the edit list begin later in the track (ISO/IEC 14496-12 §8.6.6)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"mdhd") + 16
    (timescale,) = struct.unpack_from(">I", data, at)
    at = data.index(b"elst") + 16
    (time,) = struct.unpack_from(">i", data, at)
    struct.pack_into(">i", data, at, time + milliseconds * timescale // 1000)
    path.write_bytes(data)
