"""CUDA graphs: what is recorded, in which order, and that replaying gives eager's numbers. There is no GPU
here: torch.cuda is a stand-in that writes down what is asked of it, and whose graphs run again what they saw.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from gpu.errors import DeviceError, ModelError  # noqa: E402
from gpu.wan.config import TOY, StreamShape  # noqa: E402
from gpu.wan.engines import graphs as graphs_module  # noqa: E402
from gpu.wan.engines.base import Pass, PassEngine  # noqa: E402
from gpu.wan.engines.eager import EagerEngine, EagerPass  # noqa: E402
from gpu.wan.engines.graphs import GraphEngine  # noqa: E402
from gpu.wan.network import random_network  # noqa: E402
from gpu.wan.ring import Ring  # noqa: E402
from gpu.wan.rope import fill  # noqa: E402

SHAPE = StreamShape(48, 32, 1, 1, 2)


class StandIn:
    """torch.cuda, as far as recording needs it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.recording: _Graph | None = None
        self.fail: Exception | None = None  # raised when the second recording ends
        run = EagerPass.run

        def seen(one: EagerPass, pruned: bool = False) -> None:
            self.log.append(f"run pruned={pruned:d} full={one.full:d}")
            if self.recording is not None:
                self.recording.seen.append((one, pruned, one.full))
            run(one, pruned)

        monkeypatch.setattr(EagerPass, "run", seen)
        monkeypatch.setattr(graphs_module, "cuda", self)
        monkeypatch.setattr(graphs_module, "_unable", lambda device: "")

    @contextlib.contextmanager
    def device(self, device: str) -> Iterator[None]:
        self.log.append(f"device {device}")
        yield

    def Stream(self) -> _Stream:
        return _Stream(self.log, "side")

    def current_stream(self) -> _Stream:
        return _Stream(self.log, "current")

    @contextlib.contextmanager
    def stream(self, stream: _Stream) -> Iterator[None]:
        self.log.append(f"on {stream.name}")
        yield
        self.log.append("off")

    def graph_pool_handle(self) -> str:
        return "pool"

    def CUDAGraph(self) -> _Graph:
        return _Graph(self.log)

    @contextlib.contextmanager
    def graph(self, graph: _Graph, pool: str, stream: _Stream, capture_error_mode: str) -> Iterator[None]:
        self.log.append(f"record {pool} {stream.name} {capture_error_mode}")
        self.recording = graph
        try:
            yield
        finally:
            self.recording = None
        if self.fail is not None and "recorded" in self.log:
            raise self.fail
        self.log.append("recorded")


class _Stream:
    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def wait_stream(self, other: _Stream) -> None:
        self.log.append(f"{self.name} waits for {other.name}")


class _Graph:
    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.seen: list[tuple[EagerPass, bool, bool]] = []

    def replay(self) -> None:
        self.log.append("replay")
        for one, pruned, full in self.seen:
            one.full = full
            one.run(pruned)

    def reset(self) -> None:
        self.log.append("reset")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(monkeypatch)


def _engine(compiled: bool = False) -> GraphEngine:
    return GraphEngine(random_network(TOY), "cpu", torch.float32, compiled)


