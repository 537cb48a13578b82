"""Both engines on one small graph: equal numbers, static shapes, clear refusals."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gpu.engine import Engine, EngineKind, open_engine
from gpu.engine.openvino import OpenVinoEngine
from gpu.errors import DeviceError, ModelError

onnx = pytest.importorskip("onnx")

KINDS: list[EngineKind] = ["openvino", "onnxruntime"]
SHAPES = {"x": (1, 3, 16, 24)}


@pytest.fixture(scope="module")
def graph() -> bytes:
    """Conv, a shift and a ReLU; height and width are free. Outputs `z` and `y`, in this order."""
    h, kind = onnx.helper, onnx.TensorProto
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [
        h.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        h.make_node("Add", ["c", "s"], ["y"]),
        h.make_node("Relu", ["y"], ["z"]),
    ]
    inputs = [
        h.make_tensor_value_info("x", kind.FLOAT, [1, 3, "h", "w"]),
        h.make_tensor_value_info("s", kind.FLOAT, [1, 4, 1, 1]),
    ]
    outputs = [h.make_tensor_value_info(name, kind.FLOAT, [1, 4, "h", "w"]) for name in ("z", "y")]
    body = h.make_graph(nodes, "small", inputs, outputs, [onnx.numpy_helper.from_array(weights, "w")])
    model = h.make_model(body, opset_imports=[h.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def tensors(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((1, 3, 16, 24)).astype(np.float32),
        "s": rng.standard_normal((1, 4, 1, 1)).astype(np.float32),
    }


def open_both(graph: bytes) -> list[Engine]:
    return [open_engine(graph, kind, threads=1, shapes=SHAPES) for kind in KINDS]


def test_the_engines_agree(graph: bytes) -> None:
    first, second = (engine.run(tensors()) for engine in open_both(graph))
    assert list(first) == list(second) == ["z", "y"]
    for name in first:
        assert first[name].shape == (1, 4, 16, 24)
        np.testing.assert_allclose(first[name], second[name], atol=1e-5)
    assert float(np.abs(first["y"]).max()) > 1
    np.testing.assert_array_equal(first["z"], np.maximum(first["y"], 0))


@pytest.mark.parametrize(("threads", "shared"), [(0, True), (1, False)])
def test_what_runs_beside_others_has_a_graph_of_its_own(graph: bytes, threads: int, shared: bool) -> None:
    first, second = (OpenVinoEngine(graph, threads, SHAPES) for _ in range(2))
    assert (first._compiled is second._compiled) == shared


def test_one_thread_is_the_caller_s_own() -> None:
    """Handing small graphs over to another thread and back took a fifth of the time."""
    h = onnx.helper
    square = h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [512, 512])
    nodes = [h.make_node("MatMul", ["x", "x"], ["xx"]), h.make_node("MatMul", ["xx", "x"], ["y"])]
    out = h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [512, 512])
    body = h.make_graph(nodes, "cube", [square], [out])
    model = h.make_model(body, opset_imports=[h.make_opsetid("", 17)], ir_version=9)
    engine = OpenVinoEngine(model.SerializeToString(), threads=1)
    x = np.ones((512, 512), np.float32)
    engine.run({"x": x})
    all_s, own_s = time.process_time(), time.thread_time()
    for _ in range(10):
        engine.run({"x": x})
    all_s, own_s = time.process_time() - all_s, time.thread_time() - own_s
    assert own_s > 0.5 * all_s > 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_repeats_itself_and_lets_results_alone(graph: bytes, kind: EngineKind) -> None:
    engine = open_engine(graph, kind, threads=2, shapes=SHAPES)
    first = engine.run(tensors())
    kept = {name: tensor.copy() for name, tensor in first.items()}
    other = engine.run(tensors(2))
    assert not np.array_equal(other["y"], kept["y"])
    again = engine.run(tensors())
    for name, tensor in kept.items():
        np.testing.assert_array_equal(first[name], tensor)
        np.testing.assert_array_equal(again[name], tensor)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_are_not_contiguous_are_read_right(graph: bytes, kind: EngineKind) -> None:
    engine = open_engine(graph, kind, threads=1, shapes=SHAPES)
    given = tensors()
    strided = np.ascontiguousarray(given["x"].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert not strided.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(engine.run({**given, "x": strided})["y"], engine.run(given)["y"])


@pytest.mark.parametrize("kind", KINDS)
def test_misfits_are_named(graph: bytes, kind: EngineKind) -> None:
    engine = open_engine(graph, kind, threads=1, shapes=SHAPES)
    assert dict(engine.inputs) == {"x": (1, 3, 16, 24), "s": (1, 4, 1, 1)}
    given = tensors()
    with pytest.raises(ModelError, match=r"missing \['s'\]"):
        engine.run({"x": given["x"]})
    with pytest.raises(ModelError, match=r"input 'x' is float32\[1, 3, 8, 24\]"):
        engine.run({**given, "x": given["x"][:, :, :8]})
    with pytest.raises(ModelError, match="float64"):
        engine.run({**given, "x": given["x"].astype(np.float64)})
    engine.close()
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.run(given)


@pytest.mark.parametrize("kind", [*KINDS, "auto"])
@pytest.mark.parametrize("shapes", [None, {"x": (1, 4, 16, 24)}, {"nothing": (1,)}])
def test_free_or_wrong_shapes_are_a_model_error(
    graph: bytes, kind: EngineKind, shapes: dict[str, tuple[int, ...]] | None
) -> None:
    with pytest.raises(ModelError):
        open_engine(graph, kind, threads=1, shapes=shapes)


@pytest.mark.parametrize("kind", [*KINDS, "auto"])
def test_files_that_are_missing_or_broken_are_a_device_error(tmp_path: Path, kind: EngineKind) -> None:
    with pytest.raises(DeviceError, match="is missing"):
        open_engine(tmp_path / "none.onnx", kind)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a graph")
    with pytest.raises(DeviceError):
        open_engine(broken, kind)


def test_auto_takes_openvino_and_reads_files(graph: bytes, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(graph)
    engine = open_engine(path, threads=1, shapes=SHAPES)
    assert "OpenVINO" in engine.name
    np.testing.assert_array_equal(engine.run(tensors())["y"], open_both(graph)[0].run(tensors())["y"])


def test_unknown_kind_names_the_choices(graph: bytes) -> None:
    with pytest.raises(DeviceError, match="auto, openvino or onnxruntime"):
        open_engine(graph, "tensorrt")  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform != "linux", reason="names are told to Linux")
def test_threads_that_openvino_makes_have_its_name(graph: bytes) -> None:
    """And not that of who compiles, or runs, first: in a process of its own, where none is there yet."""
    script = """
import os, sys, threading
import numpy as np
from gpu import threads
from gpu.engine import open_engine

def names():
    tasks = os.listdir("/proc/self/task")
    return sorted(open(f"/proc/self/task/{task}/comm").read().strip() for task in tasks)

def run():
    engine = open_engine(sys.stdin.buffer.read(), "openvino", threads=2, shapes={"x": (1, 3, 512, 512)})
    engine.run({"x": np.ones((1, 3, 512, 512), np.float32), "s": np.ones((1, 4, 1, 1), np.float32)})
    after.extend(names())

after = []
thread = threading.Thread(target=run, name="relens-compile")
threads.start(thread)
thread.join()
print(*after)
"""
    done = subprocess.run([sys.executable, "-c", script], input=graph, capture_output=True, check=True)
    names = done.stdout.decode().split()
    assert names.count("openvino") >= 1
    assert names.count("compile") == 1, "who has it made keeps its own"
