"""The graphs of `nano` for one size of source, compiled as they are wanted. Knows names and shapes, not what
they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpu.engine import Engine, EngineKind, Tensor, open_engine
from gpu.nano import coarse
from gpu.nano.compiling import Compiling
from gpu.nano.edits import names_of
from gpu.nano.geometry import (
    MOST_PIXELS,
    MULTIPLE,
    coordinates,
    folded,
    is_fine,
    is_halved,
    padded_size,
    sheet_of,
    textures_for,
    working_size,
)

F32 = NDArray[np.float32]

# {graph: its inputs whose size follows from the source's}; the shapes of the rest are fixed in the graph.
# In the order in which they are compiled while nobody wants any.
_CANVAS = ("luma", "chroma", "mask")
_SIZED: Mapping[str, tuple[str, ...]] = {
    "steady": ("y", "uv", "cache_luma", "cache_chroma"),
    "finish": ("y", "uv", "edited_luma", "edited_chroma", "cover"),
    "paint": (*_CANVAS, "gate", "flow", "share", "cache_paint"),
    "draw": (*_CANVAS, "texture"),
    "look": (*_CANVAS, "aux"),
    "person": ("luma", "chroma", "cache_level", "flow", "share"),
    "blur": _CANVAS,
    "follow": ("y", "uv", "cache_luma"),
    "hold": (*_CANVAS, "cache_luma", "cache_chroma", "flow", "share"),
    "fall": ("y", "uv", "particles"),
    "sheet": ("lies",),
    "regain": ("y", "uv", *_CANVAS, "gate"),
}
_HALVED = {
    "steady": (),
    "follow": (),
    "finish": ("luma", "chroma"),
    "regain": (),
}  # have a file of their own for halved canvases
GRAPH_FILES = (*(f"{name}.onnx" for name in _SIZED), *(f"{name}_half.onnx" for name in _HALVED))
ALWAYS = ("steady", "finish")  # whatever the edit
_TEXTURES_KEPT = 4  # drawings whose texture is at hand, of two places and two plans: 2.5 MB each at 640x480


def shapes_of(width: int, height: int, most: int = MOST_PIXELS) -> dict[str, tuple[int, ...]]:
    """Every sized input for a source of that size; `most` as in gpu.nano.geometry."""
    w, h = working_size(width, height, most)
    full_width, full_height = padded_size(width, height, most)
    source = (1, 1, full_height, full_width)
    shapes = _canvas_shapes(w, h)
    if is_fine(width, height, most):
        shapes["cache_level"] = _canvas_shapes(w // 2, h // 2)["cache_level"]
    return {
        "y": source,
        "uv": (1, 2, full_height // 2, full_width // 2),
        "particles": source,
        **shapes,
    }


def _canvas_shapes(w: int, h: int) -> dict[str, tuple[int, ...]]:
    canvas, half = (1, 1, 2 * h, 2 * w), (1, 2, h, w)
    return {
        "luma": canvas,
        "chroma": half,
        "edited_luma": canvas,
        "edited_chroma": half,
        "cache_luma": canvas,
        "cache_chroma": half,
        "mask": canvas,
        "cover": canvas,
        "cache_level": (1, 1, h, w),
        "texture": (2, h // 2, w, 8),
        "aux": (1, 2, h, w),
        "gate": (1, 1, h // 4, w // 4),
        "flow": (1, 2, h // 4, w // 4),
        "lies": (1, 2, h // 4, w // 4),
        "share": (1, 1, h // 2, w // 2),
        "cache_paint": (1, 6, h // 2, w // 2),
    }


@dataclass(frozen=True, slots=True)
class _Opening:
    """How the graphs of a size are opened. Does not know its Engines: in a cycle, those of a size that is let
    go would keep their hundred megabytes and their threads until a collector comes by."""

    weights: Path
    kind: EngineKind
    threads: int
    shapes: Mapping[str, tuple[int, ...]]
    canvas: tuple[int, int]
    halved: bool
    fine: bool

    def __call__(self, name: str) -> Engine:
        if name == "draw":  # sheets are made once, half a second of work, and no stream may wait
            for edit in names_of("draw"):
                textures_for(edit, MULTIPLE, MULTIPLE)
        file, sized = f"{name}.onnx", _SIZED[name]
        if self.halved and name in _HALVED:
            file, sized = f"{name}_half.onnx", (*sized, *_HALVED[name])
        shapes = self.shapes
        if self.fine and name in coarse.COARSE:
            shapes = _canvas_shapes(self.canvas[0] // 2, self.canvas[1] // 2)
        given = {tensor: shapes[tensor] for tensor in sized}
        return open_engine(self.weights / file, self.kind, self.threads, given)


class Engines:
    """All graphs for one size of source, and what never changes of their inputs.

    A graph is compiled when it is first wanted, and `run` waits for it; who must not wait asks `ready` first.
    Runs one thread at a time, everything else from any."""

    def __init__(
        self, weights: Path, kind: EngineKind, threads: int, size: tuple[int, int], most: int = MOST_PIXELS
    ) -> None:
        """Compiles nothing yet; `most` as in gpu.nano.geometry."""
        self.shapes = shapes_of(*size, most)
        self.halved, self._fine = is_halved(*size, most), is_fine(*size, most)
        self.w, self.h = working_size(*size, most)
        opening = _Opening(weights, kind, threads, self.shapes, (self.w, self.h), self.halved, self._fine)
        self._graphs = Compiling(_SIZED, opening)
        self.everywhere = _frozen(np.ones(self.shapes["mask"], np.float32))
        self.aux = _frozen(coordinates(2 * self.w, 2 * self.h)[None])

    @property
    def name(self) -> str:
        """For people: "OpenVINO, 2 threads". Raises DeviceError when no engine takes a graph, ModelError when
        one is unfit."""
        return self._graphs.get("steady").name

    @property
    def failed(self) -> bool:
        """Some graph could not be compiled: its `run` raises."""
        return self._graphs.failed

    def ready(self, graphs: Iterable[str], wait_s: float = 0.0) -> bool:
        """Whether these can run without waiting, now or within that time; what is missing is begun."""
        return self._graphs.ready(graphs, wait_s)

    def compile(self, graphs: Iterable[str]) -> None:
        """These are compiled when it returns. Raises DeviceError and ModelError, as `run`."""
        for name in graphs:
            self._graphs.get(name)

    def go_on(self) -> None:
        """Compile in the background what nobody has wanted yet."""
        self._graphs.go_on()

    def run(self, name: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raises DeviceError or ModelError where the graph cannot be had, ModelError for unfit inputs."""
        graph = self._graphs.get(name)
        if self._fine and name in coarse.COARSE:
            return coarse.COARSE[name](graph.run, inputs)
        return graph.run(inputs)

    def inputs(self, name: str) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of what `run` takes."""
        inputs = self._graphs.get(name).inputs
        return {tensor: self.shapes.get(tensor, shape) for tensor, shape in inputs.items()}

    def texture(self, edit: str, lies: F32 | None = None) -> F32:
        """[2, h/2, w, 8] what a drawing is drawn on, as it `lies` (gpu.nano.sheet; none: straight). Raises as
        `run`."""
        if lies is None:
            return _texture(edit, self.w, self.h)
        return self.run("sheet", {"tile": _sheet(edit), "lies": lies})["texture"]

    def close(self) -> None:
        """Does not wait for what is being compiled: that goes when it is done."""
        self._graphs.close()


@lru_cache(maxsize=_TEXTURES_KEPT)
def _texture(edit: str, w: int, h: int) -> F32:
    return _frozen(folded(textures_for(edit, w, h)))


@lru_cache(maxsize=_TEXTURES_KEPT)
def _sheet(edit: str) -> F32:
    return _frozen(sheet_of(edit))


def _frozen(array: F32) -> F32:
    array = np.ascontiguousarray(array, np.float32)
    array.flags.writeable = False
    return array
