"""A pass as a graph: operators, names and shapes, the same bytes each time, and what is kept is checked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from gpu.errors import DeviceError, ModelError  # noqa: E402
from gpu.wan import export as export_module  # noqa: E402
from gpu.wan.bindings import bindings  # noqa: E402
from gpu.wan.config import StreamShape, WanConfig  # noqa: E402
from gpu.wan.engines.key import graph_digest  # noqa: E402
from gpu.wan.export import check_pass, export_pass  # noqa: E402
from gpu.wan.network import random_network  # noqa: E402
from gpu.wan.weights import write_weights  # noqa: E402

TINY = WanConfig("tiny", dim=32, layers=1, heads=2, ffn=48, freq_dim=16, text_dim=16, text_len=4)
SHAPE = StreamShape(48, 32, block=1, sink=1, window=2)


def _graph(path: Path) -> Any:
    onnx.checker.check_model(str(path))
    return onnx.load(path, load_external_data=False).graph


def _ports(values: Any) -> dict[str, tuple[int, ...]]:
    return {one.name: tuple(dim.dim_value for dim in one.type.tensor_type.shape.dim) for one in values}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.mark.parametrize("kind", ["full", "cached", "pruned"])
def test_graph_is_as_the_bindings_say(folder: Path, kind: str) -> None:
    flags = {"mask_cache": kind == "cached", "pruned": kind == "pruned"}
    graph = _graph(export_pass(random_network(TINY), SHAPE, folder, 2, **flags))
    wanted = bindings(TINY, SHAPE, 2, **flags)
    assert _ports(graph.input) == {one.name: one.shape for one in wanted if one.role != "output"}
    assert _ports(graph.output) == {
        one.name + (".out" if one.role == "ring" else ""): one.shape for one in wanted if one.role != "input"
    }
    operators = Counter(node.op_type for node in graph.node)
    assert {name: operators[name] for name in ("Attention", "RMSNormalization", "TensorScatter")} == {
        "Attention": 2,
        "RMSNormalization": 3,
        "TensorScatter": 2,
    }
    assert (operators["GatherND"], operators["ScatterND"]) == ((3, 1) if kind == "pruned" else (0, 0))
    assert len({path.name for path in folder.glob("*.data")}) == 1  # one file for all of them
    assert not any(node.doc_string or node.metadata_props for node in graph.node)


@pytest.mark.slow
def test_same_again_and_not_traced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(TINY)
    path = export_pass(network, SHAPE, tmp_path / "one", dtype=torch.bfloat16)
    assert graph_digest(path) == graph_digest(
        export_pass(network, SHAPE, tmp_path / "two", dtype=torch.bfloat16)
    )
    traced: list[str] = []
    export = export_module._export

    def counted(*given: Any) -> None:
        traced.append("traced")
        export(*given)

    monkeypatch.setattr(export_module, "_export", counted)
    export_pass(network, SHAPE, tmp_path / "one", dtype=torch.bfloat16)
    assert not traced
    next((tmp_path / "one").glob("*.data")).unlink()  # weights alone are written again
    export_pass(network, SHAPE, tmp_path / "one", dtype=torch.bfloat16)
    assert not traced
    assert len(list((tmp_path / "one").glob("*.data"))) == 1
    path.write_bytes(path.read_bytes()[:-1])  # cut short
    export_pass(network, SHAPE, tmp_path / "one", dtype=torch.bfloat16)
    sidecar = path.with_suffix(".json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "made_by": "another release"}))
    export_pass(network, SHAPE, tmp_path / "one", dtype=torch.bfloat16)
    assert len(traced) == 2
    export_pass(random_network(TINY, seed=1), SHAPE, tmp_path / "one", dtype=torch.bfloat16)  # other weights
    assert len(traced) == 3


def test_without_a_mask(tmp_path: Path) -> None:
    graph = _graph(export_pass(random_network(TINY), SHAPE, tmp_path, mask="none"))
    assert "attend" not in _ports(graph.input)
    assert all(len(node.input) == 3 for node in graph.node if node.op_type == "Attention")


def test_another_graph_is_refused() -> None:
    ir = pytest.importorskip("onnx_ir")
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 24})
    with pytest.raises(ModelError, match=r"attend is None, not BOOL\[1, 18\]"):
        check_pass(graph, bindings(TINY, SHAPE), torch.float32)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="cannot be written"):
        export_pass(random_network(TINY), SHAPE, tmp_path / "file")


def test_the_function_that_is_traced_writes_a_block() -> None:
    ring, update = torch.zeros(2, 1, 6, 3), torch.ones(2, 1, 2, 3)
    written = torch.ops.relens.write_block(ring, update, torch.tensor([0, 4]))
    assert not ring.any()
    assert written[0, 0, :, 0].tolist() == [1, 1, 0, 0, 0, 0]
    assert written[1, 0, :, 0].tolist() == [0, 0, 0, 0, 1, 1]


def test_weights_lie_at_pages(tmp_path: Path) -> None:
    parameters = {"a": torch.randn(3, 5), "b": torch.randn(7)}
    dtypes = {"a": torch.bfloat16, "b": torch.float32}
    file = write_weights(parameters, dtypes, {"a"}, tmp_path)
    content = file.path.read_bytes()
    for name, expected in (("a", parameters["a"].bfloat16().t()), ("b", parameters["b"])):
        stored = file.stored[name]
        assert stored.offset % 4096 == 0
        found = torch.frombuffer(
            bytearray(content[stored.offset : stored.offset + stored.length]), dtype=stored.dtype
        )
        assert torch.equal(found.view(stored.shape), expected)
    assert write_weights(parameters, dtypes, {"a"}, tmp_path) == file
    assert write_weights(parameters, dtypes, set(), tmp_path).path != file.path
