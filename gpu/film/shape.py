"""How a film's pictures become frames: upright, square pixels, even sizes, 4:2:0, BT.601 limited range.

In the child only: it handles libav's pictures. Odd sizes lose their last column or row. Interlaced pictures
are taken as they are. Alpha is ignored. BT.2020 becomes BT.601 by its matrix alone: HDR is not tone-mapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from gpu.film.matrix import BT709, BT2020, FCC, SMPTE240M, ToBt601, Weights
from gpu.film.types import FilmError
from gpu.types import U8

_MATRIX_BY_AVCOL = {  # AVColorSpace -> swscale's (libavutil/pixfmt.h, libswscale/swscale.h)
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_WEIGHTS = {
    Colorspace.ITU709: BT709,
    Colorspace.FCC: FCC,
    Colorspace.SMPTE240M: SMPTE240M,
    Colorspace.BT2020: BT2020,
}
_FULL = 2  # AVCOL_RANGE_JPEG
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_SD = (1024, 576)  # width, height: larger pictures that do not say are BT.709, as players take them
_WIDEST = 8.0  # of pixels' aspect ratios: beyond, they are damage
# Exact arithmetic, so that a picture is the same on every CPU.
_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True, slots=True)
class Shape:
    """What every frame of a film becomes. `stored_*`: the even size before it is turned."""

    stored_width: int
    stored_height: int
    turned: int  # degrees clockwise, of 90
    mirrored: bool  # left and right change sides, before it is turned

    @property
    def width(self) -> int:
        return self.stored_height if self.turned % 180 else self.stored_width

    @property
    def height(self) -> int:
        return self.stored_width if self.turned % 180 else self.stored_height


def shape_of(picture: Any, sample_aspect: float, most_pixels: int) -> Shape:
    """Of a film that begins with this picture. Raises FilmError where it is too small."""
    width, height = float(picture.width), float(picture.height)
    if 1 / _WIDEST <= sample_aspect <= _WIDEST:
        width, height = width * max(1.0, sample_aspect), height / min(1.0, sample_aspect)
    shrunk = min(1.0, (most_pixels / (width * height)) ** 0.5)
    even = int(width * shrunk + 1e-6) & ~1, int(height * shrunk + 1e-6) & ~1
    if min(even) < 2:
        raise FilmError(f"pictures of {picture.width}x{picture.height} are too small: send at least 2x2")
    return Shape(*even, *_orientation(picture))


def is_full_range(picture: Any) -> bool:
    """RGB always is, and never counts as such."""
    if picture.format.is_rgb:
        return False
    return picture.format.name.startswith("yuvj") or int(picture.color_range) == _FULL


def matrix_of(picture: Any) -> Colorspace:
    """The one it was made with, guessed by its size where it does not say."""
    if int(picture.colorspace) == _UNSPECIFIED:
        large = picture.width > _SD[0] or picture.height > _SD[1]
        return Colorspace.ITU709 if large and not picture.format.is_rgb else Colorspace.ITU601
    return _MATRIX_BY_AVCOL.get(int(picture.colorspace), Colorspace.ITU601)


class Shaper:
    """Writes pictures into frames' planes. Keeps libav's scaler between pictures."""

    def __init__(self, shape: Shape, source_size: tuple[int, int]) -> None:
        """`source_size`: of the first picture; others are scaled to what it became."""
        self._shape = shape
        self._source_size = source_size
        cropped = source_size[0] & ~1, source_size[1] & ~1
        self._scales = (shape.stored_width, shape.stored_height) != cropped
        self._scaler = VideoReformatter()
        self._matrices: dict[Weights, ToBt601] = {}

    def write(self, picture: Any, planes: tuple[U8, U8, U8]) -> bool:
        """Whether the picture had another size than the film. `planes`: y, u, v of the shape's size."""
        size = picture.width, picture.height
        rescaled = size != self._source_size
        matrix = matrix_of(picture)
        plain = self._convert(picture, matrix, rescaled or self._scales)
        y, u, v = (self._upright(plane, number > 0) for number, plane in enumerate(plain.planes[:3]))
        weights = None if picture.format.is_rgb else _WEIGHTS.get(matrix)
        if weights is not None:
            if weights not in self._matrices:
                self._matrices[weights] = ToBt601(weights)
            self._matrices[weights].write((y, u, v), planes)
        else:
            for stored, out in zip((y, u, v), planes, strict=True):
                np.copyto(out, stored)
        return rescaled

    def _upright(self, plane: Any, half: bool) -> U8:
        """A view of one of libav's planes."""
        shape = self._shape
        rows: U8 = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        stored = rows[: shape.stored_height >> half, : shape.stored_width >> half]
        if shape.mirrored:
            stored = stored[:, ::-1]
        return np.rot90(stored, -shape.turned // 90) if shape.turned else stored

    def _convert(self, picture: Any, matrix: Colorspace, scale: bool) -> Any:
        """In yuv420p, limited range, its matrix kept; RGB becomes BT.601."""
        width, height = picture.width, picture.height
        if scale:
            width, height = self._shape.stored_width, self._shape.stored_height
        full = is_full_range(picture)
        if not (scale or full) and picture.format.name == "yuv420p":
            return picture
        return self._scaler.reformat(
            picture,
            width,
            height,
            "yuv420p",
            src_colorspace=matrix,
            dst_colorspace=Colorspace.ITU601 if picture.format.is_rgb else matrix,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=int(_SCALING),
            threads=1,
        )


def _orientation(picture: Any) -> tuple[int, bool]:
    """(degrees clockwise of 90, mirrored) from the display matrix [3, 3], whose upper left part takes stored
    coordinates to shown ones (ISO/IEC 14496-12 §6.2.2)."""
    data = picture.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(data, "<i4", 5).tolist()  # x' = a x + c y, y' = b x + d y
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    if abs(a) >= abs(b):
        return (0 if a >= 0 else 180), mirrored
    return (90 if b > 0 else 270), mirrored
