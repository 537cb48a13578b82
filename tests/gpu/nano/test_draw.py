"""Drawings: the programs, their textures, the network and its exported graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpu.nano.edits import moves_sheet, names_of
from gpu.nano.geometry import folded, textures_for

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

from gpu.nano.colour import rgb_to_planes  # noqa: E402
from gpu.nano.distill import draw as task_module  # noqa: E402
from gpu.nano.distill.draw import GRAPH, NAMES, Draw, untrained, write  # noqa: E402
from gpu.nano.distill.draw_network import Stage  # noqa: E402
from gpu.nano.distill.experts import read  # noqa: E402
from gpu.nano.distill.teachers.drawings import DRAWINGS, draw  # noqa: E402


def picture(height: int = 96, width: int = 128) -> np.ndarray:
    rng = np.random.default_rng(4)
    coarse = rng.uniform(size=(height // 16, width // 16, 3))
    return np.kron(coarse, np.ones((16, 16, 1))).astype(np.float32)


def test_every_drawing_has_a_program() -> None:
    assert set(DRAWINGS) == set(names_of("draw")) == {*NAMES, "pixel_art"}


@pytest.mark.parametrize("name", DRAWINGS)
def test_program_draws_the_same_picture_twice_and_differently_from_the_source(name: str) -> None:
    image = picture()
    texture = textures_for(name, 64, 48)
    made = draw(name, image, texture)
    assert made.shape == image.shape
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() <= 1
    np.testing.assert_allclose(made, draw(name, image, texture), atol=1e-5)
    assert np.abs(made - image).mean() > 0.01


@pytest.mark.parametrize("name", DRAWINGS)
def test_program_does_not_boil_with_noise(name: str) -> None:
    image = picture() * 0.8 + 0.1
    noise = np.random.default_rng(5).normal(size=image.shape) * (2 / 255)
    texture = textures_for(name, 64, 48)
    change = np.abs(draw(name, image + noise.astype(np.float32), texture) - draw(name, image, texture))
    assert change.mean() < 6 / 255


@pytest.mark.parametrize("name", DRAWINGS)
def test_textures_repeat_and_are_cut_from_one_sheet(name: str) -> None:
    whole = textures_for(name, 64, 48)
    assert whole.shape == (2, 96, 128)
    assert np.abs(whole).max() <= 1
    assert np.array_equal(whole[:, 16:, 24:], textures_for(name, 52, 40, x=24, y=16))
    assert np.array_equal(whole, textures_for(name, 64, 48, x=512, y=1024))


def test_planes_are_those_of_colour() -> None:
    for mine, theirs in zip(task_module._planes(picture()), rgb_to_planes(picture()), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_a_batch_has_a_finite_loss_that_reaches_trunk_and_heads() -> None:
    task = Draw()
    pool = [np.asarray(picture(320, 320) * 255, np.uint8)] * 2
    net = task.network()
    batch = task.batch(pool, np.random.default_rng(1))
    loss = task.loss(net, tuple(torch.from_numpy(array) for array in batch))
    loss.backward()
    assert torch.isfinite(loss)
    assert net.trunk.bank.weight.grad.abs().sum() > 0
    seen = net.heads["w1"].grad.abs().flatten(1).sum(1) > 0
    assert set(seen.nonzero().flatten().tolist()) == set(batch[0].tolist())


@pytest.mark.parametrize("name", ["blueprint", "cartoon"])
def test_a_drawing_learns_its_sheet_as_it_may_lie(name: str) -> None:
    rng = np.random.default_rng(2)
    sheets = np.stack([task_module.a_sheet(name, rng)[0] for _ in range(12)])
    assert sheets.shape == (12, task_module.SIZE, task_module.SIZE)
    assert np.abs(sheets).max() <= 1
    between = (np.abs(sheets) < 0.9).mean((1, 2)) > 0.02  # of a ruled line, where it lies between two pixels
    straight = np.isin(sheets, (-1, 1)).all((1, 2))
    if moves_sheet(name):
        assert between.any()
        assert straight.any(), "as at the start of a stream"
    else:
        assert not sheets.any()


def test_folded_texture_has_the_cells_of_even_rows_then_of_odd_ones() -> None:
    texture = textures_for("ink", 12, 8)
    made = folded(texture)
    assert made.shape == (2, 4, 12, 8)
    for row, col in ((0, 0), (3, 5), (6, 11), (7, 2)):
        cell = texture[:, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
        assert np.array_equal(made[row % 2, row // 2, col], cell.ravel())


@pytest.mark.parametrize("size", [(80, 112), (8, 8), (16, 24), (88, 40)])  # 8 rows: fewer than strips
def test_graph_equals_the_network_and_amount_0_is_the_source(size: tuple[int, int], tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(2)
    height, width = size
    net = untrained()
    write(net, tmp_path)
    image = np.random.default_rng(8).uniform(size=(height, width, 3)).astype(np.float32)
    luma, chroma = rgb_to_planes(image)
    texture = textures_for("ink", width // 2, height // 2)
    inputs = {
        "luma": luma[None, None],
        "chroma": chroma[None],
        "mask": np.random.default_rng(3).uniform(size=(1, 1, height, width)).astype(np.float32),
    }
    stored = read(tmp_path)
    heads = {key: stored[f"draw/ink/{key}"].astype(np.float32) for key in ("w1", "w2", "b2", "w3", "b3")}
    session = runtime.InferenceSession(str(tmp_path / GRAPH), providers=["CPUExecutionProvider"])

    def scalar(amount: float) -> np.ndarray:
        return np.full((1, 1, 1, 1), amount, np.float32)

    def run(amount: float) -> list[np.ndarray]:
        sheet = {"texture": folded(texture), "amount": scalar(amount)}
        return session.run(None, inputs | sheet | heads)

    same = run(0.0)
    assert np.array_equal(same[0], inputs["luma"])
    assert np.array_equal(same[1], inputs["chroma"])
    arrays = inputs | {"texture": texture[None], "amount": scalar(0.7)} | heads
    with torch.no_grad():
        expected = Stage(net.trunk)(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    for got, wanted in zip(run(0.7), expected, strict=True):
        np.testing.assert_allclose(got, wanted.numpy(), atol=1e-4)
