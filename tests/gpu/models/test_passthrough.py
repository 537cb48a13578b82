"""The model that changes nothing."""

from __future__ import annotations

import pytest
from moving import picture, same

from gpu.errors import FrameError, ModelError
from gpu.models.passthrough import PassthroughModel
from gpu.types import Edit


@pytest.mark.parametrize("chunk", [1, 4])
def test_frames_come_back_as_they_went_in(chunk: int) -> None:
    model = PassthroughModel(chunk)
    assert model.spec.frames_per_chunk == chunk
    state = model.open_state(320, 240)
    reading = model.set_edit(state, Edit(3, "make it night"))
    assert (reading.parts, reading.understood, state.edit.revision) == ((), False, 3)
    frames = [picture(i) for i in range(chunk)]
    assert all(same(a, b) for a, b in zip(frames, model.step(state, frames), strict=True))


def test_the_empty_prompt_is_understood() -> None:
    assert PassthroughModel().read("  ").understood


@pytest.mark.parametrize("size", [(321, 240), (320, 241), (0, 240), (8000, 240), (320, -2)])
def test_sizes_it_does_not_take(size: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match="even size"):
        PassthroughModel().open_state(*size)


def test_a_frame_of_another_size_is_a_frame_error() -> None:
    model = PassthroughModel()
    with pytest.raises(FrameError):
        model.step(model.open_state(320, 240), [picture(0, 64, 48)])
