"""Where a canvas lies on a source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.cuda.place import MOST_SIDE, Place

SIDES = st.integers(1, MOST_SIDE)


@pytest.mark.parametrize(
    ("size", "canvas", "fit", "source", "shown"),
    [
        ((1280, 720), (832, 480), "pad", (0, 0, 1280, 720), (0, 6, 832, 468)),
        ((1280, 720), (832, 480), "crop", (16, 0, 1248, 720), (0, 0, 832, 480)),
        ((1280, 720), (832, 480), "stretch", (0, 0, 1280, 720), (0, 0, 832, 480)),
        ((720, 1280), (832, 480), "pad", (0, 0, 720, 1280), (281, 0, 270, 480)),
        ((640, 480), (640, 480), "pad", (0, 0, 640, 480), (0, 0, 640, 480)),
        ((640, 480), (640, 480), "crop", (0, 0, 640, 480), (0, 0, 640, 480)),
        ((16384, 1), (2, 16384), "pad", (0, 0, 16384, 1), (0, 8191, 2, 1)),
    ],
)
def test_known_places(
    size: tuple[int, int], canvas: tuple[int, int], fit: str, source: tuple[int, ...], shown: tuple[int, ...]
) -> None:
    place = Place.of(*size, canvas, fit)  # type: ignore[arg-type]
    assert place.numbers() == (*size, *canvas, *source, *shown)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["pad", "crop", "stretch"]))
def test_rectangles_lie_inside_and_in_the_middle(width: int, height: int, w: int, h: int, fit: str) -> None:
    place = Place.of(width, height, (w, h), fit)  # type: ignore[arg-type]
    for start, side, whole in (
        (place.sx, place.sw, width), (place.sy, place.sh, height), (place.cx, place.cw, w), (place.cy,
        place.ch, h), ):  # fmt: skip
        assert side >= 1
        assert 0 <= start <= start + side <= whole
        assert 0 <= whole - side - 2 * start <= 1
    if fit == "pad":
        assert (place.sw, place.sh) == (width, height)
        assert place.cw == w or place.ch == h
    if fit == "crop":
        assert (place.cw, place.ch) == (w, h)
        assert place.sw == width or place.sh == height


@pytest.mark.parametrize(
    ("size", "canvas"),
    [((0, 4), (4, 4)), ((4, 4), (4, -1)), ((MOST_SIDE + 1, 4), (4, 4)), ((4, 4), (4, 99999))],
)
def test_sides_have_bounds(size: tuple[int, int], canvas: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="sides must be 1 to 16384"):
        Place.of(*size, canvas)


def test_fits_are_named() -> None:
    with pytest.raises(ValueError, match="fit 'fill': pad, crop or stretch"):
        Place.of(4, 4, (4, 4), "fill")  # type: ignore[arg-type]
