"""`nano`: relens' own small editor, for every machine. Owns weights, engines and the cache of a stream.

Knows frames, prompts and engines; knows nothing of codecs, streams or training.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpu.codec.range import to_limited
from gpu.engine import Engine, EngineKind, Tensor, open_engine
from gpu.errors import FrameError, ModelError
from gpu.models.base import EditState
from gpu.nano.edits import EDIT_NAMES, EDITS
from gpu.nano.geometry import coordinates, texture_weight, textures, working_size
from gpu.nano.particles import Particles
from gpu.nano.text import TextTower
from gpu.nano.transition import Conditioning, Transition
from gpu.types import Edit, Frame, ModelSpec, Preset, Reading

WEIGHTS = Path(__file__).parent.parent / "nano" / "weights"
ENGINES_KEPT = 4  # compiled graphs, one a source size; the least recently opened is let go
CACHE = ("cache_source", "cache_luma", "cache_chroma")
_RAIN, _SNOW = EDIT_NAMES.index("rain"), EDIT_NAMES.index("snow")
_MIN_SIDE = 16
# can be asked for, but is not offered: see the verdict in MODEL_CARD.md
UNCONVINCING = frozenset({"cartoon", "watercolour", "oil_painting"})

SPEC = ModelSpec(
    name="nano",
    title="nano (runs on any machine)",
    frames_per_chunk=1,
    max_size=(1280, 720),
    licence="Apache-2.0",
    weights="in the package, trained by gpu.nano.train",
    memory_bytes_per_stream=32_000_000,  # 1280x720, 22 MB of it weather that a size shares; 15 MB at 640x480
    presets=tuple(
        Preset(edit.name, edit.label, edit.prompt, edit.group)
        for edit in EDITS
        if edit.name not in UNCONVINCING
    ),
)

OFFERED = frozenset(preset.label for preset in SPEC.presets)


@dataclass(slots=True)
class NanoState:
    """The rolling cache of one stream: named tensors of fixed shape, and the conditioning in force."""

    width: int
    height: int
    engine: Engine
    tensors: dict[str, Tensor]  # the step's inputs, the cache among them; only the cache is ever replaced
    fields: NDArray[np.float32]  # [2, 2h, 2w] hatching and paper
    particles: Particles
    edit: Edit = field(default_factory=Edit)
    transition: Transition = field(default_factory=Transition)
    cache_valid: bool = False  # the cache holds the frame before, edited with the same amounts


class NanoModel:
    """One set of weights, compiled per source size. Thread-safe; one step at a time."""

    def __init__(self, weights: Path, threads: int = 0, engine: EngineKind = "auto") -> None:
        self._weights, self._threads, self._kind = weights, threads, engine
        self._check_weights()
        self._tower = TextTower.load()
        self._engines: OrderedDict[tuple[int, int], Engine] = OrderedDict()
        self._lock = threading.Lock()  # the engine's one thread at a time
        # What sizes share is made under this one, so no stream waits for it. Taken before _lock, never after.
        self._compiling = threading.Lock()
        self._device = self._engine_for(320, 240).name

    @classmethod
    def load(cls, threads: int = 0, engine: EngineKind = "auto") -> NanoModel:
        """The weights in the package; `threads` 0: as many as the engine finds.

        Raises ModelError for missing or unfit weights, DeviceError when no engine takes them."""
        return cls(WEIGHTS, threads, engine)

    @property
    def spec(self) -> ModelSpec:
        return SPEC

    @property
    def device(self) -> str:
        return f"CPU, {self._device}"

    def open_state(self, width: int, height: int) -> EditState:
        """A fresh cache; compiles and makes weather for a size not seen before (a fraction of a second)."""
        most = SPEC.max_size  # either way up: phones are held upright
        fits = max(width, height) <= max(most) and min(width, height) <= min(most)
        if width % 2 or height % 2 or min(width, height) < _MIN_SIDE or not fits:
            raise ModelError(
                f"nano cannot take {width}x{height}: send an even size from {_MIN_SIDE}x{_MIN_SIDE} "
                f"to {most[0]}x{most[1]}"
            )
        w, h = working_size(width, height)
        with self._compiling:
            engine = self._engine_for(width, height)
            fields, particles = textures(w, h), Particles(width, height, 0)
        tensors = {name: np.zeros(shape, np.float32) for name, shape in _shapes(width, height).items()}
        for name in ("y", "uv", "particles"):
            tensors[name] = np.zeros(tensors[name].shape, np.uint8)
        tensors["coords"][0] = coordinates(w, h)
        return NanoState(width, height, engine, tensors, fields, particles)

    def read(self, prompt: str) -> Reading:
        """As the tower reads it, but nobody is sent to an edit that does not convince."""
        reading = self._tower.read(prompt)
        return replace(reading, nearest=tuple(label for label in reading.nearest if label in OFFERED))

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        """The cache stays; what is not understood leaves the picture as it is."""
        own = _own(state)
        reading = self.read(edit.prompt)
        own.edit = edit
        if edit.seed != own.particles.seed:
            own.particles.place(edit.seed)
        if reading.understood:
            amounts = np.zeros(len(EDIT_NAMES), np.float32)
            for name, amount in reading.parts:
                amounts[EDIT_NAMES.index(name)] = min(1.0, max(0.0, amount))
            strength = min(1.0, max(0.0, edit.strength))
            own.transition.begin(Conditioning(amounts, strength), edit.transition_ms)
        return reading

    def step(self, state: EditState, chunk: Sequence[Frame]) -> list[Frame]:
        own = _own(state)
        return [self._step(own, frame) for frame in chunk]

    def close(self) -> None:
        with self._compiling, self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def _step(self, own: NanoState, frame: Frame) -> Frame:
        if (frame.width, frame.height) != (own.width, own.height):
            raise FrameError(
                f"a frame of {frame.width}x{frame.height} in a {own.width}x{own.height} stream: "
                "open a new state"
            )
        now = own.transition.at(frame.pts)
        if now.is_source:
            own.cache_valid = False  # the frame before the next edited one was not edited
            return frame
        self._condition(own, now, frame.pts)
        if frame.full_range:  # what leaves is limited range, whatever came in
            frame = to_limited(frame)
        tensors = own.tensors
        tensors["y"][0, 0], tensors["uv"][0, 0], tensors["uv"][0, 1] = frame.y, frame.u, frame.v
        with self._lock:
            out = own.engine.run(tensors)
        for name in CACHE:
            tensors[name] = out[f"new_{name}"]
        own.cache_valid = True
        uv = out["new_uv"][0]
        return Frame(out["new_y"][0, 0], uv[0], uv[1], frame.pts, frame.arrived_ns)

    def _condition(self, own: NanoState, now: Conditioning, pts: int) -> None:
        """Write amounts, strength and fields into the step's inputs."""
        tensors = own.tensors
        changed = not np.array_equal(tensors["cond"][0], now.amounts)
        if changed:
            tensors["cond"][0] = now.amounts
            hatch, paper = own.fields
            tensors["texture"][0, 0] = hatch + texture_weight(now.amounts) * (paper - hatch)
        tensors["keep"][:] = 1.0 if own.cache_valid and not changed else 0.0
        tensors["strength"][:] = now.strength
        rain, snow = bool(now.amounts[_RAIN] > 0), bool(now.amounts[_SNOW] > 0)
        if rain or snow:
            tensors["particles"][0, 0] = own.particles.cover(pts, rain, snow)
        elif changed:
            tensors["particles"][:] = 0

    def _engine_for(self, width: int, height: int) -> Engine:
        size = (width, height)
        engine = self._engines.pop(size, None)
        if engine is None:
            w, h = working_size(width, height)
            file = "nano.onnx" if (2 * w, 2 * h) == size else "nano_resample.onnx"
            engine = open_engine(self._weights / file, self._kind, self._threads, _shapes(width, height))
        self._engines[size] = engine
        while len(self._engines) > ENGINES_KEPT:
            self._engines.popitem(last=False)  # streams of that size keep theirs until they end
        return engine

    def _check_weights(self) -> None:
        path = self._weights / "nano.json"
        try:
            about = json.loads(path.read_text())
            digests = {
                name: hashlib.sha256((self._weights / name).read_bytes()).hexdigest()
                for name in about["sha256"]
            }
        except (OSError, ValueError, KeyError) as exc:
            raise ModelError(f"the weights of nano cannot be read ({exc}): install relens again") from exc
        if about.get("edits") != list(EDIT_NAMES) or digests != about["sha256"]:
            raise ModelError(
                f"the weights in {self._weights} do not belong to this version of nano: "
                "run `python -m gpu.nano.export` with its checkpoint, or install relens again"
            )


def _shapes(width: int, height: int) -> dict[str, tuple[int, ...]]:
    """The step's inputs for a source of that size."""
    w, h = working_size(width, height)
    return {
        "y": (1, 1, height, width),
        "uv": (1, 2, height // 2, width // 2),
        "cond": (1, len(EDIT_NAMES)),
        "strength": (1, 1, 1, 1),
        "keep": (1, 1, 1, 1),
        "texture": (1, 1, 2 * h, 2 * w),
        "coords": (1, 2, h // 2, w // 2),
        "particles": (1, 1, height, width),
        "cache_source": (1, 1, 2 * h, 2 * w),
        "cache_luma": (1, 1, 2 * h, 2 * w),
        "cache_chroma": (1, 2, h, w),
    }


def _own(state: EditState) -> NanoState:
    if not isinstance(state, NanoState):
        raise ModelError("this state belongs to another model: open one with open_state")
    return state
