"""FP8 for TensorRT: quantise and dequantise pairs around the blocks' linear layers of an exported pass.

TensorRT has no switch for it: a graph says where 8-bit floats are by QuantizeLinear and DequantizeLinear, and
the library fuses them into the multiplications. Weights have a scale for each output, activations one each,
from the largest number that passes in PyTorch put into the layer (fp8_ranges.py). The layers are fp8.py's.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gpu.errors import DeviceError, ModelError
from gpu.wan.engines.fp8 import LAYERS, MOST
from gpu.wan.network import Network

SUFFIX = "-fp8"  # of a quantised graph's file name
_KIND = 17  # TensorProto.FLOAT8E4M3FN: the type of its zero makes a quantisation FP8
_TINY = 1e-6
# Of a layer's range over the largest number seen: a stream may bring larger ones, which would be cut off. The
# steps of these floats grow with the numbers, so room costs nothing but the very smallest.
HEADROOM = 2.0


def calibrate(network: Network, loop: Callable[[], None]) -> dict[str, float]:
    """The largest number that enters each layer while `loop` runs passes of `network`, by the layer's name.

    Let it run a few blocks of real latents, every step of the schedule. Raises ModelError where a layer was
    never run, or met a number that is none."""
    seen: dict[str, Tensor] = {}
    hooks = []
    for name, linear in layers_of(network):

        def look(_module: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
            most = given[0].abs().amax().float()
            seen[name] = most if name not in seen else torch.maximum(seen[name], most)

        hooks.append(linear.register_forward_pre_hook(look))
    try:
        loop()
    finally:
        for hook in hooks:
            hook.remove()
    found = {name: float(most) for name, most in seen.items()}
    unfit = [name for name, _ in layers_of(network) if not 0 < found.get(name, 0) < float("inf")]
    if unfit:
        raise ModelError(
            f"FP8 was not calibrated: {unfit[0]} (of {len(unfit)}) saw no number, or one without bounds; "
            "run passes over real latents"
        )
    return found


def layers_of(network: Network) -> list[tuple[str, Any]]:
    """(name, module) of the layers that are multiplied in FP8."""
    names = [f"blocks.{index}.{layer}" for index in range(len(network.blocks)) for layer in LAYERS]
    return [(name, network.get_submodule(name)) for name in names]


def quantise_graph(graph: Path, network: Network, most: Mapping[str, float]) -> Path:
    """Write the FP8 form of an exported pass beside it, on the same weights file -> its path.

    `most`: of `calibrate`. Raises ModelError where the graph has not every layer as a multiplication,
    DeviceError where the folder cannot be written."""
    import onnx
    from onnx import helper

    model = onnx.load(str(graph), load_external_data=False)
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    layers = {f"{name}.weight": (name, linear) for name, linear in layers_of(network)}
    made: list[Any] = []
    done: dict[str, str] = {}

    def pair(tensor: str, name: str, scale: Any, axis: dict[str, int]) -> str:
        """The quantised and again dequantised form of `tensor`; each is made once."""
        if name not in done:
            size = math.prod(scale.dims)
            zero = helper.make_tensor(f"{name}.zero", _KIND, scale.dims, bytes(size), raw=True)
            model.graph.initializer.extend((scale, zero))
            short, long = f"{name}.fp8", f"{name}.from_fp8"
            made.append(
                helper.make_node("QuantizeLinear", [tensor, scale.name, zero.name], [short], short, **axis)
            )
            made.append(helper.make_node("DequantizeLinear", [short, scale.name], [long], long, **axis))
            done[name] = long
        return done[name]

    for node in model.graph.node:
        weight = node.input[1] if node.op_type == "MatMul" else ""
        if weight in layers:
            name, linear = layers.pop(weight)
            kind = kinds[weight]
            rows = (linear.weight.detach().abs().amax(1).float() / MOST).clamp(
                min=_TINY
            )  # one for each output
            scale = helper.make_tensor(f"{name}.weight.scale", kind, rows.shape, rows.tolist())
            node.input[1] = pair(weight, weight, scale, {"axis": 1})  # the file has weights as [in, out]
            # Layers that share an input share its scale: they saw the same numbers.
            value = max(HEADROOM * most[name] / MOST, _TINY)
            entering = node.input[0]
            scale = helper.make_tensor(f"{entering}.scale", kind, [], [value])
            node.input[0] = pair(entering, entering, scale, {})
        made.append(node)
    if layers:
        raise ModelError(
            f"{graph.name} does not multiply by {next(iter(layers))} ({len(layers)} missing): export it anew"
        )
    del model.graph.node[:]
    model.graph.node.extend(made)
    path = graph.with_name(f"{graph.stem}{SUFFIX}.onnx")
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        onnx.save(model, str(part))
        part.replace(path)
    except OSError as exc:
        raise DeviceError(f"{path} cannot be written ({exc}): check the folder and its disk") from exc
    finally:
        part.unlink(missing_ok=True)
    return path
