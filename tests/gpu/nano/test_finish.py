"""Finishing: the exported graphs with the weights in the package."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.engine import Tensor, open_engine
from gpu.models.nano import WEIGHTS
from gpu.nano.engines import shapes_of
from gpu.nano.geometry import is_halved
from gpu.nano.stages import scalar

torch = pytest.importorskip("torch")
from gpu.nano.distill import finish, graphs  # noqa: E402  the `distill` extra may be missing

LEVEL = 1 / 255


def finished(
    size: tuple[int, int], strength: float, cover: float, gain: float
) -> tuple[np.ndarray, np.ndarray]:
    """A random source, and what leaves when its canvas was edited to gain * canvas."""
    width, height = size
    shapes, halved = shapes_of(width, height), size == (1280, 720)
    rng = np.random.default_rng(2)
    y = np.asarray(rng.integers(60, 180, shapes["y"]), np.uint8)
    uv = np.asarray(rng.integers(100, 150, shapes["uv"]), np.uint8)
    planes = (torch.from_numpy(p).float() * LEVEL for p in (y, uv))
    luma, chroma = ((graphs.shrink(p, 2) if halved else p).numpy() for p in planes)
    inputs = {
        "y": y, "uv": uv, "edited_luma": luma * np.float32(gain), "edited_chroma": chroma,
        "cover": np.full(shapes["cover"], cover, np.float32), "strength": scalar(strength),
    }  # fmt: skip
    if halved:
        inputs |= {"luma": luma, "chroma": chroma, "detail": scalar(1.0)}
    sized = {name: tensor.shape for name, tensor in inputs.items() if tensor.size > 1}
    engine = open_engine(WEIGHTS / ("finish_half.onnx" if halved else "finish.onnx"), threads=1, shapes=sized)
    return y, engine.run(inputs)["new_y"]


@pytest.mark.parametrize("size", [(640, 480), (1280, 720)])
@pytest.mark.parametrize(("strength", "cover"), [(0.0, 1.0), (1.0, 0.0)])
def test_what_is_not_covered_is_the_source(size: tuple[int, int], strength: float, cover: float) -> None:
    source, out = finished(size, strength, cover, 0.2)
    assert np.array_equal(source, out)


def covers(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Patches with hard edges, a soft region, and single canvas pixels; all hold zeros and ones."""
    high, wide = shape[-2:]
    rows, cols = np.mgrid[:high, :wide]
    disc = 1.5 - np.hypot(rows - high * 0.45, cols - wide * 0.55) / (high / 4)
    patches = np.kron(rng.integers(0, 2, (high // 5 + 1, wide // 5 + 1)), np.ones((5, 5)))[:high, :wide]
    pixels = rng.choice([0.0, 0.004, 0.5, 1.0], (high, wide), p=[0.9, 0.02, 0.03, 0.05])
    return [
        np.asarray(np.clip(plane, 0, 1), np.float32).reshape(shape)
        for plane in (disc, patches, pixels, 1 - disc)
    ]


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (960, 540), (322, 242)])
def test_no_byte_under_a_pixel_that_is_not_covered_changes(size: tuple[int, int]) -> None:
    """Luma and chroma, at the source's size, however the cover runs; the edit changes all it may."""
    shapes, scale = shapes_of(*size), 1 + is_halved(*size)
    rng = np.random.default_rng(3)
    file = "finish_half.onnx" if scale == 2 else "finish.onnx"
    names = ["y", "uv", "edited_luma", "edited_chroma", "cover"] + ["luma", "chroma"] * (scale == 2)
    engine = open_engine(WEIGHTS / file, threads=1, shapes={name: shapes[name] for name in names})
    fixed: dict[str, Tensor] = {
        name: rng.integers(0, 256, shapes[name], np.uint8)
        if name in ("y", "uv")
        else rng.random(shapes[name], np.float32)
        for name in names
    }
    if scale == 2:
        fixed["detail"] = scalar(0.5)
    for cover in covers(shapes["cover"], rng):
        out = engine.run({**fixed, "cover": cover, "strength": scalar(1.0)})
        full = cover[0, 0].repeat(scale, 0).repeat(scale, 1)
        changed = out["new_y"][0, 0] != fixed["y"][0, 0]
        tinted = (out["new_uv"] != fixed["uv"])[0].any(0).repeat(2, 0).repeat(2, 1)
        assert not (changed | tinted)[full == 0].any()
        assert changed[full == 1].mean() > 0.9
        whole = full.reshape(full.shape[0] // 2, 2, -1, 2).min((1, 3)).repeat(2, 0).repeat(2, 1)
        assert not (whole == 1).any() or tinted[whole == 1].mean() > 0.9


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.3])
def test_detail_finer_than_the_canvas_is_carried_over(gain: float) -> None:
    """Noise of single pixels at 1280x720: the edit is linear, so what leaves is the edit of every pixel."""
    source, out = finished((1280, 720), 1.0, 1.0, gain)
    assert np.abs(out.astype(float) - gain * source).mean() < 3
    assert out.std() == pytest.approx(gain * source.std(), rel=0.08)


def test_doubling_is_bilinear() -> None:
    plane = torch.rand(1, 1, 6, 8)
    wanted = torch.nn.functional.interpolate(plane, scale_factor=2, mode="bilinear", align_corners=False)
    doubled = torch.nn.functional.pixel_shuffle(finish.Double()(plane), 2)
    assert torch.allclose(doubled, wanted, atol=1e-6)
    assert torch.equal(finish.fold(wanted), torch.nn.functional.pixel_unshuffle(wanted, 2))


def test_no_grid_where_the_gain_changes() -> None:
    """An edit of one contrast left and another right of a smooth picture stays smooth at twice the side."""
    ramp = torch.linspace(0.2, 0.8, 64).expand(1, 1, 32, 64)
    edited = ramp * torch.linspace(0.5, 1.1, 64) ** 2
    full = torch.round(torch.nn.functional.interpolate(ramp, scale_factor=2, mode="bilinear") * 255)
    one = torch.ones(1, 1, 1, 1)
    out = finish.FinishHalf().planes(full.to(torch.uint8), ramp, edited, torch.ones_like(ramp), one)
    wanted = torch.nn.functional.interpolate(edited, scale_factor=2, mode="bilinear") * 255
    assert (out.float() - wanted).abs().max() < 2.5
