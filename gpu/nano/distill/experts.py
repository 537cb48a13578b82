"""What every edit owns of the networks: `experts.npz`, one float16 array per `kind/edit/tensor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

FILE = "experts.npz"


def read(weights: Path) -> dict[str, NDArray[np.float16]]:
    """All arrays by `kind/edit/tensor`; empty when there is no file yet."""
    path = weights / FILE
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def merge(weights: Path, kind: str, experts: Mapping[str, Mapping[str, ArrayLike]]) -> None:
    """Replace all experts of one kind ("look", "draw", "paint") in `weights`/experts.npz; atomic.

    Raises ValueError for what does not fit float16."""
    kept = {name: array for name, array in read(weights).items() if not name.startswith(f"{kind}/")}
    for edit, tensors in experts.items():
        for name, tensor in tensors.items():
            array = np.asarray(tensor, np.float32)
            half = array.astype(np.float16)
            if not np.isfinite(half).all():
                raise ValueError(
                    f"{kind}/{edit}/{name} does not fit float16: the largest is {np.abs(array).max()}"
                )
            kept[f"{kind}/{edit}/{name}"] = half
    weights.mkdir(parents=True, exist_ok=True)
    partial = weights / "experts.tmp.npz"
    np.savez_compressed(partial, **{name: kept[name] for name in sorted(kept)})  # type: ignore[arg-type]
    partial.replace(weights / FILE)
