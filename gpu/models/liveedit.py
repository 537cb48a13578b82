"""The full-size model in the server: open-ended instructions, a causal network that remembers, on pictures.

Puts network, autoencoder and text encoder together and says what goes wrong in words; knows no codecs and no
sessions. The parts' own modules know no pictures; those named liveedit_* do.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from gpu.cuda.driver_errors import CudaError
from gpu.errors import DeviceError, ModelError, NoMemory
from gpu.models.base import EditState
from gpu.models.liveedit_engine import check_engine, engine_bytes
from gpu.models.liveedit_lane import CudaLane, HostLane
from gpu.models.liveedit_parts import Parts, best_device, random_parts, trained_parts
from gpu.models.liveedit_reading import is_source, read
from gpu.models.liveedit_room import check_load, room_for
from gpu.models.liveedit_spec import CANVASES, CONFIGS, canvas_of, shape_of, spec_of
from gpu.models.liveedit_state import LiveEditState
from gpu.models.liveedit_text import Embeddings
from gpu.models.settings import DEFAULT, ModelSettings
from gpu.types import Edit, Frame, ModelSpec, Reading
from gpu.wan.config import StreamShape
from gpu.wan.memory import FloatKind
from gpu.wan.sampler import Sampling

log = logging.getLogger(__name__)

WARM_CHUNKS = 3
_MIN_SIDE = 16
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY (cuda.h)
# torch has no exception of its own for memory of the host (c10/core/impl/alloc_cpu.cpp, Linux and Windows)
_HOST_IS_FULL = ("can't allocate memory", "not enough memory")
T = TypeVar("T")


class LiveEditModel:
    """One network for all streams, each with a ring of its own. Thread-safe; one step at a time."""

    def __init__(
        self,
        name: str,
        parts: Parts,
        settings: ModelSettings = DEFAULT,
        preflight: Callable[[StreamShape], None] = lambda shape: None,
        lane: HostLane | None = None,
    ) -> None:
        """`preflight` is asked before a stream is opened, and raises NoMemory where it would not fit. `lane`:
        one with a stream of the GPU's takes pictures there, too; it is taken over."""
        self._spec, self._settings, self._parts = spec_of(name, settings), settings, parts
        self._lane = lane if lane is not None else HostLane()
        if self._lane.stream is not None:
            self._spec = replace(self._spec, frames=("device", "host"))
        self._preflight = preflight
        self._embeddings = Embeddings(parts.text)

    @classmethod
    def load(cls, name: str, settings: ModelSettings = DEFAULT, threads: int = 0) -> LiveEditModel:
        """`threads`: of the CPU, for torch in the whole process; 0: as many as it finds.

        Raises ModelError for weights that are missing or unfit, NoMemory where they do not fit,
        DeviceError where nothing can run it."""
        if threads:
            torch.set_num_threads(threads)
        parts = _parts(name, settings)
        model = cls(name, parts, settings, room_for(parts, settings.mask_cache), _lane(parts))
        if parts.on_gpu:
            model.warm_up()
        return model

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @property
    def device(self) -> str:
        return self._parts.words

    def admit(self) -> None:
        """As if the stream had the largest canvas: a source's size is known too late to refuse anybody."""
        self._preflight(shape_of(self._spec.name, CANVASES[self._spec.name][0], self._settings))

    def open_state(self, width: int, height: int) -> EditState:
        """As EditModel's; also raises NoMemory."""
        most = self._spec.max_size
        fits = max(width, height) <= max(most) and min(width, height) <= min(most)
        if width % 2 or height % 2 or min(width, height) < _MIN_SIDE or not fits:
            raise ModelError(
                f"{self._spec.name} cannot take {width}x{height}: send an even size from "
                f"{_MIN_SIDE}x{_MIN_SIDE} to {most[0]}x{most[1]}, or {most[1]}x{most[0]} held upright"
            )
        shape = shape_of(self._spec.name, canvas_of(self._spec.name, width, height), self._settings)
        sampling = Sampling(self._settings.steps, mask_cache=self._settings.mask_cache)

        def opened() -> LiveEditState:
            self._preflight(shape)  # in the turn: of two who ask at once, the second sees what the first took
            return LiveEditState(self._parts, self._lane, shape, (width, height), sampling)

        return self._guarded(None, opened)

    def warm_up(self) -> None:
        """Run a few chunks, so that libraries choose their kernels before anybody waits for it.

        Closes the model and raises what a step raises where that fails."""
        width, height = CANVASES[self._spec.name][0]
        grey = np.full((height, width), 128, np.uint8)
        frame = Frame(grey, grey[::2, ::2], grey[::2, ::2], 0)
        try:
            state = self.open_state(width, height)
            self.set_edit(state, Edit(prompt=self._spec.presets[0].prompt, transition_ms=0))
            for _ in range(WARM_CHUNKS):
                self.step(state, [frame] * self._spec.frames_per_chunk)
        except BaseException:
            self.close()
            raise

    def read(self, prompt: str) -> Reading:
        return read(prompt)

    def ready_for(self, state: EditState, edit: Edit, wait_s: float = 0.0) -> bool:
        """The instruction is encoded; where it is not, that begins."""
        return is_source(read(edit.prompt)) or self._embeddings.ready(_text(edit), wait_s)

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        """Waits for the text encoder where it must. Raises ModelError where that fails: the edit stays."""
        own, reading = _own(state), read(edit.prompt)
        if is_source(reading):
            own.show(edit, "", None)
            return reading
        embedding = self._embeddings.get(_text(edit))
        self._guarded(own, lambda: own.show(edit, _text(edit), lambda: self._condition(embedding)))
        return reading

    def step(self, state: EditState, chunk: Sequence[Any]) -> list[Any]:
        own = _own(state)
        return self._guarded(own, lambda: own.step(chunk))

    def close(self) -> None:
        """A step that runs keeps what it needs until it ends."""
        self._embeddings.close()
        self._parts.close()
        self._lane.close()

    def _condition(self, embedding: Any) -> Any:
        return self._parts.condition(embedding.to(self._parts.engine.device))

    def _guarded(self, own: LiveEditState | None, work: Callable[[], T]) -> T:
        """Work in the lane's turn. Where memory runs out, the stream's is given back and the stream ends: the
        others go on.

        What is raised holds nothing of what failed: tensors would live as long as somebody looks at it."""
        why = ""
        try:
            with self._lane.turn():
                return work()
        except (DeviceError, MemoryError, RuntimeError) as error:
            if not _is_full(error):
                raise
            why = _first_line(error)
        if own is not None:
            own.close()
        gc.collect()  # a cycle may hold tensors, too
        if self._parts.on_gpu:
            torch.cuda.empty_cache()
        raise NoMemory(
            f"the memory of {self._parts.engine.device} ran out, so this stream ends and the others go on "
            f"({why}): connect again when another session has ended, or choose a smaller model"
        )


