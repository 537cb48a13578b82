"""What must hold of the kernels whatever their twins say: exact flats, bytes kept, bounds, clear refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu.cuda import twins
from gpu.cuda.kernels import BINDING_BYTES, Kernels
from gpu.cuda.place import Fit, Place
from gpu.cuda.planes import Colours, half
from tests.gpu.cuda import on_cpu
from tests.gpu.cuda.on_cpu import STREAM, binding, bound, device, nv12, padded
from tests.gpu.cuda.shim import SANITIZED, build_kernels, cpu_compiler

BT601 = Colours()
ALL_COLOURS = [Colours(bt709, full) for bt709 in (False, True) for full in (False, True)]
COLOUR_NAMES = [f"{'709' if c.bt709 else '601'}-{'full' if c.full_range else 'limited'}" for c in ALL_COLOURS]
every_colour = pytest.mark.parametrize("colours", ALL_COLOURS, ids=COLOUR_NAMES)


@pytest.fixture(scope="module")
def run(kernel_library: Path) -> Kernels:
    return on_cpu.kernels(kernel_library)


def to_rgb(
    run: Kernels, source: tuple[Any, Any], place: Place, colours: Colours, dtype: Any = np.float16
) -> NDArray[Any]:
    memory, rgb = binding(), np.zeros((3, place.canvas_height, place.canvas_width), dtype)
    run.bind(STREAM, bound(memory), nv12(*source), None, colours, 1.0)
    run.nv12_to_rgb(STREAM, bound(memory), device(rgb), place)
    return rgb


def to_nv12(run: Kernels, rgb: NDArray[Any], colours: Colours) -> tuple[Any, Any]:
    _, height, width = rgb.shape
    luma, chroma = padded((height, width)), padded((half(height), half(width), 2))
    run.rgb_to_nv12(STREAM, device(rgb), nv12(luma, chroma), colours)
    return luma, chroma


def over(
    run: Kernels, source: tuple[Any, Any], edited: NDArray[Any], shown: NDArray[Any],
    mask: NDArray[Any] | None, strength: float, place: Place, colours: Colours = BT601,
) -> tuple[Any, Any]:  # fmt: skip
    """The composite of an edit over a source."""
    luma, chroma = (padded(plane.shape) for plane in source)
    change, kept, memory = np.empty(edited.shape, np.float16), np.empty(edited.shape[1:], np.uint8), binding()
    run.bind(STREAM, bound(memory), nv12(*source), nv12(luma, chroma), colours, strength)
    of_mask = None if mask is None else device(mask)
    run.edit_change(
        STREAM, bound(memory), device(edited), device(shown), of_mask, device(change), device(kept), place
    )
    run.composite(STREAM, bound(memory), device(change), device(kept), place)
    return luma, chroma


def flat(luma: int, blue: int, red: int, size: tuple[int, int]) -> tuple[Any, Any]:
    width, height = size
    chroma = np.empty((half(height), half(width), 2), np.uint8)
    chroma[:] = blue, red
    return np.full((height, width), luma, np.uint8), chroma


def smooth(size: tuple[int, int], step: float) -> tuple[Any, Any]:
    """A picture whose chroma changes by at most `step` codes from sample to sample, in gamut."""
    width, height = size
    y, x = np.mgrid[: half(height), : half(width)]
    blue = 128 + 30 * np.sin(x * step / 30)
    red = 128 + 30 * np.sin(y * step / 30 + 1)
    luma = 120 + 40 * np.sin(np.arange(width) / 3)[None, :] * np.cos(np.arange(height) / 5)[:, None]
    return twins.to_bytes(luma), np.stack([twins.to_bytes(blue), twins.to_bytes(red)], axis=-1)


def noise(seed: int, size: tuple[int, int]) -> tuple[Any, Any]:
    width, height = size
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (height, width), np.uint8),
        rng.integers(0, 256, (half(height), half(width), 2), np.uint8),
    )


@every_colour
def test_flat_colours_come_back_exactly(run: Kernels, colours: Colours) -> None:
    """Every colour of a grid that RGB can say, resized to odd sizes, is the same bytes afterwards."""
    tried = 0
    for r, g, b in np.ndindex(4, 4, 4):
        rgb = np.array([r, g, b], np.float64)[:, None, None] / 3 * np.ones((3, 2, 2))
        luma, chroma = twins.rgb_to_nv12(rgb, *colours)
        y, u, v = int(luma[0, 0]), int(chroma[0, 0, 0]), int(chroma[0, 0, 1])
        wanted = twins.nv12_to_rgb(*flat(y, u, v, (2, 2)), Place.of(2, 2, (1, 1)), *colours)
        if not np.allclose(wanted, wanted.clip(0.002, 0.998)):
            continue  # at the border of the gamut, where rounding to bytes has left it: clipping changes it
        source = flat(y, u, v, (45, 31))
        canvas = to_rgb(run, source, Place.of(45, 31, (26, 17), "stretch"), colours)
        back = to_nv12(run, canvas, colours)
        assert (np.unique(back[0]), np.unique(back[1][..., 0]), np.unique(back[1][..., 1])) == ([y], [u], [v])
        tried += 1
    assert tried >= 8


@pytest.mark.parametrize(
    ("colours", "codes", "rgb"),
    [
        # Written down in ITU-R BT.601 and BT.709 for 100 % bars, limited range.
        (Colours(False, False), (235, 128, 128), (1, 1, 1)),
        (Colours(False, False), (16, 128, 128), (0, 0, 0)),
        (Colours(False, False), (81, 90, 240), (1, 0, 0)),
        (Colours(False, False), (145, 54, 34), (0, 1, 0)),
        (Colours(False, False), (41, 240, 110), (0, 0, 1)),
        (Colours(True, False), (63, 102, 240), (1, 0, 0)),
        (Colours(True, False), (173, 42, 26), (0, 1, 0)),
        (Colours(True, False), (32, 240, 118), (0, 0, 1)),
        (Colours(False, True), (76, 85, 255), (1, 0, 0)),  # JFIF
        (Colours(False, True), (150, 44, 21), (0, 1, 0)),
        (Colours(False, True), (29, 255, 107), (0, 0, 1)),
    ],
)
def test_colour_bars(
    run: Kernels, colours: Colours, codes: tuple[int, int, int], rgb: tuple[int, int, int]
) -> None:
    bar = np.array(rgb, np.float16)[:, None, None] * np.ones((3, 4, 4), np.float16)
    luma, chroma = to_nv12(run, bar, colours)
    assert (int(luma[0, 0]), *(int(value) for value in chroma[0, 0])) == codes
    found = to_rgb(run, flat(*codes, (4, 4)), Place.of(4, 4, (4, 4)), colours)
    assert np.abs(found[:, 0, 0].astype(float) - rgb).max() < 0.006  # codes are rounded


def test_chroma_is_sited_left(run: Kernels) -> None:
    """At the source's own size, chroma column i is exact at luma column 2i, and rows lie between theirs."""
    luma = np.full((4, 6), 128, np.uint8)
    chroma = np.full((2, 3, 2), 128, np.uint8)
    chroma[0, :, 1], chroma[1, :, 1] = [100, 140, 120], [140, 140, 120]
    rgb = to_rgb(run, (luma, chroma), Place.of(6, 4, (6, 4)), Colours(full_range=True))
    red = (rgb[0].astype(float) - 128 / 255) / 1.402 * 255 + 128
    assert red[0] == pytest.approx([100, 120, 140, 130, 120, 120], abs=0.2)  # across: on it, or half way
    assert red[:, 0] == pytest.approx([100, 110, 130, 140], abs=0.2)  # down: a quarter of the way


