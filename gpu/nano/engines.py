"""The graphs of `nano`, compiled for one size of source. Knows names and shapes, not what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpu.engine import Engine, EngineKind, Tensor, open_engine
from gpu.nano.edits import names_of
from gpu.nano.geometry import MULTIPLE, coordinates, is_halved, padded_size, textures_for, working_size

F32 = NDArray[np.float32]

# {graph: its inputs whose size follows from the source's}; the shapes of the rest are fixed in the graph
_CANVAS = ("luma", "chroma", "mask")
_SIZED: Mapping[str, tuple[str, ...]] = {
    "steady": ("y", "uv", "cache_luma", "cache_chroma"),
    "person": ("luma", "chroma", "cache_mask", "cache_view"),
    "paint": (*_CANVAS, "gate", "cache_paint"),
    "draw": (*_CANVAS, "texture"),
    "look": (*_CANVAS, "aux"),
    "blur": _CANVAS,
    "finish": ("y", "uv", "edited_luma", "edited_chroma", "cover"),
    "fall": ("y", "uv", "particles"),
}
_HALVED = {"steady": (), "finish": ("luma", "chroma")}  # have a file of their own for halved canvases
GRAPH_FILES = (*(f"{name}.onnx" for name in _SIZED), *(f"{name}_half.onnx" for name in _HALVED))
_COMPILING = 2  # graphs at a time
_TEXTURES_KEPT = 4  # drawings whose texture is at hand, of two places and two plans: 2.5 MB each at 640x480


def shapes_of(width: int, height: int) -> dict[str, tuple[int, ...]]:
    """Every sized input for a source of that size."""
    w, h = working_size(width, height)
    full_width, full_height = padded_size(width, height)
    canvas, half = (1, 1, 2 * h, 2 * w), (1, 2, h, w)
    source = (1, 1, full_height, full_width)
    return {
        "y": source,
        "uv": (1, 2, full_height // 2, full_width // 2),
        "particles": source,
        "luma": canvas,
        "chroma": half,
        "edited_luma": canvas,
        "edited_chroma": half,
        "cache_luma": canvas,
        "cache_chroma": half,
        "mask": canvas,
        "cover": canvas,
        "cache_mask": canvas,
        "cache_view": (1, 4, h // 4, w // 4),
        "texture": (1, 2, 2 * h, 2 * w),
        "aux": (1, 2, h, w),
        "gate": (1, 1, h // 4, w // 4),
        "cache_paint": (1, 7, h // 2, w // 2),
    }


class Engines:
    """All graphs for one size of source, and what never changes of their inputs. One thread at a time."""

    def __init__(self, weights: Path, kind: EngineKind, threads: int, width: int, height: int) -> None:
        """Compiles. Raises DeviceError when no engine takes a graph, ModelError when one is unfit."""
        self.shapes = shapes_of(width, height)
        self.halved = is_halved(width, height)

        def open_graph(name: str) -> Engine:
            file, sized = f"{name}.onnx", _SIZED[name]
            if self.halved and name in _HALVED:
                file, sized = f"{name}_half.onnx", (*sized, *_HALVED[name])
            return open_engine(
                weights / file, kind, threads, {tensor: self.shapes[tensor] for tensor in sized}
            )

        with ThreadPoolExecutor(_COMPILING) as pool:  # a compile keeps one core busy
            self._graphs = dict(zip(_SIZED, pool.map(open_graph, _SIZED), strict=True))
        for edit in names_of("draw"):  # sheets are made once, half a second of work, and no stream may wait
            textures_for(edit, MULTIPLE, MULTIPLE)
        self.w, self.h = working_size(width, height)
        self.everywhere = _frozen(np.ones(self.shapes["mask"], np.float32))
        self.aux = _frozen(coordinates(2 * self.w, 2 * self.h)[None])

    @property
    def name(self) -> str:
        """For people: "OpenVINO, 2 threads"."""
        return self._graphs["steady"].name

    def run(self, name: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._graphs[name].run(inputs)

    def inputs(self, name: str) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of what a graph takes."""
        return self._graphs[name].inputs

    def texture(self, edit: str) -> F32:
        """[1, 2, 2h, 2w] what a drawing is drawn on."""
        return _texture(edit, self.w, self.h)

    def close(self) -> None:
        for engine in self._graphs.values():
            engine.close()


@lru_cache(maxsize=_TEXTURES_KEPT)
def _texture(edit: str, w: int, h: int) -> F32:
    return _frozen(textures_for(edit, w, h)[None])


def _frozen(array: F32) -> F32:
    array = np.ascontiguousarray(array, np.float32)
    array.flags.writeable = False
    return array
