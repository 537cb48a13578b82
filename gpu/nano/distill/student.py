"""The model under measurement, run as a server runs it: engines, cache, bytes. Knows no teachers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpu.models.nano import WEIGHTS, NanoModel
from gpu.nano import grid, pixel_art, sheet
from gpu.nano.distill import experts
from gpu.nano.edits import EDIT_BY_NAME, WEATHER_PARTICLES, moves_sheet
from gpu.nano.engines import Engines
from gpu.nano.geometry import is_halved, unfolded
from gpu.nano.grid import Lattice
from gpu.nano.plan import plan_of
from gpu.nano.stream import NanoState
from gpu.types import Frame, Part

F32 = NDArray[np.float32]

BEHIND = ("blur", "backdrop")  # meant for what is behind the person


class Student:
    """One set of weights; `close` it."""

    def __init__(self, weights: Path | None = None, threads: int = 2) -> None:
        self.weights, self._threads = weights or WEIGHTS, threads
        self._model = NanoModel(self.weights, threads=threads)

    def close(self) -> None:
        self._model.close()

    def part(self, edit: str) -> Part:
        """The edit at full amount, where it is meant to be."""
        return Part(edit, 1.0, "background" if edit in BEHIND else "everywhere")

    def run(self, frames: Sequence[Frame], parts: Sequence[Part], use_cache: bool = True) -> list[Frame]:
        """A clip; without the cache everything that is kept is forgotten before every frame."""
        step = self.stream((frames[0].width, frames[0].height), parts, use_cache)
        return [step(frame) for frame in frames]

    def run_drawing(self, frames: Sequence[Frame], edit: str) -> tuple[list[Frame], list[F32]]:
        """A clip drawn on a sheet that moves, and the textures [2, H, W] each frame was drawn on."""
        textures: list[F32] = []

        def keep(state: NanoState) -> None:
            textures.append(unfolded(state.memory.textures[edit][1]))

        step = self.stream((frames[0].width, frames[0].height), [self.part(edit)], seen=keep)
        return [step(frame) for frame in frames], textures

    def run_pixel_art(self, frames: Sequence[Frame]) -> tuple[list[Frame], list[Lattice]]:
        """A clip as pixel art, and where the art pixels of each frame are."""
        lattices: list[Lattice] = []

        def keep(state: NanoState) -> None:
            assert state.memory.grid is not None
            lattices.append(state.memory.grid.lattice(*state.engines.shapes["luma"][2:]))

        size = frames[0].width, frames[0].height
        step = self.stream(size, [self.part(pixel_art.NAME)], seen=keep)
        return [step(frame) for frame in frames], lattices

    def stream(
        self,
        size: tuple[int, int],
        parts: Sequence[Part],
        use_cache: bool = True,
        seen: Callable[[NanoState], None] | None = None,
    ) -> Callable[[Frame], Frame]:
        """One frame in, one out; the parts hold from the first. `seen` is shown the state after each."""
        state = self._model.open_state(*size)
        assert isinstance(state, NanoState)
        self._model.aim(state, plan_of(parts))

        def step(frame: Frame) -> Frame:
            if not use_cache:
                state.forget()
            (made,) = self._model.step(state, [frame])
            if seen is not None:
                seen(state)
            return made

        return step

    def masks(self, frames: Sequence[Frame]) -> list[F32]:
        """[H, W] 0..1 for each frame, 1 where the person is: the person graph on the steadied clip."""
        size = frames[0].width, frames[0].height
        engines = Engines(self.weights, "auto", self._threads, size)
        steady = {n: np.zeros(engines.shapes[n], np.float32) for n in ("cache_luma", "cache_chroma")}
        level = np.zeros(engines.shapes["cache_level"], np.float32)
        keep, masks = np.zeros((1, 1, 1, 1), np.float32), []
        try:
            for frame in frames:
                planes = {"y": frame.y[None, None], "uv": np.stack([frame.u, frame.v])[None]}
                out = engines.run("steady", {**planes, **steady, "keep": keep})
                canvas = {name: out[name] for name in ("luma", "chroma", "flow", "share")}
                person = engines.run("person", {**canvas, "cache_level": level, "keep": keep})
                steady = {"cache_luma": out["luma"], "cache_chroma": out["chroma"]}
                level = person["new_cache_level"]
                masks.append(np.array(person["mask"][0, 0]))
                keep = np.ones_like(keep)
        finally:
            engines.close()
        return masks

    @cached_property
    def _experts(self) -> dict[str, NDArray[np.float16]]:
        return experts.read(self.weights)

    @cached_property
    def _files(self) -> dict[str, str]:
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.weights.glob("*.onnx")
        }

    def digest(self, edit: str, size: tuple[int, int]) -> str:
        """Changes with everything of the weights that the edit runs through at that size of source."""
        kind, half = EDIT_BY_NAME[edit].kind, "_half" if is_halved(*size) else ""
        first = "follow" if kind == "paint" else "steady"
        files = [f"{first}{half}.onnx", f"finish{half}.onnx"]
        files += [f"{kind}.onnx"] * (edit != pixel_art.NAME)
        hold, stiff = EDIT_BY_NAME[edit].hold, "stiff" * EDIT_BY_NAME[edit].stiff
        files += ["hold.onnx"] * (hold > 0) + ["person.onnx"] * (edit in BEHIND)
        files += ["fall.onnx"] * (edit in WEATHER_PARTICLES)
        files += ["sheet.onnx"] * moves_sheet(edit)
        files += [f"regain{half}.onnx"] * (kind == "draw")
        parts = [self._files.get(file, "") for file in files]
        own = [a.tobytes() for name, a in sorted(self._experts.items()) if name.startswith(f"{kind}/{edit}/")]
        own += [Path(sheet.__file__).read_bytes()] * moves_sheet(edit)
        if edit == pixel_art.NAME:
            own = [Path(str(module.__file__)).read_bytes() for module in (sheet, grid, pixel_art)]
        return hashlib.sha256(f"{''.join(parts)}{hold}{stiff}".encode() + b"".join(own)).hexdigest()[:16]
