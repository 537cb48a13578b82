"""`nano`: relens' own small editor, for every machine. Owns weights, engines and the cache of a stream.

Knows frames, prompts and plans; knows nothing of codecs, streams or training. A frame goes: steady the
source, run the stages of what is in force on its canvas, finish it at the source's size, let rain and snow
fall.
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
from gpu.engine import EngineKind, Tensor
from gpu.errors import FrameError, ModelError
from gpu.models.base import EditState
from gpu.nano.edits import EDIT_BY_NAME, EDIT_NAMES, EDITS, OFFERS, Group
from gpu.nano.engines import GRAPH_FILES, Engines
from gpu.nano.experts import FILE as EXPERTS_FILE
from gpu.nano.experts import Experts
from gpu.nano.particles import Particles
from gpu.nano.plan import Plan, plan_of
from gpu.nano.stages import Memory, Pass, Picture, mixed, scalar
from gpu.nano.text import TextTower
from gpu.nano.transition import Mix, Transition
from gpu.types import Edit, Frame, ModelSpec, Preset, Reading

WEIGHTS = Path(__file__).parent.parent / "nano" / "weights"
WEIGHT_FILES = (*GRAPH_FILES, EXPERTS_FILE)
VERSION = 2  # of the set of graphs and their tensors
ENGINES_KEPT = 4  # sets of compiled graphs, one a source size; the least recently opened is let go
_MIN_SIDE = 16
_GROUPS: tuple[Group, ...] = ("art", "drawing", "looks", "weather", "room", "colour")
# can be asked for, but is not offered: see the verdict in MODEL_CARD.md
UNCONVINCING: frozenset[str] = frozenset()


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
    memory_bytes_per_stream=45_000_000,  # 1280x720, 22 MB of it weather that a size shares
    presets=_presets(),
)

OFFERED = frozenset(preset.label for preset in SPEC.presets)


@dataclass(frozen=True, slots=True)
class Shown:
    """The canvases of the frame before while a transition ran: of each plan, and as they were mixed."""

    plans: tuple[Picture | None, ...]
    mixed: Picture


@dataclass(slots=True)
class NanoState:
    """The rolling cache of one stream, tensors of fixed shape, and what is in force."""

    width: int
    height: int
    engines: Engines
    source: dict[str, Tensor]  # y, uv, particles: the source's bytes, padded to what the canvas covers
    particles: Particles
    steadied: Picture  # of the frame before
    edit: Edit = field(default_factory=Edit)
    transition: Transition = field(default_factory=Transition)
    memory: Memory = field(default_factory=Memory)
    cache_valid: bool = False  # the frame before was steadied
    shown: Shown | None = None
    rest: Picture | None = None  # see gpu.nano.transition

    def forget(self) -> None:
        """The frame before was not edited: nothing of the one before that counts any more."""
        self.memory.forget()
        self.cache_valid, self.shown, self.rest = False, None, None


class NanoModel:
    """One set of weights, compiled per source size. Thread-safe; one step at a time."""

    def __init__(self, weights: Path, threads: int = 0, engine: EngineKind = "auto") -> None:
        self._weights, self._threads, self._kind = weights, threads, engine
        _check_weights(weights)
        self._experts = Experts.load(weights)
        self._tower = TextTower.load()
        self._engines: OrderedDict[tuple[int, int], Engines] = OrderedDict()
        self._lock = threading.Lock()  # the engines' one thread at a time
        # What sizes share is made under this one, so no stream waits for it. Taken before _lock, never after.
        self._compiling = threading.Lock()
        self._device = self._engines_for(320, 240).name

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
        """A fresh cache; compiles and makes weather for a size not seen before (about a second)."""
        most = SPEC.max_size  # either way up: phones are held upright
        fits = max(width, height) <= max(most) and min(width, height) <= min(most)
        if width % 2 or height % 2 or min(width, height) < _MIN_SIDE or not fits:
            raise ModelError(
                f"nano cannot take {width}x{height}: send an even size from {_MIN_SIDE}x{_MIN_SIDE} "
                f"to {most[0]}x{most[1]}"
            )
        with self._compiling:
            engines = self._engines_for(width, height)
            particles = Particles(width, height, 0)
        source = {name: np.zeros(engines.shapes[name], np.uint8) for name in ("y", "uv", "particles")}
        steadied = Picture(*(np.zeros(engines.shapes[name], np.float32) for name in ("luma", "chroma")))
        return NanoState(width, height, engines, source, particles, steadied)

    def read(self, prompt: str) -> Reading:
        """As the tower reads it, but for what a plan leaves out; nobody is sent to what does not convince."""
        reading = self._tower.read(prompt)
        left_out = plan_of(reading.parts).left_out
        if left_out:
            without = ", ".join(EDIT_BY_NAME[name].label.lower() for name in left_out)
            kept = tuple(part for part in reading.parts if part.name not in left_out)
            reading = replace(reading, parts=kept, label=f"{reading.label} (without {without})")
        return replace(reading, nearest=tuple(label for label in reading.nearest if label in OFFERED))

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        """The cache stays; what is not understood leaves the picture as it is."""
        own = _own(state)
        reading = self.read(edit.prompt)
        if reading.understood:
            self.aim(own, plan_of(reading.parts, edit.strength), edit.transition_ms)
        own.edit = edit
        if edit.seed != own.particles.seed:
            own.particles.place(edit.seed)
        return reading

    def aim(self, state: EditState, plan: Plan, transition_ms: int = 0) -> None:
        """Put a plan in force, past the reading of prompts.

        Raises ModelError where the weights lack a stage."""
        own = _own(state)
        for stage in plan.stages:
            if stage.kind != "blur":
                self._experts.tensors(stage.name, stage.colours)
        kept = own.transition.begin(plan, transition_ms)
        shown = own.shown
        if kept is not None:
            origin = shown.plans[kept] if shown is not None else None
            own.rest = None
            if shown is not None and origin is not None:
                own.rest = mixed([(shown.mixed, 1.0), (origin, -1.0)])

    def step(self, state: EditState, chunk: Sequence[Frame]) -> list[Frame]:
        own = _own(state)
        return [self._step(own, frame) for frame in chunk]

    def close(self) -> None:
        with self._compiling, self._lock:
            for engines in self._engines.values():
                engines.close()
            self._engines.clear()

    def _step(self, own: NanoState, frame: Frame) -> Frame:
        if (frame.width, frame.height) != (own.width, own.height):
            raise FrameError(
                f"a frame of {frame.width}x{frame.height} in a {own.width}x{own.height} stream: "
                "open a new state"
            )
        mix = own.transition.at(frame.pts)
        if mix.is_source:
            own.forget()
            return frame
        if frame.full_range:  # what leaves is limited range, whatever came in
            frame = to_limited(frame)
        source = own.source
        _pad(source["y"][0, 0], frame.y)
        for plane, samples in zip(source["uv"][0], (frame.u, frame.v), strict=True):
            _pad(plane, samples)
        with self._lock:
            canvas = self._steady(own)
            edited = self._edit(own, canvas, mix)
            out = self._finish(own, canvas, edited, mix, frame.pts)
        canvas.remember()
        own.steadied, own.cache_valid = canvas.source, True
        high, wide = own.height, own.width
        y, uv = out["new_y"][0, 0, :high, :wide], out["new_uv"][0, :, : high // 2, : wide // 2]
        y, u, v = (np.ascontiguousarray(plane) for plane in (y, *uv))
        return Frame(y, u, v, frame.pts, frame.arrived_ns)

    def _steady(self, own: NanoState) -> Pass:
        before = own.steadied
        out = own.engines.run(
            "steady",
            {
                "y": own.source["y"],
                "uv": own.source["uv"],
                "cache_luma": before.luma,
                "cache_chroma": before.chroma,
                "keep": scalar(own.cache_valid),
            },
        )
        picture = Picture(out["luma"], out["chroma"])
        return Pass(own.engines, self._experts, own.memory, picture, out["gate"])

    def _edit(self, own: NanoState, canvas: Pass, mix: Mix) -> Picture:
        """The canvas of what is in force, at full strength."""
        canvas.find_person([plan for plan, _ in mix.plans])
        strengths = [weight * plan.strength for plan, weight in mix.plans]
        total = sum(strengths)
        pictures = [
            canvas.run(plan) if strength > 0 else None
            for (plan, _), strength in zip(mix.plans, strengths, strict=True)
        ]
        parts = [
            (picture, strength / total)
            for picture, strength in zip(pictures, strengths, strict=True)
            if picture is not None
        ]
        if mix.rest > 0 and own.rest is not None:
            parts.append((own.rest, mix.rest * strengths[0] / total))
        else:
            own.rest = None
        edited = parts[0][0] if len(parts) == 1 else mixed(parts)
        own.shown = Shown(tuple(pictures), edited) if len(mix.plans) > 1 else None
        return edited

    def _finish(self, own: NanoState, canvas: Pass, edited: Picture, mix: Mix, pts: int) -> dict[str, Tensor]:
        """The bytes that leave."""
        plans = [plan for plan, weight in mix.plans if weight > 0]
        inputs = {
            "y": own.source["y"],
            "uv": own.source["uv"],
            "edited_luma": edited.luma,
            "edited_chroma": edited.chroma,
            "cover": canvas.cover(plans, edited),
            "strength": scalar(mix.strength),
        }
        if own.engines.halved:
            detail = sum(weight * plan.strength * plan.detail for plan, weight in mix.plans) / mix.strength
            inputs |= {"luma": canvas.source.luma, "chroma": canvas.source.chroma, "detail": scalar(detail)}
        out = own.engines.run("finish", inputs)
        rain, snow = mix.falling()
        if rain <= 0 and snow <= 0:
            return out
        cover = own.particles.cover(pts, rain > 0, snow > 0)
        region = mix.falls_in
        if region != "everywhere":
            cover = _masked(cover, canvas.mask(region)[0, 0], 1 + own.engines.halved)
        _pad(own.source["particles"][0, 0], cover)
        # drops are a little brighter than grey, flakes are white; both take the colour away
        falling = {
            "particles": own.source["particles"],
            "opacity": scalar(min(1.0, 0.55 * rain + 0.95 * snow)),
            "white": scalar(0.72 + 0.16 * snow / mix.strength),
        }
        return own.engines.run("fall", {"y": out["new_y"], "uv": out["new_uv"], **falling})

    def _engines_for(self, width: int, height: int) -> Engines:
        size = (width, height)
        engines = self._engines.pop(size, None)
        if engines is None:
            engines = Engines(self._weights, self._kind, self._threads, width, height)
        self._engines[size] = engines
        while len(self._engines) > ENGINES_KEPT:
            self._engines.popitem(last=False)  # streams of that size keep theirs until they end
        return engines


def _pad(plane: NDArray[np.uint8], samples: NDArray[np.uint8]) -> None:
    """Write samples into the upper left of a plane as large or larger; its edges are repeated."""
    height, width = samples.shape
    plane[:height, :width] = samples
    plane[:height, width:] = samples[:, -1:]
    plane[height:] = plane[height - 1]


def _masked(cover: NDArray[np.uint8], mask: Tensor, scale: int) -> NDArray[np.uint8]:
    """Cover [H, W] of particles where a canvas' mask [H/scale, W/scale] or a little more is."""
    height, width = cover.shape
    share = np.repeat(np.repeat(mask, scale, 0), scale, 1)[:height, :width]
    return np.asarray(np.rint(cover * share), np.uint8)


def _check_weights(weights: Path) -> None:
    """Raises ModelError naming the remedy."""
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


def _own(state: EditState) -> NanoState:
    if not isinstance(state, NanoState):
        raise ModelError("this state belongs to another model: open one with open_state")
    return state
