"""Building engines in a child process. TensorRT-RTX builds for real here: it needs no GPU for that."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from trt_graphs import RING, ring_graph

from gpu.errors import DeviceError, ModelError, NoMemory
from gpu.wan.engines import builder
from gpu.wan.engines.builder import BuildPlan, Cancelled, build_engine
from gpu.wan.engines.trt_library import installed

RTX = pytest.mark.skipif(not installed("tensorrt-rtx"), reason="TensorRT-RTX is not installed")
BOTH = ("sm89", "sm120")


def plan(graph: Path, **given: object) -> BuildPlan:
    return BuildPlan(graph, **{"library": "tensorrt-rtx", "architectures": BOTH, "in_place": RING, **given})  # type: ignore[arg-type]


@RTX
@pytest.mark.parametrize("floats", ["float16", "bfloat16"])
def test_a_graph_is_built_for_two_architectures_with_its_ring_in_place(tmp_path: Path, floats: str) -> None:
    told: list[tuple[float, str]] = []
    graph = ring_graph(tmp_path / "ring.onnx", floats)
    built = build_engine(plan(graph), tmp_path / "ring.engine", lambda *said: told.append(said))
    assert built.in_place == {"ring_k.0.out": "ring_k.0", "ring_v.0.out": "ring_v.0"}
    assert built.engine_bytes == (tmp_path / "ring.engine").stat().st_size > 1000
    assert (built.nodes, built.decomposed) == (3, False)
    assert built.version
    assert built.peak_rss_bytes > 1 << 20
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] > 0.5
    assert len({what for _, what in told}) > 3
    assert sorted(os.listdir(tmp_path)) == ["ring.engine", "ring.onnx"]


@RTX
def test_attention_without_a_kernel_is_taken_apart_and_told(tmp_path: Path) -> None:
    graph = ring_graph(tmp_path / "ring.onnx", "float32")
    assert build_engine(plan(graph), tmp_path / "ring.engine").decomposed
    with pytest.raises(DeviceError, match=r"no kernel for the graph's attention .*fp16 or bf16"):
        build_engine(plan(graph, decompose="never"), tmp_path / "other.engine")
    assert not (tmp_path / "other.engine").exists()


@RTX
def test_a_refused_graph_names_node_and_operator(tmp_path: Path) -> None:
    graph = ring_graph(tmp_path / "ring.onnx", unknown="Bernoulli")
    with pytest.raises(
        ModelError, match=r"TensorRT-RTX .* cannot take ring.onnx: node 'odd one' \(Bernoulli\): "
    ):
        build_engine(plan(graph), tmp_path / "ring.engine")


@RTX
def test_a_ring_that_would_be_copied_is_refused(tmp_path: Path) -> None:
    graph = ring_graph(tmp_path / "ring.onnx", in_place=False)
    with pytest.raises(ModelError, match=r"would copy ring_k.0, ring_v.0 instead .*\(2 of 2\)"):
        build_engine(plan(graph), tmp_path / "ring.engine")
    assert not build_engine(plan(graph, in_place=()), tmp_path / "ring.engine").in_place


@RTX
@pytest.mark.parametrize("text", [None, b"no graph"])
def test_a_graph_that_is_none(tmp_path: Path, text: bytes | None) -> None:
    if text:
        (tmp_path / "ring.onnx").write_bytes(text)
    with pytest.raises(ModelError, match=r"ring\.onnx"):
        build_engine(plan(tmp_path / "ring.onnx"), tmp_path / "ring.engine")


@RTX
def test_a_build_is_cancelled_from_within(tmp_path: Path) -> None:
    stop = threading.Event()
    graph = ring_graph(tmp_path / "ring.onnx")
    with pytest.raises(Cancelled, match="was cancelled"):
        build_engine(plan(graph), tmp_path / "ring.engine", lambda *_: stop.set(), stop)
    assert os.listdir(tmp_path) == ["ring.onnx"]


def test_architectures_that_do_not_fit_are_refused_before_a_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder.subprocess, "Popen", None)
    with pytest.raises(ModelError, match=r"no engine for sm90, only for .*CUDA graphs"):
        build_engine(plan(tmp_path / "x.onnx", architectures=("sm90",)), tmp_path / "x")
    with pytest.raises(ModelError, match="builds for the GPU it runs on, not for sm89"):
        build_engine(plan(tmp_path / "x.onnx", library="tensorrt", architectures=("sm89",)), tmp_path / "x")


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> BuildPlan:
    """`import tensorrt` in the child runs `code`."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "tensorrt.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    return plan(ring_graph(tmp_path / "ring.onnx"), library="tensorrt", architectures=())


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (
            "import os, sys; print('bad driver', file=sys.stderr); os.abort()",
            DeviceError,
            "by SIGABRT .*bad driver",
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            NoMemory,
            "killed, most likely for want of memory",
        ),
        (
            "import os; print('noise on stdout', flush=True); os._exit(3)",
            DeviceError,
            "with code 3 and no answer .*noise",
        ),
        (
            "raise OSError('libnvinfer.so.11 is missing')",
            DeviceError,
            "does not load .libnvinfer.so.11 is missing",
        ),
        ("__version__ = '10.9.0.34'", DeviceError, "TensorRT 10.9.0.34 is too old, 11.0 is needed"),
        ("raise MemoryError", NoMemory, "not enough memory"),
    ],
)
def test_a_library_that_fails_costs_one_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        build_engine(stand_in(tmp_path, monkeypatch, code), tmp_path / "ring.engine", timeout_s=60)
    assert type(caught.value) is error
    assert sorted(os.listdir(tmp_path)) == ["lib", "ring.onnx"]


def test_a_build_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_END_S", 0.2)
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    order = stand_in(tmp_path, monkeypatch, code)
    with pytest.raises(DeviceError, match="took too long"):
        build_engine(order, tmp_path / "ring.engine", timeout_s=2)
    deadline = time.monotonic() + 10
    while pid.exists() and _lives(int(pid.read_text())):
        assert time.monotonic() < deadline, "the child goes on"
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_flags_hold_what_decides_the_outcome(tmp_path: Path) -> None:
    given = plan(tmp_path / "x.onnx")
    assert given.flags() == plan(tmp_path / "y.onnx").flags()
    for other in ({"workspace_bytes": 1 << 20}, {"level": 5}, {"decompose": "always"}):
        assert given.flags() != plan(tmp_path / "x.onnx", **other).flags()
