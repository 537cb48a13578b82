"""What an edit does not touch stays the camera's to the byte, with the person mask as it is found.

The picture is Matplotlib's sample of Grace Hopper (by the U.S. Navy, public domain), never trained on.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gpu.models.nano import NanoModel
from gpu.nano.colour import rgb_to_planes
from gpu.types import Frame, Part
from tests.gpu.nano.conftest import force, opened


def portrait(width: int, height: int, index: int = 0) -> Frame:
    """She stands a few pixels further right each time, under sensor noise."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with Image.open(path) as stored:
        image = stored.convert("RGB")
    image = image.resize((height * image.width // image.height, height))
    sheet = np.full((height, width, 3), 90, np.uint8)
    left = (width - image.width) // 2 + 3 * index
    sheet[:, left : left + image.width] = np.asarray(image)
    luma, chroma = rgb_to_planes(np.asarray(sheet, np.float32) / 255)
    rng = np.random.default_rng(index)
    y, u, v = (
        np.asarray((255 * plane + rng.normal(0, 1.5, plane.shape)).round().clip(16, 235), np.uint8)
        for plane in (luma, *chroma)
    )
    return Frame(y, u, v, 3000 * index)


def as_large(mask: NDArray[np.float32], scale: int, frame: Frame) -> NDArray[np.float32]:
    return mask.repeat(scale, 0).repeat(scale, 1)[: frame.height, : frame.width]


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (960, 540)])
@pytest.mark.parametrize(
    "parts",
    [
        (Part("blur", 1.0, "background"),),
        (Part("negative", 1.0, "person"),),
        (Part("backdrop", 1.0, "background", ("green",)), Part("sepia", 0.6, "background")),
        (Part("starry_night", 1.0, "background"),),
        (Part("snow", 1.0, "background"), Part("rain", 1.0, "background")),
        (Part("snow", 1.0, "person"),),
    ],
    ids=lambda parts: parts[0].name,
)
def test_the_other_side_of_a_persons_edge_is_the_cameras(
    model: NanoModel, size: tuple[int, int], parts: tuple[Part, ...]
) -> None:
    state = force(model, opened(model, *size), *parts)
    for index in range(3):
        frame = portrait(*size, index)
        made = model.step(state, [frame])[0]
        mask = np.asarray(state.memory.person["mask"][0, 0])
        cover = as_large(mask if parts[0].region == "person" else 1 - mask, 1 + state.engines.halved, frame)
        changed = made.y != frame.y
        tinted = ((made.u != frame.u) | (made.v != frame.v)).repeat(2, 0).repeat(2, 1)
        kept, whole = cover == 0, cover == 1
        assert kept.mean() > 0.1, "a good part of the picture is surely on the other side"
        assert whole.mean() > 0.1
        assert not changed[kept].any()
        assert not tinted[kept].any()
        assert (changed | tinted)[whole].mean() > 0.5


def test_a_persons_soft_edge_shows_no_noise_of_the_camera(model: NanoModel) -> None:
    """From a stand: what is partly edited is as calm as what is edited in full."""
    state = force(model, opened(model, 640, 480), Part("backdrop", 1.0, "background", ("green",)))
    base, rng = portrait(640, 480), np.random.default_rng(2)
    before: tuple[Frame, Frame] | None = None
    noise, left = [], []
    for index in range(8):
        y = np.asarray((base.y + rng.normal(0, 2, base.y.shape)).round().clip(16, 235), np.uint8)
        frame = Frame(y, base.u, base.v, 3000 * index)
        made = model.step(state, [frame])[0]
        if before is not None and index > 3:
            room = 1 - np.asarray(state.memory.person["mask"][0, 0])
            edge = (room > 0.15) & (room < 0.6)
            assert edge.mean() > 0.002
            for one, other, found in ((frame, before[0], noise), (made, before[1], left)):
                found.append(np.abs(one.y.astype(float) - other.y)[edge].mean())
        before = frame, made
    assert np.mean(left) < 0.35 * np.mean(noise)
