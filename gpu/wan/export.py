"""One pass of the network as an ONNX graph: opset 24, `Attention`, `RMSNormalization`, and `TensorScatter`
for the ring. Shapes are fixed, names are those of bindings.py.

What a pass writes in place goes out under its own name with `.out` behind it; an engine binds both to one
memory. Of the ring that is TensorScatter's contract. A full pass only writes the deltas; a pruned one writes
rows of them by ScatterND, and an engine that does not do this in place copies them.
The graph is traced without weights (on torch's meta device): they are written beside it, once for all graphs
of a network, and never held twice.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gpu.errors import DeviceError, ModelError
from gpu.wan.attention import ring_tokens, write_ring
from gpu.wan.bindings import Binding, bindings
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.exported import Exported, find, made_by, note
from gpu.wan.network import Network, cast
from gpu.wan.weights import WeightsFile, write_weights

Mask = Literal["row", "whole", "none"]
OPSET = 24  # the first with TensorScatter
WRITTEN = ".out"  # behind the name of what a pass wrote in place
_PREFIX = "network."  # of parameters in what is traced
_FIXED = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}


def export_pass(
    network: Network,
    shape: StreamShape,
    to: Path,
    batch: int = 1,
    mask_cache: bool = False,
    pruned: bool = False,
    dtype: torch.dtype | None = None,
    mask: Mask = "row",
) -> Path:
    """Write one pass of `network` into the folder `to` -> the graph's path; its weights lie beside it.

    `pruned` is the pass over `kept` tokens, `mask_cache` the full pass that leaves deltas for it. `dtype`: of
    the tensors of kind "model" and of most weights; None: the network's own. `network` is only read. Takes
    half a minute at 1.3B, seconds where the same graph is there already.
    `mask`, how `attend` reaches attention: "row", [B, 1, 1, ring]; "whole", [B, 1, tokens, ring], for engines
    that do not broadcast it; "none": there is no `attend`, for a ring that is full.
    Raises DeviceError where the exporter is not installed or the folder cannot be written, ModelError when
    the graph is not what bindings.py says."""
    dtype = dtype or network.patch_embedding.weight.dtype
    tensors = tuple(
        one
        for one in bindings(network.config, shape, batch, mask_cache, pruned)
        if one.name != "attend" or mask != "none"
    )
    name = f"{shape.width}x{shape.height}-{shape.block}-{shape.sink}-{shape.window}-{batch}"
    kind = "pruned" if pruned else "cached" if mask_cache else "full"
    name += f"-{kind}-{mask}-{str(dtype).removeprefix('torch.')}"
    path = to / f"{network.config.name}-{name}.onnx"
    try:
        by = made_by(f"{network.config} {tensors} {dtype} {mask}")
        found = find(path, by)
        if found is None or _written(network, found.dtypes, found.transposed, to).path.name != found.weights:
            _export(network, tensors, shape, dtype, mask, path, by)
    except ImportError as exc:
        raise DeviceError(f"ONNX cannot be exported ({exc}): pip install relens[liveedit]") from exc
    except OSError as exc:
        raise DeviceError(f"{path} cannot be written ({exc}): check the folder and its disk") from exc
    return path


def _export(
    network: Network,
    tensors: tuple[Binding, ...],
    shape: StreamShape,
    dtype: torch.dtype,
    mask: Mask,
    path: Path,
    by: str,
) -> None:
    from gpu.wan.rewrite import finish, save

    traced = _Traced(network.config, shape, tensors, dtype)
    model, weights, transposed = finish(traced.trace(), _PREFIX, mask == "whole")
    check_pass(model.graph, tensors, dtype)
    dtypes = {name: traced.network.get_parameter(name).dtype for name in weights}
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _written(network, dtypes, transposed, path.parent)
    save(model, weights, file, path)
    note(path, by, Exported(dtypes, sorted(transposed), file.path.name))


def _written(
    network: Network, dtypes: dict[str, torch.dtype], transposed: Collection[str], to: Path
) -> WeightsFile:
    return write_weights(dict(network.named_parameters()), dtypes, transposed, to)


class _Traced(nn.Module):
    """The network without its weights, as a function of tensors in their order, and without side effects."""

    def __init__(
        self, config: WanConfig, shape: StreamShape, tensors: tuple[Binding, ...], dtype: torch.dtype
    ) -> None:
        super().__init__()
        with torch.device("meta"):
            self.network = Network(config)
        cast(self.network, dtype).requires_grad_(False)
        self.network.write = _BlockWriter(shape.block_tokens)
        self.inputs = [one for one in tensors if one.role != "output"]
        self.outputs = [one for one in tensors if one.role != "input"]
        self.dtype = dtype
        self.eval()

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        named = {one.name: tensor for one, tensor in zip(self.inputs, given, strict=True)}
        for name in [one.name for one in self.inputs if one.role == "ring"]:
            named[name] = named[name].clone()  # what is written in place, is written to these
        made = self.network.step(named)
        return tuple(made[one.name] for one in self.outputs)

    def trace(self) -> Any:
        """torch's ONNXProgram, not yet optimised."""
        from onnxscript.values import Op, Opset

        scatter = Op(Opset("", OPSET), "TensorScatter")
        sizes = [(one.shape, _FIXED.get(one.kind, self.dtype)) for one in self.inputs]
        with _quiet():
            return torch.onnx.export(
                self,
                tuple(torch.zeros(size, dtype=dtype, device="meta") for size, dtype in sizes),
                input_names=[one.name for one in self.inputs],
                output_names=[one.name + WRITTEN * (one.role == "ring") for one in self.outputs],
                opset_version=OPSET,
                dynamo=True,
                optimize=False,  # later, without the weights
                verbose=False,
                custom_translation_table={
                    torch.ops.relens.write_block.default: lambda ring, update, write_index: scatter(
                        ring, update, write_index, axis=-2, mode="linear"
                    )
                },
            )


