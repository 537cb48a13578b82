"""A step of the tiny autoencoder as an ONNX graph: what a stream remembers goes in, and out as `NAME.out`.

Shapes are fixed, weights lie in the file (3 MB for the encoder, 20 for the decoder in float16). An engine has
two sets of states that it uses by turns, or copies what came out over what went in.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gpu.autoencoder.base import FRAMES, LATENT_CHANNELS, STRIDE, check_size
from gpu.autoencoder.cost import Part
from gpu.autoencoder.tiny_network import Decoder, Encoder, TinyNetwork
from gpu.errors import DeviceError

OPSET = 20
WRITTEN = ".out"  # behind the name of a state that comes out
PICTURES: dict[Part, tuple[str, str]] = {"encoder": ("frames", "latents"), "decoder": ("latents", "frames")}


def step_inputs(
    part: Part, width: int, height: int, batch: int = 1, count: int = 1
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what a step over `count` latents takes, in the graph's order."""
    latents = (batch, count, LATENT_CHANNELS, height // STRIDE, width // STRIDE)
    frames = (batch, FRAMES * count, 3, height, width)
    made = {PICTURES[part][0]: frames if part == "encoder" else latents}
    half = Encoder if part == "encoder" else Decoder
    return made | {each.name: each.shape for each in half.state(batch, width, height)}


def export_step(
    network: TinyNetwork, part: Part, width: int, height: int, to: Path, batch: int = 1, count: int = 1
) -> Path:
    """Write one step into the folder `to`, in the network's own float type -> the file's path.

    Raises ModelError for a size without whole latents, DeviceError where the exporter is not installed or the
    folder cannot be written."""
    check_size(width, height)
    step = getattr(network, part)
    weight = next(step.parameters())
    shapes = step_inputs(part, width, height, batch, count)
    kind = str(weight.dtype).removeprefix("torch.")
    path = to / f"taew2_1-{part}-{width}x{height}-{batch}-{count}-{kind}.onnx"
    written = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        to.mkdir(parents=True, exist_ok=True)
        given = {name: torch.zeros(shape, dtype=weight.dtype) for name, shape in shapes.items()}
        _trace(step, given, PICTURES[part][1]).save(str(written), external_data=False)
        written.replace(path)  # a reader never sees half a file
    except OSError as exc:
        with contextlib.suppress(OSError):
            written.unlink(missing_ok=True)
        raise DeviceError(f"{path} cannot be written ({exc}): check the folder and its disk") from exc
    return path


def _trace(step: nn.Module, given: dict[str, Tensor], made: str) -> Any:
    """torch's ONNXProgram of a step on tensors like `given`, wherever its weights are."""
    device = next(step.parameters()).device
    _, *states = given
    try:
        with _quiet():
            return torch.onnx.export(
                step,
                tuple(each.to(device) for each in given.values()),
                input_names=list(given),
                output_names=[made, *(name + WRITTEN for name in states)],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except ImportError as exc:
        raise DeviceError(f"ONNX cannot be exported ({exc}): pip install relens[liveedit]") from exc


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own old ways, and of torchvision's operators, which nothing here has."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(loggers, levels, strict=True):
            log.setLevel(level)
