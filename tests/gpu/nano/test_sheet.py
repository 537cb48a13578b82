"""Sheets of drawings: they go along with the camera and with what moves, and lie still where nothing does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpu.engine import Tensor, open_engine
from gpu.models.nano import WEIGHTS, NanoModel
from gpu.nano.engines import shapes_of
from gpu.nano.geometry import REPEATS, folded, sheet_of, textures_for, unfolded
from gpu.nano.sheet import BLOCK, MOST_ZOOM, Sheet, camera
from gpu.types import Frame
from tests.gpu.nano.conftest import force, opened, same, still_clip

HIGH, WIDE = 30, 40
SURE = np.full((2 * HIGH, 2 * WIDE), 0.8, np.float32)


def busy(seed: int = 1) -> Tensor:
    """Luma [H,W] with something to follow everywhere."""
    return np.random.default_rng(seed).random((BLOCK * HIGH, BLOCK * WIDE), np.float32)


def flow_of(right: float, down: float = 0.0) -> Tensor:
    """Everything moved by so many pixels since the frame before."""
    flow = np.empty((2, HIGH, WIDE), np.float32)
    flow[0], flow[1] = -right / BLOCK, -down / BLOCK
    return flow


def places() -> Tensor:
    rows, columns = np.mgrid[:HIGH, :WIDE]
    return np.asarray((columns + 0.5 - WIDE / 2) * BLOCK + 1j * (rows + 0.5 - HIGH / 2) * BLOCK)


def wrapped(distance: Tensor) -> Tensor:
    return (distance + REPEATS / 2) % REPEATS - REPEATS / 2


def test_the_camera_is_what_most_of_the_picture_agrees_on() -> None:
    zoom, shift = 1.004 + 0.002j, 2.5 - 1.25j
    step = ((zoom - 1) * places() + shift).astype(np.complex64)
    step[8:22, 10:26] = 6.0 + 3.0j  # somebody walks by
    found = camera(step, np.ones((HIGH, WIDE), np.float32))
    assert found[0] == pytest.approx(zoom, abs=3e-4)
    assert found[1] == pytest.approx(shift, abs=0.03)


def test_where_a_good_part_stands_still_the_camera_does() -> None:
    step = np.full((HIGH, WIDE), 3.0 + 0j, np.complex64)
    step[:, : WIDE // 3] = 0
    assert camera(step, np.ones((HIGH, WIDE), np.float32)) == (1, 0)


@pytest.mark.parametrize(("row", "column"), [(30, 40), (31, 41), (30, 41), (31, 40)])
def test_one_light_in_the_dark_leaves_the_sheet_somewhere(row: int, column: int) -> None:
    step, weight = np.zeros((60, 80), np.complex64), np.zeros((60, 80), np.float32)
    step[row, column], weight[row, column] = 1.5 + 0.5j, 0.2
    zoom, shift = camera(step, weight)
    assert zoom == pytest.approx(1, abs=1e-3)
    assert shift == pytest.approx(1.5 + 0.5j, abs=1e-3)


def test_the_whole_sheet_goes_along_with_a_pan() -> None:
    sheet, luma = Sheet(), busy()
    for _ in range(400):  # farther than the sheet is wide
        sheet.follow(flow_of(1.3, 0.4), SURE, luma)
    right, down = sheet.lies(HIGH, WIDE)[0]
    assert np.abs(wrapped(right + 400 * 1.3)).max() < 0.5
    assert np.abs(wrapped(down + 400 * 0.4)).max() < 0.5
    assert max(abs(sheet.shift.real), abs(sheet.shift.imag)) <= REPEATS


def test_what_moves_takes_its_piece_along_and_the_wall_keeps_its_own() -> None:
    sheet, luma, flow = Sheet(), busy(), flow_of(0)
    flow[0, 8:22, 10:26] = -2 / BLOCK
    for _ in range(3):
        sheet.follow(flow, SURE, luma)
    right, down = sheet.lies(HIGH, WIDE)[0]
    assert np.abs(right[12:18, 15:22] + 6).max() < 0.5
    assert not right[:, 30:].any()
    assert not down.any()


def test_a_piece_that_goes_on_is_never_far_from_the_whole() -> None:
    sheet, luma, flow = Sheet(), busy(), flow_of(0)
    flow[0, 8:22, 10:26] = -4 / BLOCK
    for _ in range(200):
        sheet.follow(flow, SURE, luma)
    assert 10 < np.abs(sheet.lies(HIGH, WIDE)).max() < 40


def test_what_is_ruled_does_not_bend_with_what_moves_by_itself() -> None:
    sheet, luma, flow = Sheet(), busy(), flow_of(1.5)
    flow[0, 8:22, 10:26] = -4 / BLOCK
    for _ in range(4):
        sheet.follow(flow, SURE, luma)
    assert np.ptp(sheet.lies(HIGH, WIDE)[0, 0]) > 5
    right, down = sheet.lies(HIGH, WIDE, bends=False)[0]
    assert np.abs(wrapped(right + 6)).max() < 0.3
    assert np.abs(down).max() < 0.3


def test_a_sheet_is_zoomed_a_little_and_no_more() -> None:
    sheet, luma = Sheet(), busy()
    step = -0.01 * places()  # the picture grows by a hundredth each frame
    flow = (np.stack([step.real, step.imag]) / BLOCK).astype(np.float32)
    for _ in range(10):
        sheet.follow(flow, SURE, luma)
    assert abs(sheet.zoom) == pytest.approx(0.99**10, abs=0.01)
    for _ in range(90):
        sheet.follow(flow, SURE, luma)
    assert abs(sheet.zoom) == pytest.approx(1 / MOST_ZOOM)


@pytest.mark.parametrize("share", [SURE, np.zeros_like(SURE)])
def test_nothing_moves_without_motion_or_without_a_frame_before(share: Tensor) -> None:
    sheet = Sheet()
    sheet.follow(flow_of(0) if share.any() else flow_of(3), share, busy())
    assert sheet.moves == 0
    assert not sheet.lies(HIGH, WIDE).any()


def test_after_a_cut_the_sheet_lies_as_it_lay_and_in_one_piece() -> None:
    sheet, luma, flow = Sheet(), busy(), flow_of(2)
    flow[0, 8:22, 10:26] = -5 / BLOCK
    sheet.follow(flow, SURE, luma)
    assert np.ptp(sheet.lies(HIGH, WIDE)[0, 0]) > 1
    moves = sheet.moves
    sheet.follow(flow_of(9), np.zeros_like(SURE), luma)
    right = sheet.lies(HIGH, WIDE)[0, 0]
    assert np.ptp(right) < 0.1
    assert np.abs(wrapped(right + 2)).max() < 0.1
    assert sheet.moves > moves


def test_a_bare_wall_goes_along_with_what_can_be_followed() -> None:
    """Where there is nothing to see the flow says that nothing moves."""
    luma, flow = busy(), flow_of(2)
    luma[:, : BLOCK * 24] = 0.5
    flow[:, :, :24] = 0
    sheet = Sheet()
    for _ in range(5):
        sheet.follow(flow, SURE, luma)
    assert np.abs(wrapped(sheet.lies(HIGH, WIDE)[0, 0, :, :20] + 10)).max() < 0.5


def laid(lies: Tensor, weights: Path = WEIGHTS, edit: str = "ink") -> Tensor:
    engine = open_engine(weights / "sheet.onnx", threads=1, shapes={"lies": lies.shape})
    return engine.run({"tile": sheet_of(edit), "lies": lies})["texture"]


def shifted(right: float, down: float) -> Tensor:
    lies = np.empty((1, 2, HIGH, WIDE), np.float32)
    lies[:, 0], lies[:, 1] = right, down
    return lies


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, 5), (-7, 1030), (511.5, 0), (0.25, -0.5)])
def test_a_sheet_is_laid_where_it_lies(right: float, down: float) -> None:
    x, y = int(np.floor(right)), int(np.floor(down))
    across, along = right - x, down - y
    w, h = 4 * WIDE, 4 * HIGH
    wanted = sum(
        weight * textures_for("ink", w, h, x + dx, y + dy)
        for dx, dy, weight in (
            (0, 0, (1 - across) * (1 - along)), (1, 0, across * (1 - along)),
            (0, 1, (1 - across) * along), (1, 1, across * along),
        )
    )  # fmt: skip
    np.testing.assert_allclose(unfolded(laid(shifted(right, down))), wanted, atol=1e-3)


def test_the_graph_in_the_package_is_what_the_code_exports(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from gpu.nano.distill import sheet

    sheet.export(tmp_path)
    lies = np.random.default_rng(3).normal(0, 40, (1, 2, HIGH, WIDE)).astype(np.float32)
    assert np.array_equal(laid(lies, tmp_path), laid(lies))


def test_unfolded_is_the_inverse_of_folded() -> None:
    texture = textures_for("pencil", 12, 8)
    assert np.array_equal(unfolded(folded(texture)), texture)


W, H = 160, 112


def panned(count: int, right: int) -> list[Frame]:
    """A picture with something to follow everywhere, moving right."""
    rng = np.random.default_rng(4)
    wide = np.kron(rng.integers(40, 210, (H // 4, W)), np.ones((4, 4)))[:, : W + right * count]
    grey = np.full((H // 2, W // 2), 128, np.uint8)
    starts = [right * (count - n) for n in range(count)]
    return [
        Frame(np.asarray(wide[:, at : at + W], np.uint8), grey, grey, 3000 * n) for n, at in enumerate(starts)
    ]


def test_a_pencils_paper_goes_along_and_streaming_equals_streaming(model: NanoModel) -> None:
    state, again = opened(model, W, H), opened(model, W, H)
    force(model, state, "pencil")
    force(model, again, "pencil")
    frames = panned(6, 2)
    made = [model.step(state, [frame])[0] for frame in frames]
    assert all(same(a, model.step(again, [frame])[0]) for a, frame in zip(made, frames, strict=True))
    texture = unfolded(state.memory.textures["pencil"][1])
    inside = np.s_[:, 16:-16, 26:-16]
    gone, straight = (textures_for("pencil", W // 2, H // 2, x=x) for x in (-10, 0))
    assert np.abs(texture - gone)[inside].mean() < 0.12
    assert np.abs(texture - straight)[inside].mean() > 0.3


def test_from_a_stand_the_paper_lies_still(model: NanoModel) -> None:
    state = opened(model, W, H)
    force(model, state, "pencil")
    for frame in still_clip(W, H, 5, noise=1.0):
        model.step(state, [frame])
    moves, texture = state.memory.textures["pencil"]
    assert moves == 0
    assert texture is state.engines.texture("pencil")


def test_who_draws_no_more_forgets_how_the_sheet_lay(model: NanoModel) -> None:
    state = opened(model, W, H)
    force(model, state, "pencil")
    frames = panned(5, 2)
    for frame in frames[:3]:
        model.step(state, [frame])
    assert state.memory.sheet is not None
    force(model, state, "cartoon")
    model.step(state, [frames[3]])
    assert state.memory.sheet is None
    assert not state.memory.textures


def test_two_drawings_share_one_sheet_while_one_becomes_the_other(model: NanoModel) -> None:
    state = opened(model, W, H)
    force(model, state, "pencil")
    frames = panned(6, 2)
    for frame in frames[:3]:
        model.step(state, [frame])
    sheet = state.memory.sheet
    force(model, state, "ink", over_ms=2000)
    for frame in frames[3:]:
        model.step(state, [frame])
    assert state.memory.sheet is sheet
    moves = {name: moved for name, (moved, _) in state.memory.textures.items()}
    assert sheet is not None
    assert moves == {"pencil": sheet.moves, "ink": sheet.moves}
    assert shapes_of(W, H)["lies"][2:] == shapes_of(W, H)["flow"][2:]


@pytest.mark.parametrize("drawing", ["pencil", "comic", "blueprint"])
def test_in_a_span_of_a_film_the_paper_lies_still(model: NanoModel, drawing: str) -> None:
    """What moved before a span is not known there: hatching would jump from span to span."""
    state = opened(model, W, H)
    state.remember_briefly()
    force(model, state, drawing)
    for frame in panned(4, 2):
        model.step(state, [frame])
    state.forget()
    for frame in panned(4, 2):
        model.step(state, [frame])
    assert state.memory.sheet is None