@every_colour
@pytest.mark.parametrize(("dtype", "most"), [(np.float16, 1), (np.uint16, 2)], ids=["f16", "bf16"])
def test_round_trip(run: Kernels, colours: Colours, dtype: Any, most: int) -> None:
    """Luma comes back to rounding. Chroma is spread over four pixels and gathered again: an eighth of each
    neighbour both ways, so it moves by at most half its steps, and rounding."""
    step = 3.0
    source = smooth((47, 33), step)
    back = to_nv12(run, to_rgb(run, source, Place.of(47, 33, (47, 33)), colours, dtype), colours)
    assert np.abs(back[0].astype(int) - source[0]).max() <= most
    assert np.abs(back[1].astype(int) - source[1]).max() <= most + step / 2
    assert np.abs(back[1].astype(int) - source[1]).mean() <= 0.6 * most


@pytest.mark.parametrize("size", [(96, 64), (97, 61), (200, 33)])
def test_shrinking_keeps_the_mean(run: Kernels, size: tuple[int, int]) -> None:
    """Also of noise and of stripes as fine as pixels, which a filter without antialiasing would lose."""
    stripes = np.zeros((size[1], size[0]), np.uint8)
    stripes[:, ::2] = 255
    for luma in (noise(5, size)[0], stripes):
        for to in ((24, 16), (31, 17)):
            small = np.empty((to[1], to[0]), np.uint8)
            run.resize_planes(STREAM, device(luma), device(small))
            assert small.mean() == pytest.approx(luma.mean(), abs=3.5)
    assert small.std() < 25  # grey, not stripes: those have 127


