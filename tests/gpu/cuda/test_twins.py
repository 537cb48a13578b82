"""The reference itself: against numbers worked out by hand, and against libav's converter."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from gpu.cuda import twins
from gpu.cuda.place import Place

ACCURATE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def test_weights_by_hand() -> None:
    half = twins.resampling(np.array([1.5, 3.5]), 6, 2.0)  # 2:1: a triangle over four samples
    assert half.tolist() == [[0.125, 0.375, 0.375, 0.125, 0, 0], [0, 0, 0.125, 0.375, 0.375, 0.125]]
    twice = twins.resampling(np.array([-0.25, 0.25, 0.75]), 3, 0.5)  # 1:2: linear, the edge goes on
    assert twice.tolist() == [[1, 0, 0], [0.75, 0.25, 0], [0.25, 0.75, 0]]
    thirds = twins.resampling(np.array([2.0]), 5, 3.0)
    assert thirds * 9 == pytest.approx(np.array([[1, 2, 3, 2, 1]]))


def test_matrices_are_those_of_the_standards() -> None:
    # ITU-R BT.601-7, 2.5.1 and BT.709-6, 3.2-3.3, to the digits printed there.
    assert twins.to_ycbcr(False)[0] == pytest.approx([0.299, 0.587, 0.114])
    assert twins.to_ycbcr(False)[1] * 1.772 == pytest.approx([-0.299, -0.587, 0.886])
    assert twins.to_ycbcr(False)[2] * 1.402 == pytest.approx([0.701, -0.587, -0.114])
    assert twins.to_ycbcr(True)[0] == pytest.approx([0.2126, 0.7152, 0.0722])
    assert twins.to_ycbcr(True)[1] * 1.8556 == pytest.approx([-0.2126, -0.7152, 0.9278])
    assert twins.to_ycbcr(True)[2] * 1.5748 == pytest.approx([0.7874, -0.7152, -0.0722])


@pytest.mark.parametrize("bt709", [False, True], ids=["601", "709"])
@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
def test_flat_colours_are_what_libav_makes_of_them(bt709: bool, full_range: bool) -> None:
    """To rounding, when libav is asked to count accurately."""
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 196, (24, 3))
    space = Colorspace.ITU709 if bt709 else Colorspace.ITU601
    for y, u, v in colours:
        luma, chroma = np.full((16, 16), y, np.uint8), np.full((8, 8, 2), (u, v), np.uint8)
        frame = av.VideoFrame.from_ndarray(np.vstack([luma, chroma.reshape(8, 16)]), format="nv12")
        rgb = frame.reformat(
            format="rgb24", src_colorspace=space, dst_colorspace=space, dst_color_range=ColorRange.JPEG,
            src_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG, interpolation=ACCURATE,
        ).to_ndarray()  # fmt: skip
        ours = twins.nv12_to_rgb(luma, chroma, Place.of(16, 16, (16, 16)), bt709, full_range)[:, 8, 8] * 255
        assert np.abs(ours - rgb[8, 8]).max() <= 0.51, (y, u, v)


def test_bfloat16_is_the_upper_half_of_a_float() -> None:
    values = np.array([0.0, -0.0, 1.0, 1.00390625, 1.01171875, -2.5, 1e-40, np.inf, np.nan], np.float32)
    bits = twins.to_bfloat16(values)
    # 1 + 1/256 and 1 + 3/256 are half way: to the even one.
    assert [hex(value) for value in bits[:6]] == ["0x0", "0x8000", "0x3f80", "0x3f80", "0x3f82", "0xc020"]
    back = twins.from_bfloat16(bits)
    assert back[7] == np.inf
    assert np.isnan(back[8])
    assert back[6] == pytest.approx(1e-40, rel=0.02)


@pytest.mark.parametrize(
    ("code", "bits", "full_range", "chroma", "wanted"),
    [
        (64, 10, False, False, 16), (940, 10, False, False, 235), (512, 10, False, True, 128), (66, 10, False,
        False, 16), (67, 10, False, False, 17), (1023, 10, True, False, 255), (0, 10, True, False, 0), (512,
        10, True, True, 128), (1023, 10, True, True, 255), (4095, 12, True, False, 255), (256, 12, False,
        False, 16), ],
)  # fmt: skip
def test_ten_bits_by_hand(code: int, bits: int, full_range: bool, chroma: bool, wanted: int) -> None:
    plane = np.array([[code << (16 - bits)]], np.uint16)
    assert twins.p016_to_bytes(plane, bits, full_range, chroma).tolist() == [[wanted]]
