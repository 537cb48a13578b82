"""Small ONNX graphs by hand, for tests of building: attention over a ring that is written in place."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

TYPES = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16, "float32": TensorProto.FLOAT}
RING = ("ring_k.0", "ring_v.0")


def ring_graph(
    path: Path,
    floats: str = "float16",
    in_place: bool = True,
    unknown: str = "",
    heads: int = 2,
    width: int = 16,
) -> Path:
    """A block of 4 tokens over a ring of 12. `in_place`: TensorScatter writes the ring, else ScatterND;
    `unknown`: the operator of one more node."""
    kind = TYPES[floats]
    block, ring = [1, heads, 4, width], [1, heads, 12, width]
    info = helper.make_tensor_value_info
    inputs = [info(name, kind, block) for name in ("q", "k", "v")] + [info(name, kind, ring) for name in RING]
    inputs += [info("write_index", TensorProto.INT64, [1]), info("attend", TensorProto.BOOL, [1, 1, 4, 12])]
    outputs = [info(f"{name}.out", kind, ring) for name in RING] + [info("flow", kind, block)]
    nodes = []
    constants = []
    for name, update in zip(RING, ("k", "v"), strict=True):
        if in_place:
            given, extra = [name, update, "write_index"], {"axis": -2, "mode": "linear"}
            nodes.append(helper.make_node("TensorScatter", given, [f"{name}.out"], f"write {name}", **extra))
        else:
            rows = [(0, head, token) for head in range(heads) for token in range(4)]
            flat = [place for row in rows for place in row]
            constants.append(helper.make_tensor(f"rows {name}", TensorProto.INT64, [1, heads, 4, 3], flat))
            given = [name, f"rows {name}", update]
            nodes.append(helper.make_node("ScatterND", given, [f"{name}.out"], f"write {name}"))
    attended = "attended" if unknown else "flow"
    given = ["q", "ring_k.0.out", "ring_v.0.out", "attend"]
    nodes.append(helper.make_node("Attention", given, [attended], "attention"))
    if unknown:
        nodes.append(helper.make_node(unknown, [attended], ["flow"], "odd one"))
    graph = helper.make_graph(nodes, "ring", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    onnx.save(model, str(path))
    return path
