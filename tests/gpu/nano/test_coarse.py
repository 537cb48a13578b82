"""Graphs at half a canvas: doubling and its inverse, and a blur as wide as on the canvas half as fine."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from gpu.models.nano import WEIGHTS, NanoModel
from gpu.nano import coarse
from gpu.nano.engines import Engines
from gpu.nano.geometry import MOST_PIXELS_PLUS, is_fine, is_halved, padded_size, working_size
from gpu.nano.particles import _tiles
from gpu.nano.stages import scalar
from gpu.types import Part
from tests.gpu.nano.conftest import force, opened, same
from tests.gpu.nano.test_person import iou
from tests.gpu.nano.test_untouched import portrait

SIZE = (1280, 720)


@pytest.fixture(scope="module")
def plus() -> NanoModel:
    return NanoModel(WEIGHTS, threads=1, name="nano-plus")


def test_a_fine_canvas_is_as_large_as_its_source() -> None:
    most = MOST_PIXELS_PLUS
    for size in ((1280, 720), (720, 1280), (960, 540), (854, 480), (1278, 718)):
        w, h = working_size(*size, most)
        assert is_fine(*size, most) == is_halved(*size)
        assert not is_halved(*size, most)
        assert padded_size(*size, most) == (2 * w, 2 * h)
        assert w % 8 == 0 == h % 8 or not is_fine(*size, most)
        assert 0 <= 2 * w - size[0] < 16
        assert 0 <= 2 * h - size[1] < 16
    for size in ((640, 480), (848, 480), (322, 242)):
        assert not is_fine(*size, most)
        assert working_size(*size, most) == working_size(*size)


def test_doubling_is_linear_and_keeps_what_it_was_given() -> None:
    planes = np.random.default_rng(0).random((1, 2, 6, 8), np.float32)
    twice = coarse.doubled(planes)
    assert twice.shape == (1, 2, 12, 16)
    assert np.array_equal(twice[..., ::2, ::2], planes)
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32), (1, 1, 6, 8))
    assert np.allclose(np.diff(coarse.doubled(ramp)[0, 0, :, :-1], axis=1), 0.5)
    assert np.allclose(coarse.halved(twice[..., :2, :2]), twice[..., :2, :2].mean((2, 3), keepdims=True))
    sure = np.zeros((1, 1, 6, 8), np.float32)
    sure[..., 4:] = 1
    assert set(np.unique(coarse.doubled(sure))) == {0, 0.5, 1}, "sure stays sure"


@pytest.mark.parametrize("amount", [0.2, 0.7, 1.0])
def test_the_blur_is_what_the_coarse_graph_makes_mixed_in_here(amount: float) -> None:
    """Where all is blurred, the coarse picture enlarged; where nothing is, the picture to the bit."""
    engines = Engines(WEIGHTS, "auto", 1, SIZE, MOST_PIXELS_PLUS)
    rng = np.random.default_rng(1)
    luma = rng.random(engines.shapes["luma"], np.float32)
    chroma = rng.random(engines.shapes["chroma"], np.float32)
    mask = np.zeros(engines.shapes["mask"], np.float32)
    mask[..., 640:] = 1
    out = engines.run("blur", {"luma": luma, "chroma": chroma, "mask": mask, "amount": scalar(amount)})
    small = Engines(WEIGHTS, "auto", 1, (640, 360))
    inputs = {"luma": coarse.halved(luma), "chroma": coarse.halved(chroma), "mask": coarse.halved(mask)}
    wanted = small.run("blur", {**inputs, "amount": scalar(amount)})
    made = out["new_luma"]
    assert np.array_equal(made[..., :640], luma[..., :640])
    little = min(1.0, amount / coarse.BLUR_TURN)
    blurred = inputs["luma"] + (wanted["new_luma"] - inputs["luma"]) / np.float32(little)
    mixed = luma + np.float32(little) * (coarse.doubled(blurred) - luma)
    assert np.abs(made[..., 660:] - mixed[..., 660:]).max() < 1e-5
    for each in (engines, small):
        each.close()


@pytest.mark.parametrize("size", [SIZE, (854, 480)])
def test_nano_plus_leaves_the_other_side_as_it_is_and_streams_as_it_plays(
    plus: NanoModel, size: tuple[int, int]
) -> None:
    parts = (Part("watercolour", 1.0, "background"), Part("blur", 0.8, "background"))
    one, other = (force(plus, opened(plus, *size), *parts) for _ in range(2))
    frames = [portrait(*size, index) for index in range(3)]
    at_once = plus.step(one, frames)
    for frame, made in zip(frames, at_once, strict=True):
        (again,) = plus.step(other, [frame])
        assert same(made, again)
    mask = np.asarray(one.memory.person["mask"][0, 0])[: size[1], : size[0]]
    made, frame = at_once[-1], frames[-1]
    kept = mask == 1
    assert 0.1 < kept.mean() < 0.9
    assert not (made.y != frame.y)[kept].any()
    tinted = ((made.u != frame.u) | (made.v != frame.v)).repeat(2, 0).repeat(2, 1)
    assert not tinted[kept].any()
    assert (made.y != frame.y)[mask == 0].mean() > 0.5


def test_the_person_is_the_one_that_nano_finds(plus: NanoModel, model: NanoModel) -> None:
    masks = []
    for each in (model, plus):
        state = force(each, opened(each, *SIZE), Part("negative", 1.0, "person"))
        for index in range(3):
            each.step(state, [portrait(*SIZE, index)])
        masks.append(np.asarray(state.memory.person["mask"][0, 0]))
    coarse_mask = masks[0].repeat(2, 0).repeat(2, 1)
    assert iou(coarse_mask > 0.5, masks[1] > 0.5) > 0.97


def arrays(thing: object) -> dict[int, np.ndarray]:
    """Every array that a state holds, by identity; what streams share by size is not its own."""
    if isinstance(thing, np.ndarray):
        return {id(thing): thing}
    parts: list[object] = []
    if isinstance(thing, dict):
        parts = list(thing.values())
    elif isinstance(thing, tuple | list):
        parts = list(thing)
    elif is_dataclass(thing):
        parts = [getattr(thing, field.name) for field in fields(thing) if field.name != "engines"]
    return {key: array for part in parts for key, array in arrays(part).items()}


@pytest.mark.parametrize("names", [("mosaic", "cubist"), ("pencil", "ink")])
def test_a_stream_takes_no_more_memory_than_is_said(
    model: NanoModel, plus: NanoModel, names: tuple[str, str]
) -> None:
    """In a transition between two arts of the background, when most is kept."""
    weather = sum(tile.nbytes for tiles in _tiles(*SIZE) for tile in tiles)
    for each in (model, plus):
        state = opened(each, *SIZE)
        for index, name in enumerate(names):
            force(each, state, Part(name, 1.0, "background"), over_ms=400)
            for more in range(2):
                each.step(state, [portrait(*SIZE, 2 * index + more)])
        assert state.shown is not None
        held = weather + sum(array.nbytes for array in arrays(state).values())
        said = each.spec.memory_bytes_per_stream
        assert 0.5 * said < held < said, (each.spec.name, held)