def test_same_size_is_the_same_bytes(run: Kernels) -> None:
    source = noise(1, (37, 21))
    luma, chroma = padded((21, 37)), padded((11, 19, 2))
    run.resize_nv12(STREAM, nv12(*source), nv12(luma, chroma))
    assert np.array_equal(luma, source[0])
    assert np.array_equal(chroma, source[1])


@every_colour
@pytest.mark.parametrize("canvas", [(64, 48), (32, 24), (21, 17), (90, 70)])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_where_nothing_is_edited_the_bytes_are_kept(
    run: Kernels, colours: Colours, canvas: tuple[int, int], fit: Fit
) -> None:
    """Mask 0, strength 0, and an edit that changes nothing: the source, byte for byte."""
    source, place = noise(2, (64, 48)), Place.of(64, 48, canvas, fit)
    shown = to_rgb(run, source, place, colours)
    edited = np.random.default_rng(3).uniform(0, 1, shown.shape).astype(np.float16)
    for mask in (np.zeros(shown.shape[1:], np.float16), np.zeros(shown.shape[1:], np.uint8)):
        for found, wanted in zip(
            over(run, source, edited, shown, mask, 1.0, place, colours), source, strict=True
        ):
            assert np.array_equal(found, wanted)
    for of, strength in ((edited, 0.0), (shown.copy(), 1.0)):
        for found, wanted in zip(
            over(run, source, of, shown, None, strength, place, colours), source, strict=True
        ):
            assert np.array_equal(found, wanted)


@pytest.mark.parametrize("size", [(64, 48), (61, 47), (128, 96), (640, 90)])
@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_a_pixel_of_mask_0_keeps_its_colour(run: Kernels, size: tuple[int, int], dtype: Any) -> None:
    """Luma and chroma both, up to the mask's border, whatever lies beyond it; and beyond it is edited."""
    source, place = noise(4, size), Place.of(*size, (40, 30), "stretch")
    shown = to_rgb(run, source, place, BT601)
    edited = (1 - shown).astype(np.float16)
    mask = np.zeros((30, 40), dtype)
    mask[7:19, 11:29] = 255 if dtype == np.uint8 else 1.0
    luma, chroma = over(run, source, edited, shown, mask, 1.0, place)
    # The canvas pixel that each source pixel lies in, by whole numbers.
    own_x = (2 * np.arange(size[0]) + 1) * 40 // (2 * size[0])
    own_y = (2 * np.arange(size[1]) + 1) * 30 // (2 * size[1])
    off = mask[np.ix_(own_y, own_x)] == 0
    assert np.array_equal(luma[off], source[0][off])
    shared = np.repeat(np.repeat(chroma != source[1], 2, axis=0), 2, axis=1)[: size[1], : size[0]].any(
        axis=-1
    )
    assert not (shared & off).any()
    assert (luma[~off] != source[0][~off]).mean() > 0.8
    assert shared[~off].mean() > 0.5


@every_colour
def test_all_of_an_edit_of_the_sources_size(run: Kernels, colours: Colours) -> None:
    """Mask 1, strength 1: the edited picture, to rounding, where source and edit lie in RGB's gamut."""
    source, place = smooth((46, 32), 1.0), Place.of(46, 32, (46, 32))
    shown = to_rgb(run, source, place, colours)
    target = smooth((46, 32), 0.5)
    edited = to_rgb(run, (255 - target[0], target[1]), place, colours)
    luma, chroma = over(run, source, edited, shown, np.ones((32, 46), np.float16), 1.0, place, colours)
    wanted = to_nv12(run, edited, colours)
    assert np.abs(luma.astype(int) - wanted[0]).max() <= 1
    assert (
        np.abs(chroma.astype(int) - wanted[1]).max() <= 2
    )  # the source's own chroma was spread and gathered


