"""`nano`: relens' own small editor, for every machine. Owns weights, engines and the cache of a stream.

Knows prompts and plans; knows nothing of codecs, streams or training.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gpu.engine import EngineKind
from gpu.errors import FrameError, ModelError
from gpu.models.base import EditState
from gpu.nano import pixel_art
from gpu.nano.edits import EDIT_NAMES, EDITS, OFFERS, Group, moves_sheet
from gpu.nano.engines import ALWAYS, GRAPH_FILES, Engines
from gpu.nano.enlarged import SCALE, EnlargedState
from gpu.nano.experts import FILE as EXPERTS_FILE
from gpu.nano.experts import Experts
from gpu.nano.geometry import MOST_PIXELS, MOST_PIXELS_PLUS, is_small
from gpu.nano.particles import Particles
from gpu.nano.plan import Plan, plan_of
from gpu.nano.stream import NanoState
from gpu.nano.text import TextTower
from gpu.nano.text.labels import label_of, labels_of
from gpu.nano.text.tower import WEIGHTS as TEXT_WEIGHTS
from gpu.types import Edit, Frame, ModelSpec, Preset, Reading

__all__ = [
    "ENGINES_KEPT",
    "SPEC",
    "SPECS",
    "SPEC_PLUS",
    "UNCONVINCING",
    "VERSION",
    "WEIGHTS",
    "WEIGHT_FILES",
    "NanoModel",
    "NanoState",
]

TEXT_FILE = TEXT_WEIGHTS.name
WEIGHTS = Path(__file__).parent.parent / "nano" / "weights"
WEIGHT_FILES = (*GRAPH_FILES, EXPERTS_FILE, TEXT_FILE)
VERSION = 2  # of the set of graphs and their tensors
ENGINES_KEPT = (
    3  # source sizes whose compiled graphs are kept; the least recently opened goes. See MODEL_CARD.md
)
FIRST_SIZE = (640, 360)  # of the page's sample clip, which is what most visitors see first
CLOSE_S = 5.0  # for a step that runs
_MIN_SIDE = 16
_GROUPS: tuple[Group, ...] = ("art", "drawing", "looks", "weather", "room", "colour")
# can be asked for, but is not offered: see the verdict in MODEL_CARD.md
UNCONVINCING: frozenset[str] = frozenset({"chiaroscuro", "fauvist"})  # a face is lost in them


def _presets() -> tuple[Preset, ...]:
    """What is worth a tile, group by group: the edits, then instructions that are more than one."""
    edits = [Preset(edit.name, edit.label, edit.prompt, edit.group) for edit in EDITS]
    offers = [Preset(offer.name, offer.label, offer.prompt, offer.group) for offer in OFFERS]
    tiles = [tile for tile in (*edits, *offers) if tile.name not in UNCONVINCING]
    return tuple(sorted(tiles, key=lambda tile: _GROUPS.index(tile.group)))  # stable


SPEC = ModelSpec(
    name="nano",
    title="nano (runs on any machine)",
    frames_per_chunk=1,
    max_size=(1280, 720),
    licence="Apache-2.0",
    weights="in the package, made by `relens distill`",
    memory_bytes_per_stream=24_000_000,  # 1280x720 in a transition; 11 MB of it weather that a size shares
    presets=_presets(),
)

SPEC_PLUS = replace(
    SPEC,
    name="nano-plus",
    title="nano-plus (the same at full 720p, for fast CPUs)",
    memory_bytes_per_stream=56_000_000,  # two drawings whose sheets move
)
SPECS = {spec.name: spec for spec in (SPEC, SPEC_PLUS)}
_MOST_PIXELS = {SPEC.name: MOST_PIXELS, SPEC_PLUS.name: MOST_PIXELS_PLUS}

OFFERED = frozenset(preset.label for preset in SPEC.presets)


class NanoModel:
    """One set of weights, compiled per source size. Thread-safe; one step at a time.

    `nano` and `nano-plus` are the same weights: they differ in how large a source is worked on as it is."""

    def __init__(
        self, weights: Path, threads: int = 0, engine: EngineKind = "auto", name: str = SPEC.name
    ) -> None:
        self._weights, self._threads, self._kind = weights, threads, engine
        digest = _check_weights(weights)
        self._spec, self._most = replace(SPECS[name], identity=digest), _MOST_PIXELS[name]
        self._experts = Experts.load(weights)
        self._tower = TextTower.load(weights / TEXT_FILE)
        self._engines: OrderedDict[tuple[int, int], Engines] = OrderedDict()
        self._lock = threading.Lock()  # the engines' one thread at a time
        self._shelf = threading.Lock()  # of the engines: held for a moment, nobody waits for it
        self._device = self._engines_for(FIRST_SIZE).name

    @classmethod
    def load(cls, threads: int = 0, engine: EngineKind = "auto", name: str = SPEC.name) -> NanoModel:
        """The weights in the package; `threads` 0: as many as the engine finds; `name` one of SPECS.

        Raises ModelError for missing or unfit weights, DeviceError when no engine takes them."""
        return cls(WEIGHTS, threads, engine, name)

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @property
    def device(self) -> str:
        return f"CPU, {self._device}"

    def admit(self) -> None:
        """A stream's tens of megabytes are always there."""

    def open_state(self, width: int, height: int) -> EditState:
        """A fresh cache; a size not seen before takes some 0.3 s, for its weather and the graphs that no
        edit goes without. Others are compiled when `ready_for` or the first step asks for them."""
        most = self._spec.max_size  # either way up: phones are held upright
        fits = max(width, height) <= max(most) and min(width, height) <= min(most)
        if width % 2 or height % 2 or min(width, height) < _MIN_SIDE or not fits:
            raise ModelError(
                f"{self._spec.name} cannot take {width}x{height}: send an even size from "
                f"{_MIN_SIDE}x{_MIN_SIDE} to {most[0]}x{most[1]}, or {most[1]}x{most[0]} held upright"
            )
        small = is_small(width, height)
        size = (SCALE * width, SCALE * height) if small else (width, height)
        engines = self._engines_for(size)
        engines.ready(ALWAYS)  # begins them, beside each other and beside the weather
        particles = Particles(*size, 0)
        engines.compile(ALWAYS)
        return (EnlargedState if small else NanoState).fresh(engines, particles)

    def read(self, prompt: str) -> Reading:
        """As the tower reads it, but for what a plan leaves out; nobody is sent to what does not convince."""
        reading = self._tower.read(prompt)
        left_out = plan_of(reading.parts).left_out
        if left_out:
            kept = tuple(part for part in reading.parts if part not in left_out)
            without = (*map(label_of, left_out), *reading.left_out)
            reading = replace(reading, parts=kept, label=labels_of(kept), left_out=without)
        return replace(reading, nearest=tuple(label for label in reading.nearest if label in OFFERED))

    def ready_for(self, state: EditState, edit: Edit, wait_s: float = 0.0) -> bool:
        """The graphs the edit runs are compiled; those that it does not, in the background after them."""
        engines, reading = _own(state).engines, self.read(edit.prompt)
        wanted = _graphs_of(plan_of(reading.parts)) if reading.understood else set()
        ready = engines.ready(wanted, wait_s)
        engines.go_on()
        return ready

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        """The cache stays; what is not understood leaves everything as it is. Any whole number is a seed."""
        own = _own(state)
        reading = self.read(edit.prompt)
        if not reading.understood:
            return reading
        self.aim(own, plan_of(reading.parts, edit.strength), edit.transition_ms)
        own.edit = edit
        seed = edit.seed % 2**32
        if seed != own.particles.seed:
            own.particles.place(seed)
        return reading

    def aim(self, state: EditState, plan: Plan, transition_ms: int = 0) -> None:
        """Put a plan in force, past the reading of prompts.

        Raises ModelError where the weights lack a stage."""
        own = _own(state)
        for stage in plan.stages:
            if stage.kind != "blur" and stage.name != pixel_art.NAME:
                self._experts.tensors(stage.name, stage.colours)
        own.aim(plan, transition_ms)

    def step(self, state: EditState, chunk: Sequence[Frame]) -> list[Frame]:
        own = _own(state)
        return [self._step(own, frame) for frame in chunk]

    def close(self) -> None:
        """In bounded time: a step that lasts longer keeps its engines until it is done."""
        still = self._lock.acquire(timeout=CLOSE_S)
        try:
            with self._shelf:
                kept = list(self._engines.values())
                self._engines.clear()
            for engines in kept if still else ():
                engines.close()
        finally:
            if still:
                self._lock.release()

    def _step(self, own: NanoState, frame: Frame) -> Frame:
        width, height = own.source_size if isinstance(own, EnlargedState) else (own.width, own.height)
        if (frame.width, frame.height) != (width, height):
            raise FrameError(
                f"a frame of {frame.width}x{frame.height} in a {width}x{height} stream: open a new state"
            )
        with self._lock:
            return own.step(frame, self._experts)

    def _engines_for(self, size: tuple[int, int]) -> Engines:
        """The engines of a size, which becomes the one opened last. Compiles nothing."""
        with self._shelf:
            engines = self._engines.get(size)
            if engines is None or engines.failed:
                engines = Engines(self._weights, self._kind, self._threads, size, self._most)
                self._engines[size] = engines
            self._engines.move_to_end(size)
            while len(self._engines) > ENGINES_KEPT:
                self._engines.popitem(last=False)  # streams of that size keep theirs until they end
            return engines


