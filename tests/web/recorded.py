"""An edit model that writes down what a server asked of it, so that the same can be asked again offline."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from gpu.models.base import EditModel, EditState
from gpu.types import Edit, Frame, ModelSpec, Reading

MAX_FRAMES = 420  # 640x480 at 30 fps for 14 s: 190 MB


def digest(frame: Frame) -> str:
    """Of every byte of the picture and its time."""
    whole = hashlib.sha256(frame.pts.to_bytes(8, "big"))
    for plane in (frame.y, frame.u, frame.v):
        whole.update(plane.tobytes())
    return whole.hexdigest()


@dataclass(slots=True)
class Take:
    """One stream: the frames that went in, what came out of each, and before which frame an edit was set."""

    state: EditState
    frames: list[Frame] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    edits: list[tuple[int, Edit]] = field(default_factory=list)


class RecordedModel:
    """Does what `inner` does. Recording stops at MAX_FRAMES of a stream; the editing goes on."""

    def __init__(self, inner: EditModel) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        self._takes: dict[int, Take] = {}

    @property
    def spec(self) -> ModelSpec:
        return self.inner.spec

    @property
    def device(self) -> str:
        return self.inner.device

    @property
    def takes(self) -> list[Take]:
        with self._lock:
            return list(self._takes.values())

    def forget(self) -> None:
        with self._lock:
            self._takes.clear()

    def admit(self) -> None:
        self.inner.admit()

    def open_state(self, width: int, height: int) -> EditState:
        return self.inner.open_state(width, height)

    def read(self, prompt: str) -> Reading:
        return self.inner.read(prompt)

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        take = self._take(state)
        take.edits.append((len(take.frames), edit))
        return self.inner.set_edit(state, edit)

    def ready_for(self, state: EditState, edit: Edit, wait_s: float = 0.0) -> bool:
        return self.inner.ready_for(state, edit, wait_s)

    def step(self, state: EditState, chunk: Sequence[Frame]) -> list[Frame]:
        edited = self.inner.step(state, chunk)
        take = self._take(state)
        if len(take.frames) < MAX_FRAMES:
            take.frames += [_copy(frame) for frame in chunk]
            take.digests += [digest(frame) for frame in edited]
        return edited

    def close(self) -> None:
        self.inner.close()

    def _take(self, state: EditState) -> Take:
        with self._lock:
            return self._takes.setdefault(id(state), Take(state))


def _copy(frame: Frame) -> Frame:
    """A decoder may hand out its own buffers."""
    return Frame(
        frame.y.copy(), frame.u.copy(), frame.v.copy(), frame.pts, frame.arrived_ns, frame.full_range
    )
