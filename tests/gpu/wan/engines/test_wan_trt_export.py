"""FP8 through TensorRT: ranges found once, graphs quantised, the key; engines that run in a stand-in for the
library, and real ones from TensorRT-RTX."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import onnx
import torch
from trt_stand_in import FakeCuda, World

from gpu.errors import DeviceError
from gpu.wan.config import TOY, StreamShape
from gpu.wan.engines import tensorrt
from gpu.wan.engines.base import PassEngine
from gpu.wan.engines.builder import BuildPlan, Cancelled
from gpu.wan.engines.eager import EagerEngine
from gpu.wan.engines.fp8 import to_fp8
from gpu.wan.engines.fp8_graph import layers_of
from gpu.wan.engines.store import EngineStore
from gpu.wan.engines.tensorrt import TensorRtEngine
from gpu.wan.engines.trt_export import exporter
from gpu.wan.engines.trt_library import installed
from gpu.wan.network import Network, random_network
from gpu.wan.sampler import Sampling
from gpu.wan.stream import EditStream

SHAPE = StreamShape(64, 48, block=1, sink=1, window=2)
CALIBRATED = SHAPE.ring + 2  # blocks


def nothing(share: float, what: str) -> None:
    pass


class Server:
    """What a server keeps from start to start: graphs, ranges, engine files. Counts what it had to do."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.built, self.told = root, 0, list[tuple[float, str]]()
        monkeypatch.setattr(tensorrt, "build_engine", self._build)

    def _build(self, plan: BuildPlan, target: Path, told: Any, cancelled: Any, timeout_s: float) -> None:
        self.built += 1
        told(0.5, "half of it")
        target.write_text(str(plan.graph))

    def engine(self, network: Network, fp8: bool = True) -> TensorRtEngine:
        world = World()
        export = exporter(network, self.root, torch.float32, fp8, mask="whole")  # ONNX Runtime's
        store = EngineStore(self.root / "engines", 1 << 30)
        given: Any = {"device": "cpu", "dtype": torch.float32, "cuda": FakeCuda(world)}
        flags = ("fp8",) if fp8 else ()
        return TensorRtEngine(TOY, export, store, world.library("tensorrt-rtx"), "sm89", flags=flags, **given)

    def start(self, network: Network, fp8: bool = True) -> tuple[int, int]:
        """(blocks that FP8 was calibrated with, engines built)"""
        self.built, self.told = 0, []
        self.engine(network, fp8).prepare(SHAPE, told=lambda *said: self.told.append(said))
        return sum("calibrating" in what for _, what in self.told), self.built


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graphs of every pass, which need not be traced for each test."""
    folder = tmp_path_factory.mktemp("exported")
    plain = exporter(random_network(TOY, 4), folder, torch.float32, mask="whole")
    for mask_cache, pruned in ((False, False), (True, False), (True, True)):
        plain(SHAPE, 1, mask_cache, pruned, nothing)
    return folder


@pytest.fixture
def server(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(shutil.copytree(exported, tmp_path / "graphs"), monkeypatch)


def edited(engine: PassEngine, mask_cache: bool, blocks: int = 5) -> torch.Tensor:
    """A stream's latents under one instruction."""
    chance = torch.Generator().manual_seed(1)
    stream = EditStream(engine, SHAPE, Sampling(mask_cache=mask_cache))
    with torch.inference_mode():
        text = torch.randn(1, TOY.text_len, TOY.text_dim, generator=chance)
        stream.condition(random_network(TOY, 4).condition(text))
    rows, cols = SHAPE.latent_size
    made = [
        stream.edit(torch.randn(1, TOY.latent_channels, 1, rows, cols, generator=chance)).clone()
        for _ in range(blocks)
    ]
    stream.close()
    return torch.cat(made, 2)


@pytest.mark.parametrize("mask_cache", [False, True])
def test_a_stream_is_near_that_of_pytorch_in_fp8(server: Server, mask_cache: bool) -> None:
    """Both round, each in a way of its own; against float32 they are as far off as against each other."""
    engine = server.engine(random_network(TOY, 4))
    engine.prepare(SHAPE, mask_cache=mask_cache)
    ours = edited(engine, mask_cache)
    exact = edited(EagerEngine(random_network(TOY, 4)), mask_cache)
    theirs = edited(EagerEngine(to_fp8(random_network(TOY, 4))), mask_cache)
    assert 0.002 < float((ours - exact).norm() / exact.norm()) < 0.06
    assert float((ours - theirs).norm() / exact.norm()) < 0.06


