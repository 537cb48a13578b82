"""The model under test, loaded once, and pictures to edit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gpu.models.nano import NanoModel
from gpu.nano.plan import plan_of
from gpu.nano.stream import NanoState
from gpu.types import Frame, Part


@pytest.fixture(scope="session")
def model() -> Iterator[NanoModel]:
    nano = NanoModel.load(threads=1)
    yield nano
    nano.close()


def opened(model: NanoModel, width: int, height: int) -> NanoState:
    state = model.open_state(width, height)
    assert isinstance(state, NanoState)
    return state


def force(
    model: NanoModel, state: NanoState, *parts: str | Part, strength: float = 1.0, over_ms: int = 0
) -> NanoState:
    """Parts, or names of edits in full, past the text tower; returns the state."""
    whole = [Part(part, 1.0) if isinstance(part, str) else part for part in parts]
    model.aim(state, plan_of(whole, strength), over_ms)
    return state


def picture(width: int, height: int, index: int = 0, pts: int | None = None) -> Frame:
    """A textured picture whose right half moves and whose left half stands, with a little seeded noise."""
    rng = np.random.default_rng(index)
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float64)
    moved = np.where(cols > width / 2, cols + 3 * index, cols)
    y = 120 + 60 * np.sin(moved / 9) * np.cos(rows / 13) + 30 * (((moved // 16) + (rows // 16)) % 2)
    y = (y + rng.normal(0, 1.5, y.shape)).clip(16, 235)
    u = 128 + 40 * np.sin(cols[::2, ::2] / 31)
    v = 128 + 40 * np.cos(rows[::2, ::2] / 23)
    planes = (plane.round().astype(np.uint8) for plane in (y, u, v))
    return Frame(*planes, pts=3000 * index if pts is None else pts, arrived_ns=index + 1)


def clip(width: int, height: int, frames: int) -> list[Frame]:
    return [picture(width, height, index) for index in range(frames)]


def still_clip(width: int, height: int, frames: int, noise: float) -> list[Frame]:
    """One picture under noise of a camera."""
    base, rng = picture(width, height), np.random.default_rng(8)

    def grain(plane: np.ndarray) -> np.ndarray:
        return np.asarray((plane + rng.normal(0, noise, plane.shape)).round().clip(0, 255), np.uint8)

    return [Frame(grain(base.y), grain(base.u), grain(base.v), 3000 * i) for i in range(frames)]


def same(a: Frame, b: Frame) -> bool:
    return all(np.array_equal(p, q) for p, q in ((a.y, b.y), (a.u, b.u), (a.v, b.v)))


def distance(a: Frame, b: Frame) -> float:
    """Mean difference in levels, over all three planes."""
    planes = ((a.y, b.y), (a.u, b.u), (a.v, b.v))
    total = sum(float(np.abs(p.astype(np.float64) - q).sum()) for p, q in planes)
    return total / sum(p.size for p, _ in planes)


def psnr(a: Frame, b: Frame) -> float:
    """dB over all three planes."""
    planes = ((a.y, b.y), (a.u, b.u), (a.v, b.v))
    error = sum(float(((p.astype(np.float64) - q) ** 2).sum()) for p, q in planes)
    return float(10 * np.log10(255**2 / max(error / sum(p.size for p, _ in planes), 1e-9)))
