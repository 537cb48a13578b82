"""One stream: what is in force, what is kept of the frame before, and a frame's way through the graphs.

A frame is steadied, taken through the stages of what is in force on its canvas, finished at the source's
size, and rain and snow fall on it. Knows frames, plans and engines; knows no prompts and no other streams.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gpu.codec.range import to_limited
from gpu.engine import Tensor
from gpu.nano.engines import Engines
from gpu.nano.experts import Experts
from gpu.nano.particles import Particles
from gpu.nano.plan import Plan
from gpu.nano.stages import Memory, Pass, Picture, mixed, scalar
from gpu.nano.transition import Mix, Transition
from gpu.types import Edit, Frame

U8 = NDArray[np.uint8]


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

    @classmethod
    def fresh(cls, engines: Engines, particles: Particles) -> NanoState:
        """Nothing in force, nothing kept."""
        source = {name: np.zeros(engines.shapes[name], np.uint8) for name in ("y", "uv", "particles")}
        steadied = Picture(*(np.zeros(engines.shapes[name], np.float32) for name in ("luma", "chroma")))
        return cls(particles.width, particles.height, engines, source, particles, steadied)

    def aim(self, plan: Plan, transition_ms: int) -> None:
        """Put a plan in force, from what is in force now; everything that is kept stays."""
        kept = self.transition.begin(plan, transition_ms)
        if kept is None:
            return
        self.rest = None
        shown = self.shown
        origin = shown.plans[kept] if shown is not None else None
        if shown is not None and origin is not None:
            self.rest = mixed([(shown.mixed, 1.0), (origin, -1.0)])

    def remember_briefly(self) -> None:
        """Sheets lie still: how they lie follows from all that moved since the drawing began."""
        self.memory.sheets_move = False

    def forget(self) -> None:
        """The frame before was not edited: nothing of the one before that counts any more."""
        self.memory.forget()
        self.cache_valid, self.shown, self.rest = False, None, None

    def step(self, frame: Frame, experts: Experts) -> Frame:
        """A frame of the stream's size, edited; the very frame where the source is what is in force."""
        mix = self.transition.at(frame.pts)
        if mix.is_source:
            self.forget()
            return frame
        if frame.full_range:  # what leaves is limited range, whatever came in
            frame = to_limited(frame)
        pad(self.source["y"][0, 0], frame.y)
        for plane, samples in zip(self.source["uv"][0], (frame.u, frame.v), strict=True):
            pad(plane, samples)
        canvas = self._steady(experts, mix)
        edited = self._edit(canvas, mix)
        out = self._fall(canvas, self._finish(canvas, edited, mix), mix, frame.pts)
        canvas.remember()
        self.steadied, self.cache_valid = canvas.source, True
        y = out["new_y"][0, 0, : self.height, : self.width]
        u, v = out["new_uv"][0, :, : self.height // 2, : self.width // 2]
        y, u, v = (np.ascontiguousarray(plane) for plane in (y, u, v))  # copies only what was padded
        return Frame(y, u, v, frame.pts, frame.arrived_ns)

    def _steady(self, experts: Experts, mix: Mix) -> Pass:
        painted = all(plan.is_painted for plan, weight in mix.plans if weight > 0 and plan.stages)
        before = {"cache_luma": self.steadied.luma, "cache_chroma": self.steadied.chroma}
        if painted:
            del before["cache_chroma"]
        source = {"y": self.source["y"], "uv": self.source["uv"]}
        inputs = {**source, **before, "keep": scalar(self.cache_valid)}
        out = self.engines.run("follow" if painted else "steady", inputs)
        canvas = Picture(out["luma"], out["chroma"])
        return Pass(self.engines, experts, self.memory, canvas, out, self.source)

    def _edit(self, canvas: Pass, mix: Mix) -> Picture:
        """The canvas of what is in force, at full strength."""
        canvas.find_person([plan for plan, _ in mix.plans])
        strengths = [weight * plan.strength for plan, weight in mix.plans]
        pictures = [
            canvas.run(plan) if strength > 0 else None
            for (plan, _), strength in zip(mix.plans, strengths, strict=True)
        ]
        parts = [
            (picture, strength / mix.strength)
            for picture, strength in zip(pictures, strengths, strict=True)
            if picture is not None
        ]
        if mix.rest > 0 and self.rest is not None:
            parts.append((self.rest, mix.rest * strengths[0] / mix.strength))
        else:
            self.rest = None
        edited = parts[0][0] if len(parts) == 1 else mixed(parts)
        self.shown = Shown(tuple(pictures), edited) if len(mix.plans) > 1 else None
        return edited

    def _finish(self, canvas: Pass, edited: Picture, mix: Mix) -> dict[str, Tensor]:
        """Bytes at the source's size."""
        plans = [plan for plan, weight in mix.plans if weight > 0]
        inputs = {
            "y": self.source["y"],
            "uv": self.source["uv"],
            "edited_luma": edited.luma,
            "edited_chroma": edited.chroma,
            # the rest may lie where no plan in force reaches
            "cover": canvas.cover(plans, edited) if self.rest is None else canvas.mask("everywhere"),
            "strength": scalar(mix.strength),
        }
        if self.engines.halved:
            inputs |= {
                "luma": canvas.source.luma,
                "chroma": canvas.source.chroma,
                "detail": scalar(mix.detail),
            }
        return self.engines.run("finish", inputs)

    def _fall(self, canvas: Pass, out: dict[str, Tensor], mix: Mix, pts: int) -> dict[str, Tensor]:
        """The same with rain and snow, if any falls."""
        rain, snow = mix.falling()
        if rain <= 0 and snow <= 0:
            return out
        cover = self.particles.cover(pts, rain > 0, snow > 0)
        region = mix.falls_in
        if region != "everywhere":
            cover = masked(cover, canvas.mask(region)[0, 0], 1 + self.engines.halved)
        pad(self.source["particles"][0, 0], cover)
        # drops are a little brighter than grey, flakes are white; both take the colour away
        falling = {
            "particles": self.source["particles"],
            "opacity": scalar(min(1.0, 0.55 * rain + 0.95 * snow)),
            "white": scalar(0.72 + 0.16 * snow / mix.strength),
        }
        return self.engines.run("fall", {"y": out["new_y"], "uv": out["new_uv"], **falling})


def pad(plane: U8, samples: U8) -> None:
    """Write samples into the upper left of a plane as large or larger; their edges are repeated."""
    height, width = samples.shape
    plane[:height, :width] = samples
    plane[:height, width:] = samples[:, -1:]
    plane[height:] = plane[height - 1]


def masked(cover: U8, mask: Tensor, scale: int) -> U8:
    """Cover [H, W] of particles where a canvas' mask [H/scale, W/scale] is. At scale 1 the least of each 2x2
    of the mask counts, as in finishing: a chroma sample of which one pixel is outside stays the camera's."""
    height, width = cover.shape
    if scale == 1:
        rows = np.minimum(mask[::2], mask[1::2])
        mask, scale = np.minimum(rows[:, ::2], rows[:, 1::2]), 2
    share = np.repeat(np.repeat(mask, scale, 0), scale, 1)[:height, :width]
    return np.asarray(np.rint(cover * share), np.uint8)
