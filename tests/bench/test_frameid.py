"""Frame numbers survive what a codec and most edits do to a picture, and are refused when they did not."""

from __future__ import annotations

import fractions

import av
import numpy as np
import pytest

from bench.clip import draw_clip
from bench.frameid import STRIP_ROWS, checksum, draw_id, read_id


def picture(number: int) -> np.ndarray:
    y = np.random.default_rng(number).integers(16, 235, (480, 640)).astype(np.uint8)
    draw_id(y, number)
    return y


@pytest.mark.parametrize("number", [0, 1, 2, 255, 256, 40_000, 65_535])
def test_reads_what_was_drawn(number):
    assert read_id(picture(number)) == number


def test_wraps_at_16_bits():
    assert read_id(picture(65_536 + 7)) == 7


@pytest.mark.parametrize(
    "edit",
    [
        lambda y: y // 3 + 20,  # night
        lambda y: 255 - y,  # a negative
        lambda y: (255 * (y / 255) ** 2.2).astype(np.uint8),
        lambda y: np.clip(y.astype(int) + np.random.default_rng(1).normal(0, 30, y.shape), 0, 255).astype(
            np.uint8
        ),
        lambda y: y.reshape(120, 4, 160, 4).mean((1, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1),
    ],
)
def test_survives_edits(edit):
    for number in (3, 1000, 54_321):
        assert read_id(edit(picture(number))) == number


def test_a_destroyed_strip_is_no_number():
    flat = picture(9)
    flat[:STRIP_ROWS] = 128
    assert read_id(flat) is None


def test_wrong_blocks_are_noticed():
    for number in (0, 77, 65_535):
        y = picture(number)
        for block in range(2, 26):
            for wide in (1, 2, 5):
                wrong = y.copy()
                left, right = block * 640 // 28, min(block + wide, 26) * 640 // 28
                wrong[:STRIP_ROWS, left:right] = 251 - wrong[:STRIP_ROWS, left:right]
                assert read_id(wrong) is None


def test_checksum_is_crc8():
    assert (checksum(0), checksum(1), checksum(0x100), checksum(0xFFFF)) == (0x00, 0x07, 0x15, 0x24)


def test_survives_h264_at_a_low_bitrate():
    clip = draw_clip(320, 240, frames=12)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.bit_rate = 320, 240, "yuv420p", 100_000
    encoder.time_base = fractions.Fraction(1, 24)
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast"}
    decoder = av.CodecContext.create("h264", "r")
    seen = []
    for number in range(500, 524):
        planes = clip.frame(number)
        draw_id(planes[:240], number)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = number
        for packet in encoder.encode(frame):
            seen += [read_id(out.to_ndarray()[:240]) for out in decoder.decode(av.Packet(bytes(packet)))]
    seen += [read_id(out.to_ndarray()[:240]) for out in decoder.decode(None)]
    assert seen == list(range(500, 524))
