"""One stream's edit: its state, the edit wanted, the edit in force. Streaming and offline both use it.

Knows a model and pictures; not codecs, threads' owners or sinks.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from gpu.errors import FrameError, ModelError, NoMemory
from gpu.models.base import BriefState, EditModel, EditState
from gpu.types import Edit, Picture, Reading

P = TypeVar("P", bound=Picture)  # a Frame or a DeviceFrame; one stream has one kind


@dataclass(frozen=True, slots=True)
class Edited(Generic[P]):
    """An edited picture; `applied` is the revision it is the first picture of."""

    frame: P
    applied: int | None = None


class EditRefused(FrameError):
    """The model would not put an edit in force; the one before stays, and the stream goes on."""

    def __init__(self, revision: int, why: str) -> None:
        super().__init__(f"the edit of revision {revision} is refused ({why}): the one before stays in force")
        self.revision, self.why = revision, why


PREPARE_S = 10.0  # for what the edit in force needs at a new size, on a thread that keeps nobody else waiting


class Editor:
    """`want` and `prepare` from any thread, everything else from the one thread that steps the stream."""

    def __init__(self, model: EditModel, live: bool = False, briefly: bool = False) -> None:
        """`live`: an edit that something must be compiled for takes force when that is done, and the one
        before stays until then; otherwise it takes force at the next step, however long that takes.
        `briefly`: nothing may follow from frames long ago; see `BriefState`."""
        self._model, self._live, self._briefly = model, live, briefly
        self._state: EditState | None = None
        self._size = (0, 0)
        self._lock = threading.Lock()
        self._wanted: Edit | None = None
        self._prepared: tuple[tuple[int, int], EditState] | None = None
        self._in_force = Edit()
        self._unsaid: int | None = None  # a revision in force whose first picture has not left yet

    @property
    def in_force(self) -> Edit:
        return self._in_force

    def want(self, edit: Edit) -> Reading:
        """Ask for an edit from the next step on; only the newest counts. Returns what the model reads."""
        reading = self._model.read(edit.prompt)
        with self._lock:
            self._wanted = edit
        return reading

    def prepare(self, width: int, height: int) -> None:
        """Open the state for a size to come, ready for the edit wanted, or else in force, so that no picture
        leaves without it; it may compile for a while, so not on the thread all share.

        Raises as `EditModel.open_state` does, but that memory for two states is no condition."""
        size = (width, height)
        with self._lock:
            if self._size == size or (self._prepared is not None and self._prepared[0] == size):
                return
        try:
            state = self._model.open_state(width, height)
        except NoMemory:
            with self._lock:
                if self._size == (0, 0) and self._prepared is None:
                    raise
                # Not beside what the stream holds: `edit` opens it when that has gone.
                self._prepared = None
                return
        with self._lock:
            edit = self._wanted or self._in_force
        self._model.ready_for(state, edit, PREPARE_S)
        with self._lock:
            self._prepared = (size, state)

    def edit(self, chunk: Sequence[P]) -> list[Edited[P]]:
        """Edit a chunk of equal-sized frames. Raises FrameError, ModelError, or what a model throws."""
        first = chunk[0]
        size = (first.width, first.height)
        if self._state is None or size != self._size:
            self._open(size)
        state = self._state
        if state is None:
            raise ModelError(f"model {self._model.spec.name} gave no state: it is broken")
        self._take_wish(state)
        frames = self._model.step(state, chunk)
        if len(frames) != len(chunk):
            raise ModelError(f"model {self._model.spec.name} gave {len(frames)} frames for {len(chunk)}")
        for source, frame in zip(chunk, frames, strict=True):
            if (frame.width, frame.height) != size or frame.pts != source.pts:
                raise FrameError(f"model {self._model.spec.name} changed the size or time of a frame")
        applied, self._unsaid = self._unsaid, None
        return [Edited(frame, applied if i == 0 else None) for i, frame in enumerate(frames)]

    def reopen(self) -> None:
        """Forget the state (the edit stays): the next step starts a fresh one."""
        self._state = None

    def close(self) -> None:
        """Let go of what the states hold; any thread. A step that runs keeps its own until it ends."""
        with self._lock:
            self._state = self._prepared = None

    def _open(self, size: tuple[int, int]) -> None:
        self._state = None
        with self._lock:
            prepared, self._prepared = self._prepared, None
        state = prepared[1] if prepared and prepared[0] == size else self._model.open_state(*size)
        if self._briefly and isinstance(state, BriefState):
            state.remember_briefly()
        with self._lock:
            self._state, self._size = state, size
        if self._in_force != Edit():
            # The picture was edited a moment ago: it must not fade in from the source again.
            self._model.set_edit(state, replace(self._in_force, transition_ms=0))

    def _take_wish(self, state: EditState) -> None:
        with self._lock:
            wanted = self._wanted
        if wanted is None or (self._live and not self._model.ready_for(state, wanted)):
            return
        with self._lock:
            if self._wanted is wanted:  # else a newer one has come: it has the next step
                self._wanted = None
        try:
            self._model.set_edit(state, wanted)
        except ModelError as exc:  # an instruction never ends a stream
            raise EditRefused(wanted.revision, str(exc)) from exc
        self._in_force, self._unsaid = wanted, wanted.revision
