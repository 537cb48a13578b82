"""Which engine is taken, why, and that choosing imports nothing it does not take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from gpu.errors import DeviceError  # noqa: E402
from gpu.wan.config import TOY  # noqa: E402
from gpu.wan.engines import open_pass_engine  # noqa: E402
from gpu.wan.engines.store import EngineStore  # noqa: E402
from gpu.wan.network import Network, random_network  # noqa: E402


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(TOY)


def test_the_package_needs_no_torch() -> None:
    code = "import sys, gpu.wan.engines; sys.exit(bool({'torch', 'onnxruntime', 'onnx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_auto_on_the_cpu(network: Network) -> None:
    opened = open_pass_engine(network, device="cpu")
    assert opened.kind == "eager"
    assert opened.why.startswith("no GPU")
    assert opened.engine.dtype == torch.float32


def test_auto_on_a_gpu(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    class Graphs:
        why = ""

        def __init__(self, *given: object) -> None:
            taken.append(given)

    monkeypatch.setattr("gpu.wan.engines.graphs.GraphEngine", Graphs)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    opened = open_pass_engine(network)
    assert (opened.kind, taken) == ("graphs", [(network, "cuda:0", torch.bfloat16)])
    assert "nothing to build" in opened.why


def test_what_was_asked_for(network: Network, tmp_path: Path) -> None:
    opened = open_pass_engine(network, "graphs", "cpu")
    assert opened.why == "graphs was asked for; passes run un-recorded: there are no CUDA graphs on cpu"
    pytest.importorskip("onnxruntime")
    opened = open_pass_engine(network, "onnxruntime", "cpu", graphs=tmp_path, threads=1)
    assert opened.engine.name.startswith("ONNX Runtime")


def test_what_cannot_be_had(network: Network, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="choose auto"):
        open_pass_engine(network, "tensorflow", "cpu")  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="name a folder"):
        open_pass_engine(network, "tensorrt", "cuda:0")
    with pytest.raises(DeviceError, match="relens doctor"):
        open_pass_engine(network, "tensorrt", "cpu", graphs=tmp_path, store=EngineStore(tmp_path, 1))


def test_the_gpu_decides_between_the_tensorrts(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.wan.engines.trt_library.architecture_of", lambda device: "sm90")
    with pytest.raises(DeviceError, match="is run by tensorrt, not tensorrt-rtx"):
        open_pass_engine(network, "tensorrt-rtx", "cuda:0", graphs=tmp_path, store=EngineStore(tmp_path, 1))