def _graphs_of(plan: Plan) -> set[str]:
    """What a plan runs besides what every plan does."""
    graphs: set[str] = {stage.kind for stage in plan.stages if stage.name != pixel_art.NAME}
    if any(stage.region != "everywhere" for stage in plan.stages):
        graphs.add("person")
    if any(plan.falling()):
        graphs.add("fall")
    if any(plan.holds):
        graphs.add("hold")
    if plan.is_painted:
        graphs.add("follow")
    if any(stage.kind == "draw" for stage in plan.stages):
        graphs.add("regain")
    if any(moves_sheet(stage.name) for stage in plan.stages):
        graphs.add("sheet")
    return graphs


def _check_weights(weights: Path) -> str:
    """A digest of all of them. Raises ModelError naming the remedy."""
    try:
        about = json.loads((weights / "nano.json").read_text())
        digests = {name: hashlib.sha256((weights / name).read_bytes()).hexdigest() for name in WEIGHT_FILES}
    except (OSError, ValueError) as exc:
        raise ModelError(f"the weights of nano cannot be read ({exc}): install relens again") from exc
    fits = about.get("version") == VERSION and about.get("edits") == list(EDIT_NAMES)
    if not fits or about.get("sha256") != digests:
        raise ModelError(
            f"the weights in {weights} do not belong to this version of nano: "
            "run `relens distill export`, or install relens again"
        )
    return hashlib.sha256("".join(digests.values()).encode()).hexdigest()


def _own(state: EditState) -> NanoState:
    if not isinstance(state, NanoState):
        raise ModelError("this state belongs to another model: open one with open_state")
    return state