def _parts(name: str, settings: ModelSettings) -> Parts:
    device = best_device()
    shape = shape_of(name, CANVASES[name][0], settings)
    check_engine(name, settings, device)
    beside = engine_bytes(name, settings) if device.startswith("cuda") else 0
    check_load(CONFIGS[name], shape, _floats(device), device, settings.mask_cache, beside)
    if settings.random_weights:
        return random_parts(name, settings, device)
    return trained_parts(name, settings, device)


def _floats(device: str) -> FloatKind:
    return "bfloat16" if device.startswith("cuda") else "float32"


def _is_full(error: BaseException | None) -> bool:
    """Whether an error comes from memory that ran out, torch's, the driver's or the machine's."""
    while error is not None:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        if type(error) is RuntimeError and any(words in str(error) for words in _HOST_IS_FULL):
            return True
        if isinstance(error, CudaError) and error.code == OUT_OF_MEMORY:
            return True
        error = error.__cause__
    return False


def _lane(parts: Parts) -> HostLane:
    """Where torch and our kernels can share a stream of the GPU, that."""
    if not parts.on_gpu:
        return HostLane()
    try:
        return CudaLane.open(parts.engine.device)
    except DeviceError as error:  # torch has libraries of its own
        log.warning("pictures of this model stay in host memory: %s", error)
        return HostLane()


def _text(edit: Edit) -> str:
    return " ".join(edit.prompt.split())


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0][:200]


def _own(state: EditState) -> LiveEditState:
    if not isinstance(state, LiveEditState):
        raise ModelError("this state belongs to another model: open one with open_state")
    return state