def _drive(run: Pass, mask_cache: bool) -> list[Any]:
    """A few blocks, rolling over the ring's end -> the flows."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in run.tensors.items():
        if name.startswith("cross"):
            tensor.normal_(generator=generator)
    flows = []
    for block in range(5):
        place = fill(run.tensors, Ring(SHAPE), block)
        run.full = place.full  # type: ignore[attr-defined]
        run.tensors["source"].normal_(generator=generator)
        for timestep, pruned in ((1000.0, False), (833.3, True), (0.0, False)):
            run.tensors["noisy"].normal_(generator=generator)
            run.tensors["timestep"].fill_(timestep)
            if mask_cache:
                run.tensors["kept"].copy_(torch.arange(run.tensors["kept"].shape[1]) + block % 2)
            run.run(pruned and mask_cache)
            flows.append(run.tensors["flow"].clone())
    return flows


@pytest.mark.parametrize("mask_cache", [False, True])
def test_replaying_equals_eager(stand_in: StandIn, mask_cache: bool) -> None:
    engine: PassEngine = _engine()
    run = engine.open(SHAPE, 1, mask_cache)
    assert not any(tensor.any() for tensor in run.tensors.values())  # as if nothing had been tried
    stand_in.log.clear()
    flows = _drive(run, mask_cache)
    assert stand_in.log.count("replay") == len(flows)
    expected = _drive(EagerEngine(random_network(TOY)).open(SHAPE, 1, mask_cache), mask_cache)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(flows, expected, strict=True))


def test_what_is_recorded(stand_in: StandIn) -> None:
    _engine().open(SHAPE, 1, mask_cache=True)
    ways = [f"run pruned={pruned} full={full}" for pruned in (0, 1) for full in (0, 1)]
    recorded = [line for way in ways for line in ("record pool side thread_local", way, "recorded")]
    assert stand_in.log == [
        "device cpu",
        "side waits for current",
        "on side",
        *ways,
        *ways,
        "off",
        "current waits for side",
        *recorded,
    ]


def test_without_mask_cache_there_is_no_pruned_graph(stand_in: StandIn) -> None:
    run = _engine().open(SHAPE)
    assert stand_in.log.count("recorded") == 2
    with pytest.raises(ModelError, match="mask_cache"):
        run.run(pruned=True)


def test_a_recording_that_fails_leaves_eager(stand_in: StandIn) -> None:
    stand_in.fail = RuntimeError("operation not permitted when stream is capturing\nmore")
    engine = _engine()
    run = engine.open(SHAPE)
    assert engine.why == "recording failed: operation not permitted when stream is capturing"
    assert "un-recorded" in engine.name
    assert stand_in.log.count("reset") == 1  # the one that had succeeded
    assert not any(tensor.any() for tensor in run.tensors.values())
    flows = _drive(run, False)
    assert "replay" not in stand_in.log
    expected = _drive(EagerEngine(random_network(TOY)).open(SHAPE), False)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(flows, expected, strict=True))


def test_no_memory_for_a_recording(stand_in: StandIn) -> None:
    stand_in.fail = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(DeviceError, match="no memory left on cpu"):
        _engine().open(SHAPE)


def test_a_device_that_fails_in_a_replay(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(graph: _Graph) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    run = _engine().open(SHAPE)
    monkeypatch.setattr(_Graph, "replay", fail)
    with pytest.raises(DeviceError, match="illegal memory access"):
        run.run()


def test_closing(stand_in: StandIn) -> None:
    engine = _engine()
    run = engine.open(SHAPE)
    engine.close()
    engine.close()
    run.run()  # an open pass outlives its engine
    run.close()
    run.close()
    assert stand_in.log.count("reset") == 2
    assert not run.tensors
    with pytest.raises(ModelError, match="open another"):
        run.run()
    with pytest.raises(ModelError, match="load the model again"):
        engine.open(SHAPE)


@pytest.mark.parametrize("mask_cache", [False, True])
def test_without_cuda_it_is_eager(mask_cache: bool) -> None:
    engine = _engine()
    assert engine.why == "there are no CUDA graphs on cpu"
    assert engine.name == f"PyTorch {torch.__version__}, float32, cpu, un-recorded"
    assert (engine.config, engine.device, engine.dtype) == (TOY, "cpu", torch.float32)
    flows = _drive(engine.open(SHAPE, 1, mask_cache), mask_cache)
    expected = _drive(EagerEngine(random_network(TOY)).open(SHAPE, 1, mask_cache), mask_cache)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(flows, expected, strict=True))


def test_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the compiler's front only: the kernels' compiler takes longer than a test may."""
    seen = []

    def backend(graph: Any, inputs: Any) -> Any:
        seen.append(graph)
        return graph.forward

    monkeypatch.setattr(
        graphs_module, "_compile", lambda network: torch.compile(network, dynamic=False, backend=backend)
    )
    engine = _engine(compiled=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        run = engine.open(SHAPE)
        assert engine.name.endswith(", un-recorded, compiled")
        flows = _drive(run, False)
    assert seen
    expected = _drive(EagerEngine(random_network(TOY)).open(SHAPE), False)
    for ours, theirs in zip(flows, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_compiler_that_fails(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def compiler(network: Any) -> Any:
        def call(**tensors: Any) -> Any:
            raise NotImplementedError("no C++ compiler")

        return call

    monkeypatch.setattr(graphs_module, "_compile", compiler)
    engine = _engine(compiled=True)
    run = engine.open(SHAPE)
    assert "no C++ compiler" in caplog.text
    assert "compiled" not in engine.name
    assert len(_drive(run, False)) == 15
