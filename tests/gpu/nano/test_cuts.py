"""Where the camera cuts to another scene, nothing of the one before is seen, and nothing has to settle."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.models.nano import NanoModel
from gpu.types import Frame, Part
from tests.gpu.nano.conftest import clip, force, opened, same


def elsewhere(width: int, height: int, frames: int) -> list[Frame]:
    """Another scene: bright and calm where `clip` has a pattern."""
    down = np.linspace(235, 150, height).astype(np.uint8)[:, None]
    y = np.ascontiguousarray(np.broadcast_to(down, (height, width)))
    u, v = (np.full((height // 2, width // 2), level, np.uint8) for level in (90, 170))
    return [Frame(y, u, v, 3000 * number) for number in range(frames)]


@pytest.mark.parametrize(
    "wanted",
    [("starry_night",), ("night",), ("pixel_art",), ("vintage_film",), (Part("blur", 1.0, "background"),)],
    ids=str,
)
def test_the_first_frames_of_a_scene_are_those_of_a_fresh_stream(
    model: NanoModel, wanted: tuple[str | Part, ...]
) -> None:
    before, scene = elsewhere(160, 112, 4), clip(160, 112, 7)[4:]
    carried, fresh = (force(model, opened(model, 160, 112), *wanted) for _ in range(2))
    model.step(carried, before)
    expected = model.step(fresh, scene)
    assert [same(a, b) for a, b in zip(model.step(carried, scene), expected, strict=True)] == [True] * 3
