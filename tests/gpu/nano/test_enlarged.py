"""Small sources: worked on at twice their side, and nobody can tell but by the strokes."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.errors import FrameError
from gpu.models.nano import NanoModel
from gpu.nano.enlarged import EnlargedState, enlarged, shrunk
from gpu.nano.geometry import is_halved, is_small
from gpu.types import Frame, Part
from tests.gpu.nano.conftest import clip, distance, force, opened, picture, same
from tests.gpu.nano.test_untouched import portrait

SIZE = (320, 240)


def test_which_sizes_are_small() -> None:
    assert all(is_small(*size) for size in ((320, 240), (240, 320), (424, 240), (320, 180)))
    assert not any(is_small(*size) for size in ((160, 120), (176, 144), (480, 360), (640, 360)))
    for width in range(16, 1280, 34):
        for height in range(16, 720, 34):
            assert not (is_small(width, height) and is_halved(2 * width, 2 * height))


def test_averaging_undoes_doubling() -> None:
    plane = np.random.default_rng(0).integers(0, 256, (6, 8), np.uint8)
    assert np.array_equal(shrunk(enlarged(plane)), plane)
    assert shrunk(np.array([[1, 2], [2, 1]], np.uint8)).item() == 2
    assert shrunk(np.full((2, 2), 255, np.uint8)).item() == 255


def test_streaming_equals_offline_and_the_source_is_the_source(model: NanoModel) -> None:
    frames = clip(*SIZE, 4)
    wanted = ("watercolour", Part("rain", 0.7, "background"))
    at_once, one_by_one = (force(model, opened(model, *SIZE), *wanted) for _ in range(2))
    assert isinstance(at_once, EnlargedState)
    made = model.step(at_once, frames)
    for frame, one in zip(frames, made, strict=True):
        assert same(model.step(one_by_one, [frame])[0], one)
        assert (one.width, one.height, one.pts, one.arrived_ns) == (*SIZE, frame.pts, frame.arrived_ns)
        assert one.y.flags.c_contiguous
    force(model, at_once)
    assert model.step(at_once, [frames[0]])[0] is frames[0]
    with pytest.raises(FrameError, match="in a 320x240 stream"):
        model.step(at_once, [picture(640, 480)])


def test_a_look_is_what_it_is_on_the_canvas_itself(model: NanoModel) -> None:
    """What a look does to a pixel does not depend on how many of them there are."""
    frame = picture(*SIZE)
    made = model.step(force(model, opened(model, *SIZE), "sepia"), [frame])[0]
    large = Frame(*(plane.repeat(2, 0).repeat(2, 1) for plane in (frame.y, frame.u, frame.v)), frame.pts)
    wanted = model.step(force(model, opened(model, 640, 480), "sepia"), [large])[0]
    thin = Frame(*(plane[::2, ::2] for plane in (wanted.y, wanted.u, wanted.v)), frame.pts)
    assert distance(made, thin) < 0.5


@pytest.mark.parametrize("name", ["starry_night", "rain", "blur"])
def test_a_persons_other_side_stays_the_cameras(model: NanoModel, name: str) -> None:
    state = force(model, opened(model, *SIZE), Part(name, 1.0, "background"))
    for index in range(2):
        frame = portrait(*SIZE, index)
        made = model.step(state, [frame])[0]
    mask = np.asarray(state.memory.person["mask"][0, 0])[: 2 * SIZE[1], : 2 * SIZE[0]]
    kept = mask.reshape(SIZE[1], 2, SIZE[0], 2).min((1, 3)) == 1
    tinted = ((made.u != frame.u) | (made.v != frame.v)).repeat(2, 0).repeat(2, 1)
    assert 0.1 < kept.mean() < 0.9
    assert not (made.y != frame.y)[kept].any()
    assert not tinted[kept].any()


def test_strokes_are_as_fine_as_on_a_larger_camera(model: NanoModel) -> None:
    """The same scene at 320x240 and at 640x480, painted: the small one is the large one made smaller."""
    scene = portrait(640, 480)
    small = Frame(*(shrunk(plane) for plane in (scene.y, scene.u, scene.v)), 0)
    painted = model.step(force(model, opened(model, 640, 480), "watercolour"), [scene])[0]
    wanted = Frame(*(shrunk(plane) for plane in (painted.y, painted.u, painted.v)), 0)
    made = model.step(force(model, opened(model, *SIZE), "watercolour"), [small])[0]
    assert distance(made, wanted) < 0.25 * distance(small, wanted)
