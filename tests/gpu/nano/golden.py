"""`python -m tests.gpu.nano.golden`: what every edit makes of one picture, written anew after a training.

Kept are means of 8x8 pixels: small, and deaf to what differs between machines.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpu.models.nano import NanoModel
from gpu.nano.edits import EDITS, EditInfo
from gpu.nano.plan import plan_of
from gpu.types import Frame, Part

GOLDEN = Path(__file__).parent / "golden.npz"
CELL = 8


def source() -> Frame:
    """A cat, never trained on."""
    with np.load(GOLDEN) as stored:
        return Frame(stored["y"], stored["u"], stored["v"], 3000)


def part_of(edit: EditInfo, amount: float = 1.0) -> Part:
    """The edit everywhere: there is no person in the picture."""
    return Part(edit.name, amount)


def edited(model: NanoModel, frame: Frame, *parts: Part, strength: float = 1.0) -> Frame:
    """A first frame with the parts in force."""
    state = model.open_state(frame.width, frame.height)
    model.aim(state, plan_of(parts, strength))
    return model.step(state, [frame])[0]


def means(frame: Frame) -> NDArray[np.uint8]:
    """[n] means of the cells of y, u and v, one after the other."""
    cells = []
    for plane in (frame.y, frame.u, frame.v):
        rows, cols = plane.shape[0] // CELL, plane.shape[1] // CELL
        blocks = plane[: rows * CELL, : cols * CELL].reshape(rows, CELL, cols, CELL)
        cells.append(blocks.mean((1, 3)).ravel())
    return np.asarray(np.rint(np.concatenate(cells)), np.uint8)


def main() -> None:
    frame = source()
    model = NanoModel.load(threads=1)
    made = {edit.name: means(edited(model, frame, part_of(edit))) for edit in EDITS}
    model.close()
    np.savez_compressed(GOLDEN, y=frame.y, u=frame.u, v=frame.v, **made)
    print(f"{GOLDEN}: {len(made)} edits, {GOLDEN.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