def test_ranges_are_found_once_and_anew_for_other_weights(server: Server) -> None:
    assert server.start(random_network(TOY, 4)) == (CALIBRATED, 1)
    shares = [share for share, _ in server.told]
    assert shares == sorted(shares), "a bar does not go back"
    calibrating = [share for share, what in server.told if "calibrating" in what]
    assert 0 < calibrating[-1] < 0.2
    assert shares[-1] == 1.0
    assert server.start(random_network(TOY, 4)) == (0, 0), "the next start finds everything"
    assert server.start(random_network(TOY, 5)) == (CALIBRATED, 1)
    assert server.start(random_network(TOY, 4), fp8=False) == (0, 1), "without FP8 it is another engine"


def test_other_ranges_are_another_engine(server: Server) -> None:
    network = random_network(TOY, 4)
    server.start(network)
    (kept,) = server.root.glob("*.ranges.json")
    about = json.loads(kept.read_text())
    about["most"] = {name: 2 * value for name, value in about["most"].items()}
    kept.write_text(json.dumps(about))
    assert server.start(network) == (0, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda about: about | {"made_by": "another release"},
        lambda about: about | {"most": {**about["most"], "blocks.0.ffn.0": float("nan")}},
        lambda about: about | {"most": {"blocks.0.ffn.0": 1.0}},
        lambda about: [],
    ],
)
def test_ranges_of_something_else_are_not_trusted(server: Server, spoil: Callable[[Any], Any]) -> None:
    network = random_network(TOY, 4)
    server.start(network)
    (kept,) = server.root.glob("*.ranges.json")
    kept.write_text(json.dumps(spoil(json.loads(kept.read_text()))))
    assert server.start(network) == (CALIBRATED, 0), "they come out the same, and so does the engine"


def test_the_key_says_fp8(server: Server) -> None:
    engine = server.engine(random_network(TOY, 4))
    assert engine.name == "TensorRT-RTX 1.7.1, FP8, float32, SM89"
    engine.prepare(SHAPE)
    (sidecar,) = (server.root / "engines").glob("*.json")
    assert "fp8" in json.loads(sidecar.read_text())["key"]["flags"]


def test_calibrating_can_be_stopped_and_leaves_nothing(server: Server) -> None:
    stop = threading.Event()

    def told(share: float, what: str) -> None:
        if "block 2" in what:
            stop.set()

    network = random_network(TOY, 4)
    engine = server.engine(network)
    with pytest.raises(Cancelled, match="calibrating FP8, block 3 of 5 was cancelled"):
        engine.prepare(SHAPE, told=told, cancelled=stop)
    assert not list(server.root.glob("*ranges*"))
    assert not network.get_submodule("blocks.0.ffn.0")._forward_pre_hooks, "nothing looks on"
    assert server.built == 0


def test_a_full_disk_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*of: Any, **given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    said = r"fp8.* cannot be written .*No space left.*check the folder and its disk"
    network = random_network(TOY, 4)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(DeviceError, match=said):
            server.start(network)
    with monkeypatch.context() as patch:
        patch.setattr(onnx, "save", full)
        with pytest.raises(DeviceError, match=said):
            server.start(network)
    assert not [path for path in server.root.rglob("*") if ".part" in path.name]
    assert server.start(network) == (0, 1), "ranges were kept before the second"


def test_a_gpu_without_fp8_is_told_what_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A10")
    store = EngineStore(tmp_path / "engines", 1 << 30)
    with pytest.raises(DeviceError, match=r"A10 has no FP8, .* 8\.9: set fp8 to false, which"):
        TensorRtEngine.of_network(random_network(TOY), store, tmp_path, fp8=True)


@pytest.mark.slow
@pytest.mark.skipif(not installed("tensorrt-rtx"), reason="TensorRT-RTX is not installed")
def test_an_ada_gpu_gets_engines_whose_weights_take_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built for real, and not run: large enough that weights tell more than kernels."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    monkeypatch.setattr(tensorrt, "Plan", lambda library, path: path.stat().st_size)
    monkeypatch.setattr(tensorrt, "TorchCuda", lambda device: None)
    config = dataclasses.replace(TOY, name="middle", dim=512, ffn=2048)
    network = random_network(config, 4, torch.bfloat16)
    store = EngineStore(tmp_path / "engines", 1 << 30)
    wide = TensorRtEngine.of_network(network, store, tmp_path)
    narrow = TensorRtEngine.of_network(network, store, tmp_path, fp8=True)
    assert narrow.name == wide.name.replace(", bfloat16", ", FP8, bfloat16")
    wide.prepare(SHAPE)
    narrow.prepare(SHAPE, mask_cache=True)
    linear = sum(module.weight.numel() for _, module in layers_of(network))
    plans: Any = wide._plans | narrow._plans  # sizes, here
    (two_bytes,) = plans[SHAPE, 1, False]
    for one_byte in plans[SHAPE, 1, True]:  # the full pass and the pruned one
        assert two_bytes - one_byte > 0.6 * linear, "kernels grow, weights shrink by one byte each"
