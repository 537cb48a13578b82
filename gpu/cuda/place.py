"""Where a model's canvas lies on a picture of another shape. Whole pixels only; knows no pixels' values."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Literal

Fit = Literal["pad", "crop", "stretch"]
MOST_SIDE = 16384  # of a picture or canvas: positions on it, times a side, times four, stay below 2^31


@dataclass(frozen=True, slots=True)
class Place:
    """The rectangle (sx, sy, sw, sh) of the source is what the canvas' rectangle (cx, cy, cw, ch) shows.

    The rest of the canvas repeats that rectangle's edge; the rest of the source is never edited. The fields
    are in the order in which the kernels take them.
    """

    width: int
    height: int
    canvas_width: int
    canvas_height: int
    sx: int
    sy: int
    sw: int
    sh: int
    cx: int
    cy: int
    cw: int
    ch: int

    @classmethod
    def of(cls, width: int, height: int, canvas: tuple[int, int], fit: Fit = "pad") -> Place:
        """Middle on middle. `pad` shows all of the source in its own shape, `crop` fills the canvas and
        leaves what sticks out, `stretch` does neither. Raises ValueError for sides outside 1..16384 or
        another fit."""
        w, h = canvas
        if min(width, height, w, h) < 1 or max(width, height, w, h) > MOST_SIDE:
            raise ValueError(f"{width}x{height} on a canvas of {w}x{h}: sides must be 1 to {MOST_SIDE}")
        sw, sh, cw, ch = width, height, w, h
        across_is_tighter = w * height < h * width  # canvas pixels a source pixel are fewer across than down
        if fit == "pad":
            if across_is_tighter:
                ch = _at_least_1(height * w, width)
            else:
                cw = _at_least_1(width * h, height)
        elif fit == "crop":
            if across_is_tighter:
                sw = _at_least_1(w * height, h)
            else:
                sh = _at_least_1(h * width, w)
        elif fit != "stretch":
            raise ValueError(f"fit {fit!r}: pad, crop or stretch")
        return cls(
            width,
            height,
            w,
            h,
            (width - sw) // 2,
            (height - sh) // 2,
            sw,
            sh,
            (w - cw) // 2,
            (h - ch) // 2,
            cw,
            ch,
        )

    def numbers(self) -> tuple[int, ...]:
        """All fields in order."""
        return astuple(self)


def _at_least_1(above: int, below: int) -> int:
    """above / below to nearest."""
    return max(1, (2 * above + below) // (2 * below))
