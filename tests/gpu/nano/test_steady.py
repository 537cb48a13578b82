"""Steadying: the exported graph with the weights in the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpu.engine import Tensor, open_engine
from gpu.models.nano import WEIGHTS
from gpu.nano.engines import shapes_of
from gpu.nano.stages import scalar

W, H = 160, 112


def scene(shift: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clean y [H,W] and uv [2,H/2,W/2] in levels: soft waves, and a hard edge that can move."""
    rows, cols = np.mgrid[:H, :W].astype(np.float64)
    band = np.clip(cols - 60 - shift, 0, 1) * np.clip(100 + shift - cols, 0, 1)
    y = 110 + 40 * np.sin(cols / 11) * np.cos(rows / 9) + 50 * band
    uv = np.full((2, H // 2, W // 2), 120.0)
    return y, uv


def panned(shift: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture with something to follow everywhere, moved to the right by `shift` pixels."""
    rows, cols = np.mgrid[:H, :W].astype(np.float64)
    x = cols - shift
    y = 120 + 30 * np.sin(x / 3.1 + rows / 7) + 25 * np.cos(x / 5.3 - rows / 3.7) + 20 * np.sin(rows / 2.9)
    uv = np.stack([120 + 20 * np.sin(x[::2, ::2] / 9), 130 + 20 * np.cos(rows[::2, ::2] / 7)])
    return y, uv


Shown = list[tuple[np.ndarray, dict[str, Tensor]]]


def steadied(
    noise: float,
    frames: int,
    speed: float = 0,
    view: object = scene,
    weights: Path = WEIGHTS,
    graph: str = "steady",
) -> Shown:
    """(clean luma, what the graph gave) of every frame."""
    assert callable(view)
    shapes = shapes_of(W, H)
    caches = ("cache_luma", "cache_chroma")[: 1 if graph == "follow" else 2]
    sized = {name: shapes[name] for name in ("y", "uv", *caches)}
    engine = open_engine(weights / f"{graph}.onnx", threads=1, shapes=sized)
    rng = np.random.default_rng(1)
    kept = {name: np.zeros(shapes[name], np.float32) for name in caches}
    shown: Shown = []
    for t in range(frames):
        clean, clean_uv = view(speed * t)
        y, uv = (
            np.asarray((p + rng.normal(0, noise, p.shape)).round().clip(0, 255), np.uint8)
            for p in (clean, clean_uv)
        )
        out = engine.run({"y": y[None, None], "uv": uv[None], **kept, "keep": scalar(t > 0)})
        kept = {name: out[name.removeprefix("cache_")] for name in caches}
        shown.append((clean, out))
    return shown


def levels(out: dict[str, Tensor]) -> Tensor:
    return np.asarray(out["luma"][0, 0] * 255)


def rms(error: Tensor) -> float:
    return float(np.sqrt((error**2).mean()))


def test_noise_goes_where_the_picture_stands_still() -> None:
    shown = steadied(noise=2.0, frames=24)
    before, after = levels(shown[-2][1]), levels(shown[-1][1])
    assert np.abs(after - before).mean() < 0.25 * 2.0 * 2 / np.pi**0.5  # of what noise changes by
    assert rms(after - shown[-1][0]) < 1.0
    assert shown[0][1]["gate"].max() == 0, "nothing to keep on the first frame"
    assert shown[-1][1]["gate"].mean() > 0.7


def test_a_moving_edge_leaves_no_ghost() -> None:
    clean, out = steadied(noise=2.0, frames=10, speed=3)[-1]
    assert np.abs(levels(out) - clean).max() < 12, "six times the noise"
    gate = out["gate"][0, 0]
    assert gate[:, :5].mean() > gate[:, 10:12].mean() + 0.2


@pytest.mark.parametrize("speed", [0.4, 1.0, 2.7, 6.0])
def test_noise_goes_along_with_what_moves(speed: float) -> None:
    shown = steadied(noise=3.0, frames=12, speed=speed, view=panned)
    inside = np.s_[8:-8, 8 + int(8 * speed) : -8]
    clean, out = shown[-1]
    assert rms((levels(out) - clean)[inside]) < 0.75 * 3.0
    assert out["gate"].mean() < 0.1, "it moves"
    assert np.median(out["flow"][0, 0]) * 8 == pytest.approx(-speed, abs=0.1)


def test_a_cut_keeps_nothing() -> None:
    shapes = shapes_of(W, H)
    sized = {name: shapes[name] for name in ("y", "uv", "cache_luma", "cache_chroma")}
    engine = open_engine(WEIGHTS / "steady.onnx", threads=1, shapes=sized)
    y, uv = (np.asarray(p.round(), np.uint8) for p in scene())
    other = np.random.default_rng(2).random(shapes["cache_luma"], np.float32)
    kept = {"cache_luma": other, "cache_chroma": np.zeros(shapes["cache_chroma"], np.float32)}
    out = engine.run({"y": y[None, None], "uv": uv[None], **kept, "keep": scalar(True)})
    assert np.abs(levels(out) - y).max() < 1e-3
    assert max(out["share"].max(), out["gate"].max()) == 0


def test_without_a_frame_before_the_source_stays() -> None:
    clean, out = steadied(noise=0.0, frames=1)[0]
    assert np.abs(levels(out) - clean.round()).max() < 1e-3
    assert out["share"].max() == 0


def test_the_graphs_in_the_package_are_what_the_code_exports(tmp_path: Path) -> None:
    """Nothing is learned, so the weights are the code; at another size than they were traced at, too."""
    pytest.importorskip("torch")
    from gpu.nano.distill import steady

    steady.export(tmp_path)
    for graph in ("steady", "follow"):
        made = (steadied(2.0, 3, 1.3, panned, weights, graph)[-1][1] for weights in (tmp_path, WEIGHTS))
        for mine, shipped in zip(*(one.values() for one in made), strict=True):
            assert np.array_equal(mine, shipped)
        assert (tmp_path / f"{graph}_half.onnx").stat().st_size > 1000


def test_what_is_painted_is_followed_and_left_as_it_is() -> None:
    moving, still = (steadied(2.0, 8, speed, panned, graph="follow")[-1][1] for speed in (2.0, 0.0))
    assert np.median(moving["flow"][0, 0]) * 8 == pytest.approx(-2.0, abs=0.1)
    assert moving["share"][..., 4:-4, 8:-4].mean() > 0.4
    assert moving["gate"].mean() < 0.1
    assert still["gate"].mean() > 0.7
    for graph in ("steady", "follow"):
        given = steadied(2.0, 2, 0.0, panned, graph=graph)
        noisy = np.abs(levels(given[1][1]) - np.round(levels(given[1][1]))).max() < 1e-3
        assert noisy == (graph == "follow"), "the camera's bytes, and averages of them"
