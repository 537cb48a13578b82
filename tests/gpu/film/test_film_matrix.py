"""The change of matrix equals the one by way of RGB, in real numbers."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.film import matrix
from gpu.film.matrix import ToBt601, Weights


def planes_of(rgb: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    red, blue = weights
    y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    u, v = (rgb[2] - y) / (2 - 2 * blue), (rgb[0] - y) / (2 - 2 * red)
    return 16 + 219 * y, 128 + 224 * u, 128 + 224 * v


@pytest.mark.parametrize("weights", [matrix.BT709, matrix.BT2020, matrix.SMPTE240M, matrix.FCC])
def test_every_colour_comes_out_as_by_rgb(weights: Weights) -> None:
    rgb = np.random.default_rng(0).random((3, 64, 96))
    y, u, v = (np.rint(plane).astype(np.uint8) for plane in planes_of(rgb, weights))
    source = (np.kron(y, np.ones((2, 2), np.uint8)), u, v)
    out = tuple(np.zeros_like(plane) for plane in source)
    ToBt601(weights).write(source, out)
    wanted = planes_of(rgb, matrix.BT601)
    wanted = (np.kron(wanted[0], np.ones((2, 2))), *wanted[1:])
    for ours, theirs in zip(out, wanted, strict=True):
        assert np.abs(ours - theirs).max() < 1.6  # half a step of its own, half of each sample it comes from


def test_grey_stays() -> None:
    grey = (
        np.arange(256, dtype=np.uint8).reshape(16, 16),
        np.full((8, 8), 128, np.uint8),
        np.full((8, 8), 128, np.uint8),
    )
    out = tuple(np.zeros_like(plane) for plane in grey)
    ToBt601(matrix.BT709).write(grey, out)
    for ours, theirs in zip(out, grey, strict=True):
        assert np.array_equal(ours, theirs)