def test_detail_of_the_source_survives(run: Kernels) -> None:
    """An edit at a quarter of the size that brightens: every pixel is brighter by the same, its texture is
    there."""
    size = (96, 64)
    rng = np.random.default_rng(6)
    source = rng.integers(60, 180, (64, 96), np.uint8), np.full((32, 48, 2), 128, np.uint8)
    place = Place.of(*size, (24, 16))
    shown = to_rgb(run, source, place, BT601)
    luma, chroma = over(run, source, (shown + np.float16(0.1)).astype(np.float16), shown, None, 1.0, place)
    assert np.abs(luma.astype(int) - source[0] - 21.9).max() <= 1.2  # a tenth of 219
    assert np.abs(chroma.astype(int) - 128).max() <= 1


def test_strength_is_a_share_of_the_change(run: Kernels) -> None:
    source, place = flat(60, 128, 128, (32, 32)), Place.of(32, 32, (32, 32))
    shown = to_rgb(run, source, place, BT601)
    edited = np.full(shown.shape, (160 - 16) / 219, np.float16)
    for strength, wanted in ((0.25, 85), (0.5, 110), (1.0, 160)):
        luma, _ = over(run, source, edited, shown, None, strength, place)
        assert np.unique(luma).tolist() == [wanted]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_stay_where_they_are(run: Kernels, bad: float) -> None:
    """A pixel that is not a number leaves the source; an infinite one is the brightest or darkest there
    is."""
    source, place = noise(7, (32, 32)), Place.of(32, 32, (32, 32))
    shown = to_rgb(run, source, place, BT601)
    edited = shown.copy()
    edited[1, 8:12, 8:12] = bad
    luma, chroma = over(run, source, edited, shown, None, 1.0, place)
    wanted = np.zeros((32, 32), bool)
    wanted[8:12, 8:12] = not np.isnan(bad)
    changed = luma != source[0]
    assert not (changed & ~wanted).any()
    if not np.isnan(bad):
        assert changed[wanted].mean() > 0.5
    far = np.ones((16, 16), bool)
    far[3:7, 3:7] = False
    assert np.array_equal(chroma[far], source[1][far])


def test_what_the_canvas_does_not_show_is_kept(run: Kernels) -> None:
    source, place = noise(8, (96, 32)), Place.of(96, 32, (32, 32), "crop")
    shown = to_rgb(run, source, place, BT601)
    luma, chroma = over(run, source, (1 - shown).astype(np.float16), shown, None, 1.0, place)
    assert np.array_equal(luma[:, :32], source[0][:, :32])
    assert np.array_equal(luma[:, 64:], source[0][:, 64:])
    assert np.array_equal(chroma[:, 32:], source[1][:, 32:])
    assert (luma[:, 33:63] != source[0][:, 33:63]).mean() > 0.8


def test_padding_repeats_the_edge(run: Kernels) -> None:
    source = noise(9, (64, 16))
    rgb = to_rgb(run, source, Place.of(64, 16, (64, 32), "pad"), BT601)
    assert np.array_equal(rgb[:, :8], np.repeat(rgb[:, 8:9], 8, axis=1))
    assert np.array_equal(rgb[:, 24:], np.repeat(rgb[:, 23:24], 8, axis=1))
    assert not np.array_equal(rgb[:, 8], rgb[:, 9])


def test_every_half_is_read_and_written_as_itself(run: Kernels) -> None:
    """The shim's conversions: all finite numbers of both kinds, and every midpoint between two, to even."""
    bits = np.arange(65536, dtype=np.uint16)
    halves = bits.view(np.float16)
    for values in (halves[np.isfinite(halves)], bits[np.isfinite(twins.from_bfloat16(bits))]):
        plane = values.reshape(-1, 256)
        same = np.empty_like(plane)
        run.resize_planes(STREAM, device(plane), device(same))
        of = twins.from_bfloat16 if plane.dtype == np.uint16 else np.asarray  # as numbers: -0 comes back as 0
        assert np.array_equal(of(same), of(plane))
    ordered = np.sort(halves[np.isfinite(halves) & (halves >= 0)])
    pairs = np.stack([ordered[:-1], ordered[1:]], axis=-1)[:, None, :]  # [N, 1, 2]: 2:1 is their mean
    found = np.empty((len(pairs), 1, 1), np.float16)
    run.resize_planes(STREAM, device(pairs), device(found))
    assert np.array_equal(found[:, 0, 0], pairs.astype(np.float64).mean(axis=(1, 2)).astype(np.float16))


