"""Every kernel, run on the CPU, against its twin: random pictures, odd sizes, pitches, both matrices and
ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpu.cuda import twins
from gpu.cuda.kernels import Kernels
from gpu.cuda.place import Fit, Place
from gpu.cuda.planes import Colours, half
from tests.gpu.cuda import on_cpu
from tests.gpu.cuda.on_cpu import STREAM, device, gaps_untouched, nv12, padded

EACH = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SIDES = st.integers(1, 75)
SIZES = st.tuples(SIDES, SIDES)
GAPS = st.sampled_from([0, 1, 2, 37])
COLOURS = st.builds(Colours, st.booleans(), st.booleans())
SEEDS = st.integers(0, 2**32 - 1)
FITS: Any = st.sampled_from(["pad", "crop", "stretch"])
DTYPES = st.sampled_from(["float16", "bfloat16"])


@pytest.fixture(scope="module")
def run(kernel_library: Path) -> Kernels:
    return on_cpu.kernels(kernel_library)


def coded(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Numbers as the canvas holds them."""
    return values.astype(np.float16) if dtype == "float16" else twins.to_bfloat16(values)


def read(codes: NDArray[Any]) -> NDArray[np.float64]:
    return (codes if codes.dtype == np.float16 else twins.from_bfloat16(codes)).astype(np.float64)


