"""Runs every kernel over odd sizes and pitches. A program of its own: the library it is given is built with
the address sanitizer, which must be in the process from the start (test_kernels.py starts it so)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from gpu.cuda.place import Place
from gpu.cuda.planes import Colours, half
from tests.gpu.cuda import on_cpu
from tests.gpu.cuda.on_cpu import STREAM, CpuFunction, binding, bound, device, nv12, padded
from tests.gpu.cuda.shim import kernel_names

SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (33, 17), (64, 8), (65, 9), (130, 31)]
CANVASES = [(1, 1), (3, 5), (32, 8), (33, 9), (70, 41)]
GAPS = (0, 2, 6)


def planes(size: tuple[int, int], gap: int, dtype: Any = np.uint8) -> tuple[Any, Any]:
    width, height = size
    return padded((height, width), dtype, gap), padded((half(height), half(width), 2), dtype, gap)


def run_all(library: Path) -> None:
    run = on_cpu.kernels(library)
    colours = Colours(bt709=True)
    for turn, size in enumerate(SIZES):
        gap = GAPS[turn % len(GAPS)]
        source, target = nv12(*planes(size, gap)), nv12(*planes(size, gap))
        y, small = planes(size, gap)
        u, v = (padded(small.shape[:2], gap=gap) for _ in range(2))
        run.nv12_to_i420(STREAM, source, device(y), device(u), device(v))
        run.i420_to_nv12(STREAM, device(y), device(u), device(v), target)
        wide = planes(size, gap, np.uint16)
        run.p016_to_nv12(STREAM, device(wide[0]), device(wide[1]), target, 10, False)
        for canvas in CANVASES:
            run.resize_nv12(STREAM, source, nv12(*planes(canvas, gap)))
            for fit, dtype in (("pad", np.float16), ("crop", np.uint16), ("stretch", np.float16)):
                place = Place.of(*size, canvas, fit)  # type: ignore[arg-type]
                rgb, edited, change = (
                    np.zeros((3, canvas[1], canvas[0]), kind) for kind in (dtype, dtype, np.float16)
                )
                kept, memory = np.zeros(rgb.shape[1:], np.uint8), bound(binding())
                mask = (
                    np.full(rgb.shape[1:], 200, np.uint8) if fit == "pad" else np.ones(rgb.shape[1:], dtype)
                )
                run.bind(STREAM, memory, source, target, colours, 0.7)
                run.nv12_to_rgb(STREAM, memory, device(rgb), place)
                run.edit_change(
                    STREAM,
                    memory,
                    device(edited),
                    device(rgb),
                    device(mask),
                    device(change),
                    device(kept),
                    place,
                )
                run.composite(STREAM, memory, device(change), device(kept), place)
                run.rgb_to_nv12(STREAM, device(rgb), nv12(*planes(canvas, gap)), colours)
                other = np.zeros((3, size[1], size[0]), dtype)
                run.resize_planes(STREAM, device(rgb), device(other))
                run.resize_planes(STREAM, device(kept), device(np.zeros((size[1], size[0]), np.uint8)))


if __name__ == "__main__":
    asked = set[str]()
    launch = CpuFunction.launch

    def remembered(self: CpuFunction, *args: Any) -> None:
        asked.add(self._name.decode())
        launch(self, *args)

    CpuFunction.launch = remembered  # type: ignore[method-assign]
    run_all(Path(sys.argv[1]))
    missing = set(kernel_names()) - asked
    assert not missing, missing
    print("every kernel ran")