def test_odd_sizes_under_the_sanitizers(tmp_path: Path) -> None:
    """Every kernel over odd sizes, in a child process in which a byte read or written outside ends it."""
    library = build_kernels(tmp_path, SANITIZED)
    sanitizer = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, timeout=30, check=True
    ).stdout.strip()
    child = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("odd_sizes.py")), str(library)],
        env={
            **os.environ,
            "LD_PRELOAD": sanitizer,
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONMALLOC": "malloc",
        },
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    assert "every kernel ran" in child.stdout


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda planes, more: more.update(strength=1.5), "strength 1.5: it goes from 0 to 1"),
        (lambda planes, more: more.update(strength=float("nan")), "it goes from 0 to 1"),
        (lambda planes, more: planes.update(chroma=np.zeros((5, 8, 2), "u1")), "it must be \\[6, 8, 2\\]"),
        (lambda planes, more: planes.update(luma=np.zeros((11, 15), np.int8)), "NV12 is uint8"),
        (lambda planes, more: planes.update(luma=np.zeros((11, 30), np.uint8)[:, ::2]), "without gaps"),
        (lambda planes, more: more.update(memory=np.zeros(40, np.uint8)), "56 bytes"),
        (lambda planes, more: more.update(target=noise(0, (2, 2))), "2x2"),
    ],
)  # fmt: skip
def test_bind_refuses(run: Kernels, spoil: Any, message: str) -> None:
    planes: dict[str, Any] = {"luma": np.zeros((11, 15), np.uint8), "chroma": np.zeros((6, 8, 2), np.uint8)}
    more: dict[str, Any] = {"strength": 1.0, "memory": binding().view(np.uint8), "target": None}
    spoil(planes, more)
    target = nv12(*more["target"]) if more["target"] else None
    with pytest.raises(ValueError, match=message):
        run.bind(STREAM, device(more["memory"]), nv12(**planes), target, Colours(), more["strength"])


def test_canvases_that_do_not_fit_are_refused(run: Kernels) -> None:
    memory, place = bound(binding()), Place.of(32, 32, (16, 16))
    change, kept = device(np.zeros((3, 16, 16), np.float16)), device(np.zeros((16, 16), np.uint8))
    right = device(np.zeros((3, 16, 16), np.float16))
    other = device(np.zeros((3, 16, 16), np.uint16))
    with pytest.raises(ValueError, match=r"rgb is .*it must be \[3, 16, 16\] without gaps"):
        run.nv12_to_rgb(STREAM, memory, device(np.zeros((3, 8, 8), np.float16)), place)
    with pytest.raises(ValueError, match="float32: it must be float16, or uint16"):
        run.nv12_to_rgb(STREAM, memory, device(np.zeros((3, 16, 16), np.float32)), place)
    with pytest.raises(ValueError, match="one dtype for both"):
        run.edit_change(STREAM, memory, right, other, None, change, kept, place)
    with pytest.raises(ValueError, match="the same memory"):
        run.edit_change(STREAM, memory, right, right, None, change, kept, place)
    another, mask = device(np.zeros((3, 16, 16), np.float16)), device(np.zeros((16, 16), np.float32))
    with pytest.raises(ValueError, match="mask is float32: it must be float16 or uint8"):
        run.edit_change(STREAM, memory, right, another, mask, change, kept, place)
    target = nv12(*noise(0, (4, 4)))
    with pytest.raises(ValueError, match="8 bits: P016 has 9 to 16"):
        run.p016_to_nv12(STREAM, target.luma, target.chroma, target, 8, False)
    with pytest.raises(ValueError, match="only height and width may differ"):
        run.resize_planes(STREAM, right, other)


def test_the_binding_is_as_large_as_the_kernels_say(tmp_path: Path) -> None:
    """Compiled, not counted by hand."""
    probe = tmp_path / "probe.cpp"
    shim, source = Path(__file__).with_name("shim") / "shim.h", Path(on_cpu.__file__).parents[3]
    probe.write_text(
        f'#include "{shim}"\n#include "{source}/gpu/cuda/kernels.cu"\n'
        f"static_assert(sizeof(Binding) == {BINDING_BYTES} && sizeof(Place) == 12 * sizeof(int));\n"
    )
    options = ("-std=c++17", "-fsyntax-only", "-Wno-unknown-pragmas")
    subprocess.run([cpu_compiler(), *options, str(probe)], check=True, timeout=60)
