"""The interface of every edit model. Knows frames and edits, not codecs, threads or streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from gpu.types import Edit, ModelSpec, Reading


class EditState(Protocol):
    """The rolling cache of one stream: named tensors of fixed shape plus the conditioning in force.

    Only the model that made it looks inside. A change of the source's size makes the model start it anew.
    """

    @property
    def edit(self) -> Edit:
        """The edit in force (the target while a transition runs)."""
        ...


@runtime_checkable
class BriefState(Protocol):
    """A state that can do without what it knows of frames long ago, where a film is edited in spans: each
    begins anew, and what comes before it is seen for a moment only."""

    def remember_briefly(self) -> None:
        """From the first frame to the last."""
        ...


class EditModel(Protocol):
    """A causal editor. Stateless between calls but for the `EditState` it is handed."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def device(self) -> str:
        """Where it runs, for people: "CPU, OpenVINO, 2 threads"; begins with "CUDA" where pictures are edited
        in GPU memory."""
        ...

    def admit(self) -> None:
        """Asked before a stream is opened, while there is somebody to refuse; cheap, any thread.

        Raises NoMemory, naming what would fit, where one stream more would not."""
        ...

    def open_state(self, width: int, height: int) -> EditState:
        """A fresh cache for a stream of that size with the empty edit in force.

        Raises ModelError when the size is beyond `spec.max_size` or odd."""
        ...

    def read(self, prompt: str) -> Reading:
        """What the model takes a prompt for. Cheap (< 5 ms), any thread, never raises on any text."""
        ...

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        """Change the edit in force, keeping the cache; `transition_ms` blends over stream time (pts)."""
        ...

    def ready_for(self, state: EditState, edit: Edit, wait_s: float = 0.0) -> bool:
        """Whether the edit can take force without a step that waits (for something to be compiled), now or
        within that time. Begins what is missing. Any thread. `set_edit` may be called before it is."""
        ...

    def step(self, state: EditState, chunk: Sequence[Any]) -> list[Any]:
        """Edit `spec.frames_per_chunk` frames; returns as many, same size, same pts and arrived_ns.

        Where `spec.frames` has "device" they may be DeviceFrames, and then so is what it returns: it hands
        its work to a stream of its own that waits for `ready`, says `used_on`, and does not wait itself.

        Deterministic: same frames, same edits at the same frames, same seed: same bytes out.
        Raises FrameError for a frame of another size than the state's."""
        ...

    def close(self) -> None: ...
