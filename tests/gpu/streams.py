"""Small models with faults and memory, a sink that writes everything down, and waiting with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gpu.errors import FrameError, RelensError
from gpu.models.base import EditState
from gpu.models.passthrough import PassthroughModel
from gpu.types import Edit, EncodedFrame, Frame, Reading

DEADLINE_S = 20.0  # long: the machine may be busy; tests end as soon as the thing has happened


def wait_until(happened: Callable[[], bool], what: str = "") -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, f"did not happen in {DEADLINE_S} s: {what or happened}"
        time.sleep(0.002)


class Recorder:
    """A PipelineSink that keeps what it is told, in order."""

    def __init__(self) -> None:
        self.frames: list[EncodedFrame] = []
        self.applied: list[tuple[int, int]] = []
        self.log: list[tuple[str, int]] = []  # ("frame", pts) and ("applied", revision), as they came
        self.keyframes_needed = 0
        self.degraded: list[tuple[int, str]] = []
        self.errors: list[RelensError] = []

    def on_frame(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)
        self.log.append(("frame", frame.pts))

    def on_applied(self, revision: int, pts: int) -> None:
        self.applied.append((revision, pts))
        self.log.append(("applied", revision))

    def on_keyframe_needed(self) -> None:
        self.keyframes_needed += 1

    def on_degraded(self, level: int, message: str) -> None:
        self.degraded.append((level, message))

    def on_error(self, exc: RelensError) -> None:
        self.errors.append(exc)

    @property
    def pts(self) -> list[int]:
        return [frame.pts for frame in self.frames]


@dataclass(slots=True)
class TintState:
    """A counter (the model has memory) and the edit in force."""

    width: int
    height: int
    edit: Edit = field(default_factory=Edit)
    seen: int = 0


class TintModel(PassthroughModel):
    """Shifts luma by the edit's strength and by how many frames it has seen; may be slow or break on order.

    `on_step(state, chunk)` runs in every step: the tests' hook for sleeping and raising.
    """

    def __init__(
        self,
        frames_per_chunk: int = 1,
        on_step: Callable[[TintState, Sequence[Frame]], None] = lambda state, chunk: None,
    ) -> None:
        super().__init__(frames_per_chunk)
        self._on_step = on_step
        self.opened: list[TintState] = []
        self.edits: list[Edit] = []
        self.threads: set[str] = set()

    def open_state(self, width: int, height: int) -> EditState:
        state = TintState(width, height)
        self.opened.append(state)
        return state

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        assert isinstance(state, TintState)
        state.edit = edit
        self.edits.append(edit)
        return self.read(edit.prompt)

    def step(self, state: EditState, chunk: Sequence[Frame]) -> list[Frame]:
        assert isinstance(state, TintState)
        self.threads.add(threading.current_thread().name)
        self._on_step(state, chunk)
        out = []
        for frame in chunk:
            if (frame.width, frame.height) != (state.width, state.height):
                raise FrameError("another size")
            state.seen += 1
            shift = int(state.edit.strength * 60) * bool(state.edit.prompt) + state.seen % 3
            y = np.clip(frame.y.astype(np.int16) + shift, 0, 255).astype(np.uint8)
            out.append(Frame(y, frame.u, frame.v, frame.pts, frame.arrived_ns, frame.full_range))
        return out