def blank(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    return np.zeros(shape, np.float16 if dtype == "float16" else np.uint16)


def picture(seed: int, size: tuple[int, int], gap: int = 0) -> tuple[Any, Any]:
    """Noise in all codes: luma [H, W], chroma [ceil(H/2), ceil(W/2), 2], rows apart by a gap."""
    width, height = size
    rng = np.random.default_rng(seed)
    luma, chroma = padded((height, width), gap=gap), padded((half(height), half(width), 2), gap=gap)
    luma[:], chroma[:] = rng.integers(0, 256, luma.shape), rng.integers(0, 256, chroma.shape)
    return luma, chroma


def off_by(found: NDArray[Any], wanted: NDArray[Any]) -> int:
    assert found.shape == wanted.shape
    return int(np.abs(found.astype(int) - wanted.astype(int)).max())


def close(found: NDArray[Any], wanted: NDArray[Any], dtype: str) -> None:
    """To rounding in the canvas' dtype (half a step of what is below 1), and 1e-4 for what float32 adds."""
    step = 2.0**-11 if dtype == "float16" else 2.0**-8
    assert np.abs(read(found) - wanted).max() <= step / 2 + 1e-4


@EACH
@given(SEEDS, SIZES, SIZES, FITS, COLOURS, DTYPES, GAPS)
def test_nv12_to_rgb(
    run: Kernels, seed: int, size: tuple[int, int], canvas: tuple[int, int], fit: Fit, colours: Colours,
    dtype: str, gap: int,
) -> None:  # fmt: skip
    luma, chroma = picture(seed, size, gap)
    place = Place.of(*size, canvas, fit)
    memory = on_cpu.binding()
    rgb = blank((3, canvas[1], canvas[0]), dtype)
    run.bind(STREAM, on_cpu.bound(memory), nv12(luma, chroma), None, colours, 1.0)
    run.nv12_to_rgb(STREAM, on_cpu.bound(memory), device(rgb), place)
    close(rgb, twins.nv12_to_rgb(luma, chroma, place, *colours), dtype)


@EACH
@given(SEEDS, SIZES, COLOURS, DTYPES, GAPS)
def test_rgb_to_nv12(
    run: Kernels, seed: int, size: tuple[int, int], colours: Colours, dtype: str, gap: int
) -> None:
    width, height = size
    rgb = coded(np.random.default_rng(seed).uniform(-0.2, 1.2, (3, height, width)), dtype)
    luma, chroma = padded((height, width), gap=gap), padded((half(height), half(width), 2), gap=gap)
    run.rgb_to_nv12(STREAM, device(rgb), nv12(luma, chroma), colours)
    wanted = twins.rgb_to_nv12(read(rgb), *colours)
    assert off_by(luma, wanted[0]) <= 1
    assert off_by(chroma, wanted[1]) <= 1
    assert gaps_untouched(luma)
    assert gaps_untouched(chroma)


def composited(
    run: Kernels, source: tuple[Any, Any], edited: NDArray[Any], shown: NDArray[Any],
    mask: NDArray[Any] | None, strength: float, place: Place, colours: Colours, gap: int = 0,
) -> tuple[Any, Any]:  # fmt: skip
    """By both kernels."""
    luma, chroma = (padded(plane.shape, gap=gap) for plane in source)
    change = np.empty(edited.shape, np.float16)
    kept = np.empty(edited.shape[1:], np.uint8)
    memory = on_cpu.binding()
    run.bind(STREAM, on_cpu.bound(memory), nv12(*source), nv12(luma, chroma), colours, strength)
    run.edit_change(
        STREAM, on_cpu.bound(memory), device(edited), device(shown), None if mask is None else device(mask),
        device(change), device(kept), place,
    )  # fmt: skip
    run.composite(STREAM, on_cpu.bound(memory), device(change), device(kept), place)
    assert gaps_untouched(luma)
    assert gaps_untouched(chroma)
    return luma, chroma


@EACH
@given(
    SEEDS,
    SIZES,
    SIZES,
    FITS,
    COLOURS,
    DTYPES,
    GAPS,
    st.sampled_from(["none", "bytes", "canvas"]),
    st.floats(0, 1),
)
def test_composite(
    run: Kernels, seed: int, size: tuple[int, int], canvas: tuple[int, int], fit: Fit, colours: Colours,
    dtype: str, gap: int, mask_kind: str, strength: float,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    source = picture(seed, size, gap)
    place = Place.of(*size, canvas, fit)
    shape = (3, canvas[1], canvas[0])
    edited, shown = coded(rng.uniform(-0.1, 1.1, shape), dtype), coded(rng.uniform(0, 1, shape), dtype)
    mask, amount = None, None
    if mask_kind != "none":
        amount = rng.uniform(-0.5, 1.2, shape[1:]).clip(0, 1)  # a third is 0, a tenth 1
        mask = (amount * 255).astype(np.uint8) if mask_kind == "bytes" else coded(amount, dtype)
        amount = mask / 255 if mask_kind == "bytes" else read(mask)
    luma, chroma = composited(run, source, edited, shown, mask, strength, place, colours, gap)
    wanted = twins.composite(*source, read(edited), read(shown), amount, strength, place, *colours)
    assert off_by(luma, wanted[0]) <= 1
    assert off_by(chroma, wanted[1]) <= 1


@EACH
@given(SEEDS, SIZES, SIZES, GAPS)
def test_resize_nv12(run: Kernels, seed: int, size: tuple[int, int], to: tuple[int, int], gap: int) -> None:
    source = picture(seed, size, gap)
    luma, chroma = padded((to[1], to[0]), gap=gap), padded((half(to[1]), half(to[0]), 2), gap=gap)
    run.resize_nv12(STREAM, nv12(*source), nv12(luma, chroma))
    assert off_by(luma, twins.to_bytes(twins.resize(source[0], *to))) <= 1
    assert off_by(chroma, twins.to_bytes(twins.resize(source[1], half(to[0]), half(to[1]), 0.25))) <= 1
    assert gaps_untouched(luma)
    assert gaps_untouched(chroma)


@EACH
@given(SEEDS, SIZES, SIZES, st.sampled_from(["uint8", "float16", "bfloat16"]), st.integers(1, 4))
def test_resize_planes(
    run: Kernels, seed: int, size: tuple[int, int], to: tuple[int, int], dtype: str, planes: int
) -> None:
    rng = np.random.default_rng(seed)
    if dtype == "uint8":
        source: NDArray[Any] = rng.integers(0, 256, (planes, size[1], size[0]), np.uint8)
        found = np.empty((planes, to[1], to[0]), np.uint8)
    else:
        source = coded(rng.uniform(0, 1, (planes, size[1], size[0])), dtype)
        found = blank((planes, to[1], to[0]), dtype)
    run.resize_planes(STREAM, device(source), device(found))
    for plane, result in zip(source, found, strict=True):
        if dtype == "uint8":
            assert off_by(result, twins.to_bytes(twins.resize(plane, *to))) <= 1
        else:
            close(result, twins.resize(read(plane), *to), dtype)


@EACH
@given(SEEDS, SIZES, GAPS, st.sampled_from([10, 12, 16]), st.booleans())
def test_p016_to_nv12(
    run: Kernels, seed: int, size: tuple[int, int], gap: int, bits: int, full_range: bool
) -> None:
    width, height = size
    rng = np.random.default_rng(seed)
    gap *= 2
    wide = padded((height, width), np.uint16, gap), padded((half(height), half(width), 2), np.uint16, gap)
    for plane in wide:
        plane[:] = rng.integers(0, 1 << bits, plane.shape) << (16 - bits)
    luma, chroma = padded((height, width), gap=gap), padded((half(height), half(width), 2), gap=gap)
    run.p016_to_nv12(STREAM, device(wide[0]), device(wide[1]), nv12(luma, chroma), bits, full_range)
    assert off_by(luma, twins.p016_to_bytes(wide[0], bits, full_range, chroma=False)) <= 1
    assert off_by(chroma, twins.p016_to_bytes(wide[1], bits, full_range, chroma=True)) <= 1
    assert gaps_untouched(luma)
    assert gaps_untouched(chroma)


@EACH
@given(SEEDS, SIZES, GAPS, GAPS)
def test_i420_there_and_back(
    run: Kernels, seed: int, size: tuple[int, int], gap: int, other_gap: int
) -> None:
    luma, chroma = picture(seed, size, gap)
    y, u, v = (padded(shape, gap=other_gap) for shape in (luma.shape, chroma.shape[:2], chroma.shape[:2]))
    run.nv12_to_i420(STREAM, nv12(luma, chroma), device(y), device(u), device(v))
    assert np.array_equal(y, luma)
    assert np.array_equal(twins.interleave(u, v), chroma)
    again = padded(luma.shape, gap=other_gap), padded(chroma.shape, gap=other_gap)
    run.i420_to_nv12(STREAM, device(y), device(u), device(v), nv12(*again))
    assert np.array_equal(again[0], luma)
    assert np.array_equal(again[1], chroma)
    assert all(gaps_untouched(plane) for plane in (y, u, v, *again))
