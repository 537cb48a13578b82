"""The graphs whose sight is counted in pixels, run at half a canvas: the person and the lens blur.

Both know a person of some size and blur by a disc of some pixels; on a canvas twice as fine as they are meant
for they would see half as far. numpy only; knows tensors and graphs, not engines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Tensors = Mapping[str, F32]
Graph = Callable[[Tensors], dict[str, F32]]

BLUR_TURN = 0.4  # up to this amount a blur fades in, from there on it grows
_LEAST = np.float32(0.02)  # share of the blur below which what was mixed in cannot be told


def halved(planes: F32) -> F32:
    """[1,C,2h,2w] -> [1,C,h,w], means of squares."""
    rows = planes[..., ::2, :] + planes[..., 1::2, :]
    return np.asarray((rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25))


def doubled(planes: F32) -> F32:
    """[1,C,h,w] -> [1,C,2h,2w], linear in between; every second sample is one of `planes`, exactly: what is
    surely 0 or 1 stays so."""
    batch, channels, high, wide = planes.shape
    out = np.empty((batch, channels, 2 * high, 2 * wide), np.float32)
    half = np.float32(0.5)
    out[..., ::2, ::2] = planes
    np.multiply(planes[..., :-1] + planes[..., 1:], half, out=out[..., ::2, 1:-1:2])
    out[..., ::2, -1] = planes[..., -1]
    even = out[..., ::2, :]
    np.multiply(even[..., :-1, :] + even[..., 1:, :], half, out=out[..., 1:-1:2, :])
    out[..., -1, :] = out[..., -2, :]
    return out


def person(graph: Graph, inputs: Tensors) -> dict[str, F32]:
    """The person graph on a canvas twice as fine; its cache is of the coarse one."""
    found = graph(
        {
            "luma": halved(inputs["luma"]),
            "chroma": halved(inputs["chroma"]),
            "cache_level": inputs["cache_level"],
            "flow": halved(inputs["flow"]) * np.float32(0.5),  # in blocks, which are twice as large there
            "share": halved(inputs["share"]),
            "keep": inputs["keep"],
        }
    )
    return {"mask": doubled(found["mask"]), "new_cache_level": found["new_cache_level"]}


def blur(graph: Graph, inputs: Tensors) -> dict[str, F32]:
    """The blur graph on a canvas twice as fine: what it mixes in there is taken out of its mixture, enlarged,
    and mixed in here, so that what stays sharp keeps its finest detail."""
    little = np.float32(min(1.0, float(inputs["amount"].item()) / BLUR_TURN))
    mask, fine = inputs["mask"], (inputs["luma"], inputs["chroma"])
    coarse_mask = halved(mask)
    coarse = (halved(fine[0]), halved(fine[1]))
    mixed = list(
        graph(
            {"luma": coarse[0], "chroma": coarse[1], "mask": coarse_mask, "amount": inputs["amount"]}
        ).values()
    )
    made = []
    for planes, small, mixture, share, coarse_share in zip(
        fine, coarse, mixed, (mask, halved(mask)), (coarse_mask, halved(coarse_mask)), strict=True
    ):
        mixed_in = coarse_share * little
        blurred = small + (mixture - small) / np.maximum(mixed_in, _LEAST)
        wide = doubled(blurred)
        wide -= planes
        wide *= share * little
        wide += planes
        made.append(wide)
    return {"new_luma": made[0], "new_chroma": made[1]}


COARSE: Mapping[str, Callable[[Graph, Tensors], dict[str, F32]]] = {"person": person, "blur": blur}
