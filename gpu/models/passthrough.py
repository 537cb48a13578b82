"""The model that changes nothing: for measuring everything else, and for tests. Exact to the byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gpu.errors import FrameError, ModelError
from gpu.models.base import EditState
from gpu.types import Edit, ModelSpec, Reading

SPEC = ModelSpec(
    name="passthrough",
    title="Pass-through (no edit)",
    frames_per_chunk=1,
    max_size=(3840, 2160),
    licence="Apache-2.0",
    weights="none",
    memory_bytes_per_stream=0,
    identity="1",
    frames=("device", "host"),  # it does not look at them
)


@dataclass(slots=True)
class PassthroughState:
    """The size it was opened for and the edit in force."""

    width: int
    height: int
    edit: Edit = field(default_factory=Edit)


class PassthroughModel:
    """Gives every frame back as it came. `frames_per_chunk` other than 1 is for tests of chunking."""

    def __init__(self, frames_per_chunk: int = 1) -> None:
        self._spec = replace(SPEC, frames_per_chunk=frames_per_chunk)

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @property
    def device(self) -> str:
        return "no device"

    def admit(self) -> None:
        """Nothing is taken."""

    def open_state(self, width: int, height: int) -> EditState:
        if width % 2 or height % 2 or not (0 < width <= SPEC.max_size[0] and 0 < height <= SPEC.max_size[1]):
            raise ModelError(f"{width}x{height} cannot be taken: send an even size up to {SPEC.max_size}")
        return PassthroughState(width, height)

    def read(self, prompt: str) -> Reading:
        asks_nothing = not prompt.strip()
        return Reading((), 1.0 if asks_nothing else 0.0, (), asks_nothing, "" if asks_nothing else "no edit")

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        _own(state).edit = edit
        return self.read(edit.prompt)

    def ready_for(self, state: EditState, edit: Edit, wait_s: float = 0.0) -> bool:
        return True

    def step(self, state: EditState, chunk: Sequence[Any]) -> list[Any]:
        own = _own(state)
        for frame in chunk:
            if (frame.width, frame.height) != (own.width, own.height):
                raise FrameError(
                    f"a frame of {frame.width}x{frame.height} in a {own.width}x{own.height} stream"
                )
        return list(chunk)

    def close(self) -> None:
        """Nothing to let go."""


def _own(state: EditState) -> PassthroughState:
    if not isinstance(state, PassthroughState):
        raise ModelError("this state belongs to another model: open one with open_state")
    return state
