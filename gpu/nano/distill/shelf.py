"""What the teachers made of a clip, kept on disk: it does not change with the weights, and costs the most.

A file a clip and edit, named by everything it depends on. Delete the folder at will.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpu.nano.distill.clips import TICKS, Clip, to_frame
from gpu.nano.distill.teaching import Teachers, digest
from gpu.nano.grid import Lattice
from gpu.types import Frame

EVERY = 3  # the teacher of the clean frame is asked for every n-th; the last frame always


@dataclass(frozen=True, slots=True)
class Taught:
    """The teacher's pictures: some of the clean clip by frame number, all of the noisy clip."""

    clean: list[tuple[int, Frame]]
    noisy: list[Frame]  # luma only: u and v are empty


def taught(teachers: Teachers, clip: Clip, name: str, folder: Path) -> Taught:
    """From the shelf, or asked of the teacher now."""
    path = folder / f"{clip.name}_{_key(teachers, clip)}" / f"{name}_{digest(name)}.npz"
    stored = _read(path)
    if stored is not None:
        return stored
    last = len(clip.clean) - 1
    numbers = sorted({*range(last, -1, -EVERY)})
    clean = [(i, to_frame(teachers.picture(name, clip.clean[i], i * TICKS), i)) for i in numbers]
    noisy = [to_frame(teachers.picture(name, image, i * TICKS), i) for i, image in enumerate(clip.noisy)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp.npz")
    np.savez(
        partial,
        numbers=np.array(numbers),
        y=np.stack([f.y for _, f in clean]),
        uv=np.stack([np.stack([f.u, f.v]) for _, f in clean]),
        noisy=np.stack([f.y for f in noisy]),
    )
    partial.replace(path)
    return Taught(clean, noisy)


def taught_on(teachers: Teachers, clip: Clip, name: str, number: int, texture: NDArray[np.float32]) -> Frame:
    """What the teacher makes of a clean frame on a sheet as it lay under it, texture [2, H, W]; not kept."""
    return to_frame(teachers.picture(name, clip.clean[number], number * TICKS, texture), number)


def taught_at(teachers: Teachers, clip: Clip, number: int, lattice: Lattice) -> Frame:
    """What the teacher makes of a clean frame as pixel art, its art pixels there; not kept."""
    return to_frame(teachers.pixel_art(clip.clean[number], lattice), number)


def _key(teachers: Teachers, clip: Clip) -> str:
    content = b"".join(np.ascontiguousarray(image[::4, ::4]).tobytes() for image in clip.noisy)
    width, height = clip.size
    return f"{width}x{height}_{len(clip.clean)}_{hashlib.sha256(content).hexdigest()[:8]}"


def _read(path: Path) -> Taught | None:
    try:
        with np.load(path) as file:
            numbers, y, uv, noisy = (file[name] for name in ("numbers", "y", "uv", "noisy"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    nothing = np.zeros((0, 0), np.uint8)
    return Taught(
        [(int(i), Frame(a, b[0], b[1], int(i) * TICKS)) for i, a, b in zip(numbers, y, uv, strict=True)],
        [Frame(plane, nothing, nothing, i * TICKS) for i, plane in enumerate(noisy)],
    )