@torch.library.custom_op("relens::write_block", mutates_args=())
def write_block(ring: Tensor, update: Tensor, write_index: Tensor) -> Tensor:
    """The ring with a whole block written at `write_index`: what the exporter turns into TensorScatter."""
    return write_ring(ring.clone(), update, write_index)


@write_block.register_fake
def _(ring: Tensor, update: Tensor, write_index: Tensor) -> Tensor:
    return torch.empty_like(ring)


class _BlockWriter:
    """Writes whole blocks, as TensorScatter does. Of a pruned pass's block, the tokens that are not kept are
    read from the ring and written again."""

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self._rows: tuple[Tensor, Tensor, Tensor] | None = None  # kept, and what _of says of it

    def __call__(
        self, ring: Tensor, update: Tensor, write_index: Tensor, kept: Tensor | None = None
    ) -> Tensor:
        if kept is not None:
            update = self._whole(ring, update, write_index, kept)
        return torch.ops.relens.write_block(ring, update, write_index)

    def _whole(self, ring: Tensor, update: Tensor, write_index: Tensor, kept: Tensor) -> Tensor:
        """[B, N, U, D] -> [B, N, tokens, D]"""
        if self._rows is None or self._rows[0] is not kept:  # once a pass: all layers keep the same
            self._rows = (kept, *self._of(write_index, kept))
        _, places, source = self._rows
        return torch.stack(
            [
                torch.cat((ring[entry].index_select(1, places[entry]), update[entry]), 1).index_select(1, one)
                for entry, one in enumerate(source)
            ]
        )

    def _of(self, write_index: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """The block's tokens in the ring, and where each is in these with the update behind: [B, tokens]."""
        own = torch.arange(self._tokens, device=kept.device).expand(len(kept), -1)
        fresh = torch.arange(self._tokens, self._tokens + kept.shape[1], device=kept.device).expand_as(kept)
        return ring_tokens(self._tokens, write_index, None), own.scatter(1, kept, fresh)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own old ways, and of torchvision's operators, which nothing here has."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def check_pass(graph: Any, tensors: tuple[Binding, ...], dtype: torch.dtype) -> None:
    """Hold a graph (onnx_ir) against the named tensors of a pass and the operators that engines look for.

    Raises ModelError with all that differs: another release of the exporter made something else."""
    made = {
        value.name: _described(value.shape, value.dtype.name) for value in (*graph.inputs, *graph.outputs)
    }
    types = {
        "model": {torch.float32: "FLOAT", torch.float16: "FLOAT16", torch.bfloat16: "BFLOAT16"}[dtype],
        "float32": "FLOAT",
        "int64": "INT64",
        "bool": "BOOL",
    }
    wanted = {}
    for one in tensors:
        described = _described(one.shape, types[one.kind])
        if one.role != "output":
            wanted[one.name] = described
        if one.role != "input":
            wanted[one.name + WRITTEN * (one.role == "ring")] = described
    wrong = [
        f"{name} is {made.get(name)}, not {wanted.get(name)}"
        for name in sorted(made.keys() | wanted.keys())
        if made.get(name) != wanted.get(name)
    ]
    layers = sum(one.name.startswith("cross_k.") for one in tensors)
    count = {"Attention": 2 * layers, "RMSNormalization": 3 * layers, "TensorScatter": 2 * layers}
    for operator, least in count.items():
        found = sum(node.op_type == operator for node in graph)
        if found != least:
            wrong.append(f"{found} {operator}, not {least}")
    for value in graph.inputs:
        if value.name.startswith("ring_"):
            ends = [
                node.op_type for node, _ in value.uses() if node.op_type not in ("Gather", "TensorScatter")
            ]
            wrong += [f"{value.name} is read by {end}" for end in ends]
    if wrong:
        raise ModelError(
            f"torch {torch.__version__} exports another graph ({'; '.join(wrong[:8])}): use torch 2.13"
        )


def _described(shape: Any, type_: str) -> str:
    return f"{type_}{[int(size) for size in shape]}"
