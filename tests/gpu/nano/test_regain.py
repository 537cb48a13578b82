"""Regaining: edges lie where the camera saw them before they are drawn; the rest stays steadied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpu.engine import Tensor, open_engine
from gpu.models.nano import WEIGHTS
from gpu.nano.engines import shapes_of

W, H = 160, 112
SIZED = ("y", "uv", "luma", "chroma", "mask", "gate")
EDGE = 80  # column


def edge(at: float) -> Tensor:
    """[1,1,H,W] 0..1: dark left of a column, bright right of it, soft over two pixels."""
    line = np.clip((np.arange(W) - at) / 2 + 0.5, 0, 1) * 0.5 + 0.2
    return np.asarray(np.tile(line, (1, 1, H, 1)), np.float32)


def noisy() -> Tensor:
    """uint8 [1,1,H,W] the edge as a camera sees it."""
    exact = edge(EDGE)[0, 0] * 255 + np.random.default_rng(1).normal(0, 2, (H, W))
    return np.asarray(np.rint(exact)[None, None], np.uint8)


def regained(luma: Tensor, gate: float, place: float = 1.0, weights: Path = WEIGHTS) -> Tensor:
    """From the noisy bytes and a steadied luma; `place`: the mask's upper half."""
    shapes = shapes_of(W, H)
    engine = open_engine(weights / "regain.onnx", threads=1, shapes={name: shapes[name] for name in SIZED})
    mask = np.ones(shapes["mask"], np.float32)
    mask[..., : H // 2, :] = place
    moving = np.full(shapes["gate"], gate, np.float32)
    inputs = {"y": noisy(), "luma": luma, "mask": mask, "gate": moving}
    inputs |= {
        "uv": np.full(shapes["uv"], 120, np.uint8),
        "chroma": np.full(shapes["chroma"], 0.5, np.float32),
    }
    out = engine.run(inputs)
    drawn = out["new_chroma"][..., H // 4 :, :]
    assert np.abs(drawn - (0.5 + (1 - gate) * (120 / 255 - 0.5))).max() < 1e-6
    return out["new_luma"]


def misplaced(luma: Tensor) -> float:
    """Levels of 255 by which columns beside the edge are off, mean over the rows."""
    off = (luma - edge(EDGE))[0, 0, 4:-4, EDGE - 2 : EDGE + 3].mean(0)
    return float(np.abs(off).max() * 255)


def test_an_edge_that_moves_lies_where_the_camera_saw_it() -> None:
    late = edge(EDGE - 0.3)  # carried a third of a pixel beside its place
    assert misplaced(late) > 12
    assert misplaced(regained(late, gate=0)) < 0.35 * misplaced(late)


def test_the_noise_that_was_taken_stays_away() -> None:
    calm = edge(EDGE)
    given = regained(calm, gate=0)
    noise, left = noisy() / np.float32(255) - calm, given - calm
    assert left.std() < 0.4 * noise.std()


def test_what_stands_still_stays_as_it_was_steadied() -> None:
    late = edge(EDGE - 0.3)
    assert np.array_equal(regained(late, gate=1), late)


def test_what_is_not_drawn_stays_as_it_was_steadied() -> None:
    late = edge(EDGE - 0.3)
    given = regained(late, gate=0, place=0)
    assert np.array_equal(given[..., : H // 2, :], late[..., : H // 2, :])
    assert not np.array_equal(given, late)


def test_the_graph_in_the_package_is_what_the_code_exports(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from gpu.nano.distill import regain

    regain.export(tmp_path)
    late = edge(EDGE - 0.3)
    assert np.array_equal(regained(late, 0, weights=tmp_path), regained(late, 0))
    assert (tmp_path / "regain_half.onnx").read_bytes() == (WEIGHTS / "regain_half.onnx").read_bytes()
