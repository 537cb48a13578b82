"""Pixel art: the program, and its art pixels that go along with the camera through a stream."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gpu.engine import Tensor
from gpu.models.nano import NanoModel, _graphs_of
from gpu.nano import pixel_art
from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.grid import SIDE, Grid
from gpu.nano.plan import plan_of
from gpu.types import Frame, Part
from tests.gpu.nano.conftest import distance, force, opened, picture, psnr, same, still_clip
from tests.gpu.nano.test_sheet import H, W, panned

NAME = pixel_art.NAME


def soft_picture(height: int = 96, width: int = 128) -> Tensor:
    """RGB [H,W,3], colours of all kinds."""
    image = np.random.default_rng(6).random((height // 8, width // 8, 3), np.float32)
    return np.kron(image, np.ones((8, 8, 1), np.float32)) * 0.8 + 0.1


@pytest.mark.parametrize("grid", [Grid(), Grid(1.06, 3.4 - 21.7j)])
def test_the_program_is_its_teachers(grid: Grid, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    pytest.importorskip("torch")
    from gpu.nano.distill.teaching import Teachers

    image = soft_picture()
    lattice = grid.lattice(*image.shape[:2])
    luma, chroma = rgb_to_planes(image)
    made = pixel_art.made_of(luma, chroma, lattice)
    teachers = Teachers(tmp_path, (128, 96))
    wanted = teachers.pixel_art(image, lattice)
    off = np.abs(planes_to_rgb(*made) - planes_to_rgb(*rgb_to_planes(wanted)))
    assert off.mean() < 2e-3
    if grid == Grid():
        np.testing.assert_allclose(wanted, teachers.picture(NAME, image, 0), atol=1e-5)


def test_lights_are_few_and_greys_stay_grey() -> None:
    grey = np.tile(np.linspace(16 / 255, 235 / 255, 1280, dtype=np.float32), (64, 1))
    chroma = np.full((2, 32, 640), 128 / 255, np.float32)
    luma, chroma = pixel_art.made_of(grey, chroma, Grid().lattice(*grey.shape))
    levels = (16 + 219 * (np.arange(7) + 0.5) / 7) / 255
    away = np.abs(luma[..., None] - levels).min(-1)
    assert (away < 1 / 255).mean() > 0.6, "what is not is on a step"
    np.testing.assert_allclose(chroma, 128 / 255, atol=1e-6)


def run(
    model: NanoModel, frames: Sequence[Frame], briefly: bool = False
) -> tuple[list[Frame], list[complex]]:
    """Edited, and the grid's shift under each."""
    state = force(model, opened(model, W, H), NAME)
    if briefly:
        state.remember_briefly()
    made, shifts = [], []
    for frame in frames:
        made += model.step(state, [frame])
        assert state.memory.grid is not None
        shifts.append(state.memory.grid.shift)
    return made, shifts


def change(frames: Sequence[Frame], right: int) -> float:
    """Mean difference of a frame from the one before, moved along."""
    inside = np.s_[16:-16, 24:-24]
    pairs = itertools.pairwise(frames)
    return float(np.mean([np.abs(np.roll(a.y.astype(int), right, 1) - b.y)[inside].mean() for a, b in pairs]))


def test_art_pixels_go_along_with_the_camera_and_streaming_equals_streaming(model: NanoModel) -> None:
    frames = panned(8, 3)
    made, shifts = run(model, frames)
    assert all(map(same, made, run(model, frames)[0]))
    assert shifts[-1] == pytest.approx(-3 * 7, abs=1)
    assert change(made[2:], 3) < 0.3 * change(run(model, frames, briefly=True)[0][2:], 3)


def test_from_a_stand_they_are_the_screens_and_even(model: NanoModel) -> None:
    made, shifts = run(model, still_clip(W, H, 4, noise=1.0))
    assert not any(shifts)
    blocks = made[-1].y.reshape(H // SIDE, SIDE, W // SIDE, SIDE)
    assert not np.ptp(blocks, (1, 3)).any()


def test_in_a_span_of_a_film_they_are_the_screens(model: NanoModel) -> None:
    """What moved before a span is not known there."""
    made, shifts = run(model, panned(4, 3), briefly=True)
    assert not any(shifts)
    assert not np.ptp(made[-1].y.reshape(H // SIDE, SIDE, W // SIDE, SIDE), (1, 3)).any()


def test_by_half_it_is_half_way(model: NanoModel) -> None:
    frame = picture(W, H)
    full, half = (
        model.step(force(model, opened(model, W, H), Part(NAME, amount)), [frame])[0] for amount in (1.0, 0.5)
    )
    between = [
        np.asarray((p.astype(np.uint16) + q + 1) // 2, np.uint8)
        for p, q in ((frame.y, full.y), (frame.u, full.u), (frame.v, full.v))
    ]
    assert psnr(Frame(*between, frame.pts), half) > 45
    assert distance(full, frame) > 5


def test_who_makes_no_pixel_art_forgets_the_grid(model: NanoModel) -> None:
    state = force(model, opened(model, W, H), NAME)
    frames = panned(4, 3)
    for frame in frames[:3]:
        model.step(state, [frame])
    force(model, state, "sepia")
    model.step(state, [frames[3]])
    assert state.memory.grid is None


def test_while_the_one_before_fades_the_grid_goes_on(model: NanoModel) -> None:
    state = force(model, opened(model, W, H), NAME)
    frames = panned(6, 3)
    for frame in frames[:3]:
        model.step(state, [frame])
    force(model, state, NAME, "sepia", over_ms=2000)
    for frame in frames[3:]:
        model.step(state, [frame])
    assert state.memory.grid is not None
    assert state.memory.grid.shift == pytest.approx(-3 * 5, abs=1)


def test_no_graph_is_compiled_for_it() -> None:
    assert _graphs_of(plan_of([Part(NAME, 1.0)])) == {"regain"}
