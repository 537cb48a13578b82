"""The ranges of numbers that FP8 in TensorRT needs: found once by streams through the network in PyTorch.

They are kept beside the graphs, and used only while weights, shape, code and libraries are the same. What
such a stream sees are seeded latents and instructions, no pictures: see HEADROOM in fp8_graph.py.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gpu.errors import DeviceError
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.engines.eager import EagerEngine
from gpu.wan.engines.fp8_graph import calibrate, layers_of
from gpu.wan.engines.store import Progress
from gpu.wan.exported import made_by
from gpu.wan.network import Network
from gpu.wan.sampler import Sampling
from gpu.wan.stream import EditStream

_SEED = 20261130
_MORE = 2  # blocks under the second instruction, after as many as fill the ring
_COARSE = 4  # cells of a latent that are much alike, as in pictures
_GRAIN = 0.3  # of what differs from cell to cell
_VERSION = 1  # raise it where the streams become others


def ranges(
    network: Network, weights: str, shape: StreamShape, folder: Path, mask_cache: bool, told: Progress
) -> dict[str, float]:
    """The largest number that enters each layer of fp8.py, by its name: what `folder` keeps, or else found.

    `weights`: a name that no other weights have. `network` must be as it was loaded, not yet in FP8; it is
    only read. Raises DeviceError where memory is short or the folder cannot be written, ModelError as
    `calibrate`."""
    kind = "cached" if mask_cache else "full"
    size = f"{shape.width}x{shape.height}-{shape.block}-{shape.sink}-{shape.window}"
    path = folder / f"{network.config.name}-{size}-{kind}-fp8.ranges.json"
    by = made_by(f"{network.config} {shape} {mask_cache} {weights} {_SEED} {_VERSION}")
    kept = _kept(path, by, network)
    if kept is not None:
        return kept
    found = calibrate(network, lambda: _run(network, shape, mask_cache, told))
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text(json.dumps({"made_by": by, "most": found}, indent=1))
        part.replace(path)
    except OSError as exc:
        raise DeviceError(f"{path} cannot be written ({exc}): check the folder and its disk") from exc
    finally:
        part.unlink(missing_ok=True)
    return found


def _kept(path: Path, by: str, network: Network) -> dict[str, float] | None:
    try:
        about = json.loads(path.read_text())
        most = {str(name): float(value) for name, value in about["most"].items()}
        names = {name for name, _ in layers_of(network)}
        fit = about["made_by"] == by and most.keys() == names
        return most if fit and all(0 < value < math.inf for value in most.values()) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _run(network: Network, shape: StreamShape, mask_cache: bool, told: Progress) -> None:
    """A stream until its ring is full, every step of the longest schedule, and on under another instruction,
    for which the ring is replayed."""
    weight, config = network.patch_embedding.weight, network.config
    engine = EagerEngine(network, str(weight.device), weight.dtype)
    chance = torch.Generator().manual_seed(_SEED)
    filled = shape.ring // shape.block
    count = filled + _MORE
    stream = EditStream(engine, shape, Sampling(seed=_SEED, mask_cache=mask_cache))
    try:
        for block, source in zip(range(count), _sources(config, shape, chance), strict=False):
            told(block / count, f"calibrating FP8, block {block + 1} of {count}")
            if block in (0, filled):
                stream.condition(_instruction(network, chance))
            stream.edit(source)
    finally:
        stream.close()
        if weight.is_cuda:
            torch.cuda.empty_cache()  # the library and its builder take memory past torch


@torch.inference_mode()
def _instruction(network: Network, chance: torch.Generator) -> Any:
    config = network.config
    text = torch.randn(1, config.text_len, config.text_dim, generator=chance)
    return network.condition(text.to(network.patch_embedding.weight.device))


def _sources(config: WanConfig, shape: StreamShape, chance: torch.Generator) -> Iterator[Tensor]:
    """Blocks of a scene that moves by a cell with every latent: [1, C, block, h, w]."""
    rows, cols = shape.latent_size
    coarse = (1, config.latent_channels, max(1, rows // _COARSE), max(1, cols // _COARSE))
    scene = functional.interpolate(torch.randn(coarse, generator=chance), (rows, cols), mode="bilinear")
    scene = scene / scene.std()
    latent = 0
    while True:
        moved = [scene.roll(latent + place, -1) for place in range(shape.block)]
        block = torch.stack(moved, 2)
        yield block + _GRAIN * torch.randn(block.shape, generator=chance)
        latent += shape.block
