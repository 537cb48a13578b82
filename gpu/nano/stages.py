"""One frame through the stages of a plan, on the canvas. Knows engines and tensors, no frames and no time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gpu.engine import Tensor
from gpu.nano import pixel_art
from gpu.nano.coarse import halved
from gpu.nano.edits import Region, bends_sheet, moves_sheet
from gpu.nano.engines import Engines
from gpu.nano.experts import Experts
from gpu.nano.grid import Grid
from gpu.nano.plan import Plan, Stage
from gpu.nano.sheet import Sheet

F32 = NDArray[np.float32]

MOVED = ("gate", "flow", "share")
PAINT_CACHE = ("cache_paint", "cache_stats")
UNTOUCHED = 1.5 / 255  # a network says "nothing to do here" no more exactly than this
_SOFT = 2.0 / 255  # from there to wholly touched
_BESIDE = 5.0 / 255  # a mean of held lines: by more they would lie beside those of now
# Share of a region from which a pixel is wholly covered. Its edge is soft in the edit already: covered as
# softly it would be mixed in twice, and show the camera's noise.
_WHOLE = 1 / 8


@dataclass(frozen=True, slots=True)
class Picture:
    """A canvas: luma [1,1,2h,2w] and chroma [1,2,h,w], 0..1 of a byte."""

    luma: F32
    chroma: F32


def mixed(parts: Iterable[tuple[Picture, float]]) -> Picture:
    """The weighted sum."""
    luma: F32 | None = None
    chroma: F32 | None = None
    for picture, weight in parts:
        scale = np.float32(weight)
        if luma is None or chroma is None:
            luma, chroma = picture.luma * scale, picture.chroma * scale
        else:
            luma += picture.luma * scale
            chroma += picture.chroma * scale
    if luma is None or chroma is None:
        raise ValueError("no picture to mix")
    return Picture(luma, chroma)


@dataclass(slots=True)
class Memory:
    """What a stream's stages remember of the frame before; of fixed size.

    At most four paintings: in two places, of two plans."""

    painted: dict[object, dict[str, Tensor]] = field(default_factory=dict)  # {stage key: paint's cache}
    held: dict[object, Picture] = field(default_factory=dict)  # {stage key: what it made}
    sheet: Sheet | None = None  # of drawings that go along with the picture
    grid: Grid | None = None  # of pixel art
    sheets_move: bool = True  # and the grid; stays whatever is forgotten
    textures: dict[str, tuple[int, F32]] = field(default_factory=dict)  # {drawing: how often it moved, sheet}
    person: dict[str, Tensor] = field(default_factory=dict)  # the mask and what it comes from

    def forget(self) -> None:
        self.painted.clear()
        self.held.clear()
        self.sheet, self.grid = None, None
        self.textures.clear()
        self.person.clear()


class Pass:
    """One frame: runs plans on it, each stage once however many plans share it."""

    def __init__(
        self,
        engines: Engines,
        experts: Experts,
        memory: Memory,
        source: Picture,
        moved: Mapping[str, Tensor],
        camera: Mapping[str, Tensor],
    ) -> None:
        """`moved`: what the steadying found out of the frame before: gate, flow and share; `camera`: the
        bytes of the source, y [1,1,H,W] and uv [1,2,H/2,W/2]."""
        self._engines, self._experts, self._memory = engines, experts, memory
        self.source, self._moved = source, {name: moved[name] for name in MOVED}
        self._camera = {name: camera[name] for name in ("y", "uv")}
        self._done: dict[tuple[tuple[Stage, ...], tuple[float, ...]], Picture] = {}
        self._masks: dict[Region, Tensor] = {"everywhere": engines.everywhere}
        self._painted: dict[object, dict[str, Tensor]] = {}
        self._held: dict[object, Picture] = {}
        self._sheet: Sheet | None = None
        self._grid: Grid | None = None
        self._textures: dict[str, tuple[int, F32]] = {}

    def run(self, plan: Plan) -> Picture:
        """The canvas after the plan's stages, at full strength."""
        picture = self.source
        holds = plan.holds
        for number, stage in enumerate(plan.stages, 1):
            done = (plan.stages[:number], holds[:number])
            if done not in self._done:
                self._done[done] = self._stage(stage, picture, holds[number - 1])
            picture = self._done[done]
        return picture

    def find_person(self, plans: Iterable[Plan]) -> None:
        """Find the person if a plan asks where."""
        person = self._memory.person
        if all(stage.region == "everywhere" for plan in plans for stage in plan.stages):
            person.clear()
            return
        before = person.get("cache_level")
        inputs = {
            "luma": self.source.luma,
            "chroma": self.source.chroma,
            "flow": self._moved["flow"],
            "share": self._moved["share"],
            "keep": scalar(before is not None),
        }
        if before is None:
            before = np.zeros(self._engines.shapes["cache_level"], np.float32)
        found = self._engines.run("person", {**inputs, "cache_level": before})
        self._memory.person = {"mask": found["mask"], "cache_level": found["new_cache_level"]}
        self._masks |= {"person": found["mask"], "background": 1 - found["mask"]}

    def mask(self, region: Region) -> Tensor:
        """[1,1,2h,2w]; of a region other than everywhere only after `find_person`."""
        return self._masks[region]

    def cover(self, plans: Iterable[Plan], edited: Picture) -> Tensor:
        """[1,1,2h,2w] where the plans change the picture: outside, the camera's bytes stay."""
        plans = [plan for plan in plans if plan.stages]
        reach = {plan.reach for plan in plans}
        cover = self.mask(reach.pop() if len(reach) == 1 else "everywhere")
        if cover is not self._engines.everywhere:
            cover = np.minimum(cover * np.float32(1 / _WHOLE), np.float32(1))
        if plans and all(plan.is_local for plan in plans):
            cover = cover * touched(self.source, edited)
        return cover

    def remember(self) -> None:
        """What this frame made is the frame before of the next; what it did not make is forgotten."""
        self._memory.painted, self._memory.held = self._painted, self._held
        self._memory.sheet, self._memory.textures = self._sheet, self._textures
        self._memory.grid = self._grid

    def _stage(self, stage: Stage, picture: Picture, hold: float) -> Picture:
        if stage.kind == "draw":
            picture = self._regained(picture, stage.region)
        if stage.name == pixel_art.NAME:
            return self._pixel_art(stage, picture)
        inputs: dict[str, Tensor] = {
            "luma": picture.luma,
            "chroma": picture.chroma,
            "mask": self.mask(stage.region),
            "amount": scalar(stage.amount),
        }
        if stage.kind != "blur":
            inputs |= self._experts.tensors(stage.name, stage.colours)
        if stage.kind == "look":
            inputs["aux"] = self._engines.aux
        elif stage.kind == "draw":
            inputs["texture"] = self._texture(stage.name)
        elif stage.kind == "paint":
            inputs |= self._paint_memory(stage)
        out = self._engines.run(stage.kind, inputs)
        if stage.kind == "paint":
            self._painted[stage.key] = {name: out[f"new_{name}"] for name in PAINT_CACHE}
        luma, chroma = list(out.values())[:2]
        made = Picture(luma, chroma)
        return self._hold(stage, made, hold) if hold else made

    def _regained(self, picture: Picture, region: Region) -> Picture:
        """A canvas that is to be drawn there, its edges where the camera saw them."""
        inputs = {"luma": picture.luma, "chroma": picture.chroma, "mask": self.mask(region)}
        out = self._engines.run("regain", {**self._camera, **inputs, "gate": self._moved["gate"]})
        return Picture(*out.values())

    def _hold(self, stage: Stage, made: Picture, hold: float) -> Picture:
        """What a stage made, with some of what it made of the frame before."""
        before = self._memory.held.get(stage.key)
        if before is not None:
            inputs = {
                "luma": made.luma,
                "chroma": made.chroma,
                "mask": self.mask(stage.region),
                "cache_luma": before.luma,
                "cache_chroma": before.chroma,
                "flow": self._moved["flow"],
                "share": self._moved["share"],
                "hold": scalar(hold),
                "most": scalar(_BESIDE if stage.kind == "draw" else 1.0),
            }
            made = Picture(*self._engines.run("hold", inputs).values())
        self._held[stage.key] = made
        return made

    def _texture(self, name: str) -> F32:
        """What a drawing is drawn on: as it lies now, or as it lay while nothing has moved since."""
        if not (moves_sheet(name) and self._memory.sheets_move):
            return self._engines.texture(name)
        if self._sheet is None:
            self._sheet = self._memory.sheet or Sheet()
            self._sheet.follow(self._moved["flow"][0], self._moved["share"][0, 0], self.source.luma[0, 0])
        moves = self._sheet.moves
        before, texture = self._memory.textures.get(name, (-1, None))
        if texture is None or before != moves:
            high, wide = self._moved["flow"].shape[2:]
            lies = self._sheet.lies(high, wide, bends_sheet(name)) if moves else None
            texture = self._engines.texture(name, lies)
        self._textures[name] = moves, texture
        return texture

    def _pixel_art(self, stage: Stage, picture: Picture) -> Picture:
        """On the grid as it lies now."""
        if self._grid is None:
            self._grid = self._memory.grid or Grid()
            if self._memory.sheets_move:
                self._grid.follow(self._moved["flow"][0], self._moved["share"][0, 0], self.source.luma[0, 0])
        luma, chroma = picture.luma[0, 0], picture.chroma[0]
        new, new_chroma = pixel_art.made_of(luma, chroma, self._grid.lattice(*luma.shape))
        if stage.amount < 1 or stage.region != "everywhere":
            share = self.mask(stage.region)[0, 0] * np.float32(stage.amount)
            new = luma + share * (new - luma)
            new_chroma = chroma + halved(share) * (new_chroma - chroma)
        return Picture(new[None, None], new_chroma[None])

    def _paint_memory(self, stage: Stage) -> dict[str, Tensor]:
        """A painting of another scene says nothing of this one's colours, either."""
        before = self._memory.painted.get(stage.key) if self._moved["share"].any() else None
        shapes = self._engines.inputs("paint")
        cache = before or {name: np.zeros(shapes[name], np.float32) for name in PAINT_CACHE}
        return {**self._moved, "keep": scalar(before is not None), **cache}


def touched(source: Picture, edited: Picture) -> F32:
    """[1,1,2h,2w] in 0..1: where an edit of single things did anything at all."""
    h, w = source.chroma.shape[-2:]
    luma = np.abs(edited.luma - source.luma).reshape(h, 2, w, 2).max((1, 3))
    most = np.maximum(luma, np.abs(edited.chroma - source.chroma)[0].max(0))
    near = np.clip((most - np.float32(UNTOUCHED)) / np.float32(_SOFT), 0, 1)
    return np.asarray(np.repeat(np.repeat(near, 2, 0), 2, 1)[None, None], np.float32)


def scalar(value: float) -> F32:
    return np.full((1, 1, 1, 1), value, np.float32)
