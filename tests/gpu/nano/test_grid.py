"""The grid of pixel art: planes to art pixels and back, and how it goes along with the camera."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.engine import Tensor
from gpu.nano.grid import SIDE, Grid, Lines
from gpu.nano.sheet import BLOCK, MOST_ZOOM
from tests.gpu.nano.test_sheet import HIGH, SURE, WIDE, busy, flow_of, places

H, W = BLOCK * HIGH, BLOCK * WIDE
LYING = [(1.0, 0j), (1.0, -2.25 + 6.5j), (1.0, 1003.9 - 40.1j), (1.13, 3.3 + 0.7j), (0.81, -17.7 - 5j)]


def shares(lines: Lines) -> Tensor:
    """[n, size] how much of each pixel is each art pixel's."""
    edges = np.array([0, *lines.between, lines.size])
    pixels = np.arange(lines.size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(overlap, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("zoom", "shift"), LYING)
def test_art_pixels_are_means_and_are_spread_by_what_of_a_pixel_is_theirs(
    zoom: float, shift: complex
) -> None:
    lattice = Grid(zoom, shift).lattice(H, W)
    for there, scale in ((lattice, 1), (lattice.halved, 2)):
        rows, columns = shares(there.rows), shares(there.columns)
        assert (rows.shape[1], columns.shape[1]) == (H // scale, W // scale)
        np.testing.assert_allclose(rows.sum(0), 1, atol=1e-5)
        plane = busy()[: H // scale, : W // scale]
        wanted = rows @ plane @ columns.T / rows.sum(1)[:, None] / columns.sum(1)
        cells = there.means(plane)
        np.testing.assert_allclose(cells, wanted, atol=1e-5)
        np.testing.assert_allclose(there.spread(cells), rows.T @ cells @ columns, atol=1e-5)


def test_an_edge_is_crisper_than_where_it_is_and_moves_on_with_it() -> None:
    between = np.array([8.0, 16.1, 24.4, 32.5, 40.8])
    lines = Lines(0, between, 48)
    np.testing.assert_allclose(lines.crisp.between, [8, 16, 24.3, 32.5, 41])
    np.testing.assert_allclose(lines.halved.crisp.between[[0, 2]], [4, 12])
    cells = np.arange(6, dtype=np.float32)[:, None]
    soft = lines.crisp.spread(cells, 0)[:, 0] % 1 != 0
    assert np.flatnonzero(soft).tolist() == [24, 32]


def test_a_straight_grid_has_hard_edges_where_the_screen_has_them() -> None:
    lattice, plane = Grid().lattice(H, W), busy()
    cells = lattice.means(plane)
    blocks = plane.reshape(H // SIDE, SIDE, W // SIDE, SIDE).mean((1, 3))
    np.testing.assert_allclose(cells, blocks, atol=1e-6)
    assert np.array_equal(lattice.crisp.spread(cells), cells.repeat(SIDE, 0).repeat(SIDE, 1))


@pytest.mark.parametrize("zoom", [1 / MOST_ZOOM, 1.0, MOST_ZOOM])
def test_wherever_a_grid_lies_no_art_pixel_is_a_sliver(zoom: float) -> None:
    for shift in np.linspace(-9, 9, 145):
        for size in (16, H):
            lines = Grid(zoom, complex(shift)).lattice(16, size).columns
            wide = np.diff(lines.between, prepend=0, append=size)
            assert 2 <= wide.min() <= wide.max() <= SIDE * MOST_ZOOM + 2
            assert len(lines.numbers) == len(wide)


def test_an_art_pixel_is_of_the_same_things_while_the_camera_pans() -> None:
    grid, world = Grid(), busy()
    before = grid.lattice(H, W - 100)
    cells = before.means(world[:, 100:])
    for _ in range(20):
        grid.follow(flow_of(5), SURE, world)
    now = grid.lattice(H, W - 100)
    moved = now.means(world[:, :-100])
    _, old, new = np.intersect1d(before.columns.numbers[1:-1], now.columns.numbers[1:-1], return_indices=True)
    assert len(old) > WIDE / 4
    np.testing.assert_allclose(moved[:, new + 1], cells[:, old + 1], atol=2e-3)


def test_a_grid_goes_on_with_a_pan_for_ever() -> None:
    grid, luma = Grid(), busy()
    for _ in range(400):
        grid.follow(flow_of(1.3, 0.4), SURE, luma)
    assert grid.shift == pytest.approx(-400 * (1.3 + 0.4j), abs=0.5)
    assert grid.zoom == pytest.approx(1, abs=1e-3)
    assert grid.lattice(H, W).columns.first == pytest.approx(-520 / SIDE, abs=1)


@pytest.mark.parametrize("share", [SURE, np.zeros_like(SURE)])
def test_who_walks_by_and_another_scene_leave_it_straight(share: Tensor) -> None:
    grid, flow = Grid(), flow_of(0)
    flow[0, 8:22, 10:26] = -4 / BLOCK
    for _ in range(5):
        grid.follow(flow if share.any() else flow_of(3), share, busy())
    assert (grid.zoom, grid.shift) == (1.0, 0j)


def test_after_a_cut_it_lies_straight_again() -> None:
    grid = Grid(1.1, 3 + 2j)
    grid.follow(flow_of(3), np.zeros_like(SURE), busy())
    assert (grid.zoom, grid.shift) == (1.0, 0j)


def zooming(by: float) -> Tensor:
    step = -by * places()
    return (np.stack([step.real, step.imag]) / BLOCK).astype(np.float32)


def test_art_pixels_grow_with_a_zoom_a_little_and_no_more() -> None:
    grid, luma = Grid(), busy()
    for _ in range(10):
        grid.follow(zooming(0.01), SURE, luma)
    assert grid.zoom == pytest.approx(0.99**10, abs=0.01)
    for _ in range(90):
        grid.follow(zooming(0.01), SURE, luma)
    assert grid.zoom == pytest.approx(1 / MOST_ZOOM)


def test_they_get_back_to_their_size_while_the_picture_moves_and_not_while_it_stands() -> None:
    grid, luma = Grid(1.2), busy()
    for _ in range(100):
        grid.follow(flow_of(0), SURE, luma)
    assert (grid.zoom, grid.shift) == (1.2, 0j)
    before = grid.lattice(H, W).columns.between
    grid.follow(flow_of(2), SURE, luma)
    after = grid.lattice(H, W).columns.between
    nearest = np.abs(before[:, None] + 2 - after).min(1)
    assert nearest[2:-2].max() < 0.12, "nobody sees it go"
    for _ in range(1500):
        grid.follow(flow_of(2), SURE, luma)
    assert grid.zoom == pytest.approx(1, abs=0.01)


def test_it_does_not_turn_and_what_turned_still_moves_it_the_right_way() -> None:
    grid, luma = Grid(), busy()
    turn = (np.exp(0.01j) - 1) * places()
    for _ in range(30):
        grid.follow((np.stack([turn.real, turn.imag]) / BLOCK).astype(np.float32), SURE, luma)
    assert grid.zoom == pytest.approx(1, abs=0.01)
    assert abs(grid.shift) < 1
    before = grid.shift
    grid.follow(flow_of(4), SURE, luma)
    assert grid.shift - before == pytest.approx(-4, abs=0.1)
