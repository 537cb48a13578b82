"""What is done to a traced graph before it is kept: optimised without its weights, rows picked by one
operator, nothing in it that tells of the machine it was made on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
import torch
from numpy.typing import NDArray
from onnxscript.optimizer import fold_constants_ir

from gpu.wan.weights import WeightsFile

_TYPES = {
    torch.float32: ir.DataType.FLOAT,
    torch.float16: ir.DataType.FLOAT16,
    torch.bfloat16: ir.DataType.BFLOAT16,
}


def finish(
    program: Any, prefix: str, whole_masks: bool = False
) -> tuple[ir.Model, dict[str, ir.Value], set[str]]:
    """Optimise what the exporter traced -> the model, its weights by name, as inputs that are still to be
    given, and the names of those that it takes transposed. `prefix` leaves the names of the weights.
    `whole_masks`: attention's masks get a row for every query."""
    graph = program.model.graph
    weights = {}
    for name in [name for name in graph.initializers if name.startswith(prefix)]:
        value = graph.initializers.pop(name)
        value.name, value.const_value = name.removeprefix(prefix), None
        weights[value.name] = value
        graph.inputs.append(value)  # what the optimiser cannot look into, it neither copies nor merges
    _simplify(program.model)
    _pick_rows(graph)
    if whole_masks:
        _spread_masks(graph)
    transposed = _transpose_in_file(graph, weights)
    for value in weights.values():
        graph.inputs.remove(value)
    passes.RemoveUnusedNodesPass()(program.model)
    used = {name: value for name, value in weights.items() if value.uses()}
    _tidy(program.model)
    return program.model, used, transposed


def _simplify(model: ir.Model) -> None:
    """Work out once what does not depend on inputs. Engines rewrite graphs better than the exporter's own
    rules, which take as long as all the rest."""
    passes.InlinePass()(model)
    fold_constants_ir(model, onnx_shape_inference=True)
    for step in (
        passes.RemoveUnusedNodesPass(),
        passes.RemoveUnusedFunctionsPass(),
        passes.RemoveUnusedOpsetsPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.DeduplicateInitializersPass(),
        passes.CommonSubexpressionEliminationPass(),
        passes.OutputFixPass(),
        passes.NameFixPass(),
    ):
        step(model)
    _leave_out_ones(model.graph)


def _leave_out_ones(graph: ir.Graph) -> None:
    """torch's addcmul multiplies by a value, which is 1."""
    for node in [node for node in graph if node.op_type == "Mul"]:
        for one, other in ((0, 1), (1, 0)):
            factor, value = node.inputs[one].const_value, node.inputs[other]
            if factor is None or factor.size != 1 or value.shape != node.outputs[0].shape:
                continue
            if factor.numpy().item() == 1:
                node.outputs[0].replace_all_uses_with(value)
                graph.remove(node, safe=True)
                break


def save(model: ir.Model, weights: dict[str, ir.Value], file: WeightsFile, path: Path) -> None:
    """Write the graph; its weights are those of `file`, which lies in the same folder."""
    for name, value in weights.items():
        stored = file.stored[name]
        value.dtype, value.shape = _TYPES[stored.dtype], ir.Shape(stored.shape)
        value.const_value = ir.ExternalTensor(
            file.path.name,
            stored.offset,
            stored.length,
            value.dtype,
            shape=value.shape,
            name=name,
            base_dir=file.path.parent,
        )
        model.graph.initializers[name] = value
    part = path.with_suffix(".part")
    try:
        ir.save(model, part, format="protobuf")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _transpose_in_file(graph: ir.Graph, weights: dict[str, ir.Value]) -> set[str]:
    """Linear layers multiply by the transpose of their weights: these lie in the file as they are used."""
    transposed = set()
    for name, value in weights.items():
        users = [node for node, _ in value.uses()]
        if users and all(node.op_type == "Transpose" and len(value.shape or ()) == 2 for node in users):
            for node in users:
                node.outputs[0].replace_all_uses_with(value)
                graph.remove(node, safe=True)
            transposed.add(name)
    return transposed


def _pick_rows(graph: ir.Graph) -> None:
    """Gathering and scattering element by element, with an index for each, become the same by rows."""
    where: dict[tuple[str | None, int, int], ir.Value] = {}
    for node in list(graph):
        if node.op_type not in ("GatherElements", "ScatterElements") or node.attributes["axis"].value != 1:
            continue
        expand = node.inputs[1].producer() if node.inputs[1] is not None else None
        if expand is None or expand.op_type != "Expand":
            continue
        extra: list[ir.Node] = []
        rows = expand.inputs[0]  # [B, K, 1]
        if node.op_type == "GatherElements":
            made = ir.Node(
                "", "GatherND", [node.inputs[0], rows], {"batch_dims": ir.AttrInt64("batch_dims", 1)}
            )
        else:
            batch, count = (int(size) for size in node.inputs[2].shape.dims[:2])
            at = where.get((rows.name, batch, count))
            if at is None:
                entry = np.broadcast_to(np.arange(batch, dtype=np.int64)[:, None, None], (batch, count, 1))
                of = _constant(graph, f"{rows.name}_entries", entry.copy())
                index = ir.Node("", "Concat", [of, rows], {"axis": ir.AttrInt64("axis", -1)})
                at = where[rows.name, batch, count] = index.outputs[0]
                extra = [index]
            made = ir.Node("", "ScatterND", [node.inputs[0], at, node.inputs[2]])
        old, new = node.outputs[0], made.outputs[0]
        new.shape, new.dtype = old.shape, old.dtype
        graph.insert_before(node, [*extra, made])
        name = old.name
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        graph.remove(node, safe=True)
        new.name = name


def _spread_masks(graph: ir.Graph) -> None:
    """ONNX lets attention broadcast its mask; ONNX Runtime wants it whole."""
    spread: dict[str, ir.Value] = {}
    for node in [node for node in graph if node.op_type == "Attention" and len(node.inputs) > 3]:
        mask = node.inputs[3]
        if mask.name not in spread:
            size = [mask.shape[0], 1, node.inputs[0].shape[2], mask.shape[3]]
            of = _constant(graph, f"{mask.name}_whole", np.array(size, dtype=np.int64))
            made = ir.Node("", "Expand", [mask, of])
            graph.insert_before(node, made)
            spread[mask.name] = made.outputs[0]
        node.replace_input_with(3, spread[mask.name])


def _constant(graph: ir.Graph, name: str, array: NDArray[np.int64]) -> ir.Value:
    value = ir.Value(name=name, const_value=ir.tensor(array))
    value.shape, value.dtype = ir.Shape(array.shape), ir.DataType.INT64
    graph.initializers[name] = value
    return value


def _tidy(model: ir.Model) -> None:
    """Leave out where the nodes came from: paths and lines of this machine would make each graph another."""
    graph = model.graph
    model.doc_string = graph.doc_string = None
    for bag in (model.metadata_props, graph.metadata_props):
        bag.clear()
    for node in graph:
        node.doc_string = None
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*graph.inputs, *graph.initializers.values()):
        value.metadata_props.clear()
