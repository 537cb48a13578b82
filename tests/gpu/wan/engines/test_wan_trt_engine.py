"""How a pass runs through TensorRT: a stand-in for the library computes at the addresses it was given."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch
from trt_stand_in import SCRATCH, CudaGraphStrategy, FakeCuda, Strategy, World

from gpu.errors import DeviceError, ModelError, NoMemory
from gpu.wan.bindings import bindings, kept_tokens
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.engines import tensorrt
from gpu.wan.engines.base import Pass
from gpu.wan.engines.builder import BuildPlan, Cancelled
from gpu.wan.engines.eager import EagerEngine
from gpu.wan.engines.store import EngineStore
from gpu.wan.engines.tensorrt import TensorRtEngine
from gpu.wan.engines.trt_library import LibraryName
from gpu.wan.export import export_pass
from gpu.wan.network import random_network
from gpu.wan.ring import Ring
from gpu.wan.rope import fill

SMALL = WanConfig("small", dim=48, layers=2, heads=2, ffn=64, freq_dim=16, text_dim=24, text_len=5)
SHAPE = StreamShape(64, 48, block=1, sink=1, window=2)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """{pruned: graph} of a network with a mask cache."""
    folder = tmp_path_factory.mktemp("graphs")
    network = random_network(SMALL, 3)
    return {
        pruned: export_pass(network, SHAPE, folder, 1, True, pruned, mask="whole") for pruned in (False, True)
    }


@pytest.fixture
def world() -> World:
    return World()


class Setup:
    def __init__(self, world: World, tmp_path: Path, graphs: dict[bool, Path]) -> None:
        self.world, self.cuda = world, FakeCuda(world)
        self.plans: list[BuildPlan] = []
        self.limit = 1 << 30  # bytes of the store
        self._graphs, self._root = graphs, tmp_path

    def engine(self, name: LibraryName = "tensorrt", **given: Any) -> TensorRtEngine:
        store = EngineStore(self._root / "engines", self.limit)
        given = {"device": "cpu", "dtype": torch.float32, "cuda": self.cuda, **given}
        library, architecture = self.world.library(name), "sm90" if name == "tensorrt" else "sm89"
        return TensorRtEngine(SMALL, self._export, store, library, architecture, **given)

    def _export(self, shape: StreamShape, batch: int, mask_cache: bool, pruned: bool, told: Any) -> Path:
        assert (shape, batch, mask_cache) == (SHAPE, 1, True)
        return self._graphs[pruned]

    def build(self, plan: BuildPlan, target: Path, told: Any, cancelled: Any, timeout_s: float) -> None:
        if cancelled is not None and cancelled.is_set():
            raise Cancelled("cancelled")
        self.plans.append(plan)
        told(0.5, "half of it")
        target.write_text(str(plan.graph))

    def opened(self, name: LibraryName = "tensorrt") -> Any:
        engine = self.engine(name)
        engine.prepare(SHAPE, mask_cache=True)
        return engine.open(SHAPE, mask_cache=True)


@pytest.fixture
def setup(
    world: World, tmp_path: Path, graphs: dict[bool, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Setup]:
    made = Setup(world, tmp_path, graphs)
    monkeypatch.setattr(tensorrt, "build_engine", made.build)
    yield made
    if world.contexts:  # a traceback may still hold one
        gc.collect()
    assert world.contexts == 0, "a context outlived its pass"


def stream_of(run: Pass, blocks: int) -> list[Any]:
    """Flows, rings and deltas of a stream of full and pruned passes."""
    chance = torch.Generator().manual_seed(1)
    text = torch.randn(1, SMALL.text_len, SMALL.text_dim, generator=chance)
    with torch.inference_mode():
        for layer, (keys, values) in enumerate(random_network(SMALL, 3).condition(text)):
            run.tensors[f"cross_k.{layer}"].copy_(keys)
            run.tensors[f"cross_v.{layer}"].copy_(values)
    kept = SHAPE.block * kept_tokens(SHAPE)
    seen = []
    for block in range(blocks):
        fill(run.tensors, Ring(SHAPE), block)
        run.tensors["kept"].copy_(torch.arange(kept).mul(2).clamp(max=SHAPE.block_tokens - 1))
        for timestep, pruned in ((1000.0, False), (937.5, True), (0.0, False)):
            for name in ("noisy", "source"):
                run.tensors[name].copy_(torch.randn(run.tensors[name].shape, generator=chance))
            run.tensors["timestep"].fill_(timestep)
            run.run(pruned)
            written = ("flow", "ring_k.0", "ring_v.1", "delta.0", "delta.1")
            seen += [run.tensors[each].clone() for each in written]
    return seen


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_a_stream_is_the_one_that_pytorch_makes(setup: Setup, name: LibraryName) -> None:
    run = setup.opened(name)
    assert all(not tensor.any() for tensor in run.tensors.values()), "the first run left something behind"
    seen = stream_of(run, 5)
    eager = EagerEngine(random_network(SMALL, 3)).open(SHAPE, mask_cache=True)
    for ours, theirs in zip(seen, stream_of(eager, 5), strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm().clamp(min=1e-6)
    run.close()


def test_ring_out_is_bound_to_ring_in_and_both_passes_share_scratch(setup: Setup, world: World) -> None:
    run = setup.opened()
    (first, second) = (dict(call[1:] for call in part) for part in _by_context(world))
    for layer in range(SMALL.layers):
        for ring in (f"ring_k.{layer}", f"ring_v.{layer}"):
            for addresses in (first, second):
                assert addresses[ring] == addresses[f"{ring}.out"] == run.tensors[ring].data_ptr()
        delta = run.tensors[f"delta.{layer}"].data_ptr()
        assert first[f"delta.{layer}.out"] == delta  # only written: at once
        assert second[f"delta.{layer}"] == delta
        assert second[f"delta.{layer}.out"] != delta  # read and written: beside, then copied
    assert first["flow"] == second["flow"] == run.tensors["flow"].data_ptr()
    scratch = world.named("scratch")
    assert len(scratch) == 2
    assert scratch[0] == scratch[1]
    copied = sum(run.tensors[f"delta.{layer}"].nbytes for layer in range(SMALL.layers))
    assert run.context_bytes == SCRATCH + copied
    run.close()


def _by_context(world: World) -> list[list[tuple[Any, ...]]]:
    parts: list[list[tuple[Any, ...]]] = []
    for call in world.calls:
        if call[0] == "context":
            parts.append([])
        elif call[0] == "address":
            parts[-1].append(call)
    return parts


def test_each_context_runs_once_before_it_is_recorded(setup: Setup, world: World) -> None:
    run = setup.opened()
    kinds = [call for call in world.calls if call[0] in ("context", "first run", "execute", "recorded")]
    once = [("first run",), ("execute", 77), ("recorded", True)]
    assert kinds == [("context", Strategy.USER_MANAGED)] * 2 + once * 2
    run.run()
    assert world.calls[-1] == ("execute", 77)
    run.close()


def test_rtx_records_by_itself(setup: Setup, world: World) -> None:
    run = setup.opened("tensorrt-rtx")
    for _, config in world.named("context"):
        assert config.strategy == Strategy.USER_MANAGED
        assert config.cuda_graph_strategy == CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    assert world.named("recorded") == [("recorded", False)] * 2
    run.close()


def test_what_is_built_and_under_which_key(setup: Setup, tmp_path: Path) -> None:
    shares: list[float] = []
    for _ in range(2):  # the second engine finds the files
        engine = setup.engine("tensorrt-rtx", flags=("fp8",))
        engine.prepare(SHAPE, mask_cache=True, told=lambda share, _: shares.append(share))
        engine.prepare(SHAPE, mask_cache=True)
        assert engine.name == "TensorRT-RTX 1.7.1, FP8, float32, SM89"
        assert (engine.config, engine.device, engine.dtype) == (SMALL, "cpu", torch.float32)
    assert len(setup.plans) == 2
    ring = tuple(f"ring_{kind}.{layer}" for layer in range(SMALL.layers) for kind in "kv")
    for plan in setup.plans:
        assert (plan.library, plan.architectures, plan.in_place) == ("tensorrt-rtx", ("sm89",), ring)
    assert 0.3 in [round(share, 6) for share in shares], (
        "a fifth for the graph and half of the rest, of the first of two"
    )
    assert shares[-1] == 1.0
    files = list((tmp_path / "engines").glob("*.engine"))
    assert len(files) == 2
    other = setup.engine("tensorrt")
    other.prepare(SHAPE, mask_cache=True)
    assert len(setup.plans) == 4, "another library's engine is another file"
    assert setup.plans[-1].architectures == ()
    assert setup.plans[-1].timing_cache is not None


def test_a_shape_that_was_not_prepared(setup: Setup) -> None:
    engine = setup.engine()
    with pytest.raises(ModelError, match="prepare it first"):
        engine.open(SHAPE)
    engine.prepare(SHAPE, mask_cache=True)
    with pytest.raises(ModelError, match="prepare it first"):
        engine.open(SHAPE, batch=2, mask_cache=True)


def test_a_store_too_small_for_the_weights_is_named_before_anything_is_built(setup: Setup) -> None:
    setup.limit = 10_000
    with pytest.raises(DeviceError, match=r"at least \d+ bytes is more than all of them may take, 10000"):
        setup.engine().prepare(SHAPE, mask_cache=True)
    assert not setup.plans


def test_a_cancelled_build_leaves_nothing(setup: Setup, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    engine = setup.engine()
    with pytest.raises(Cancelled):
        engine.prepare(SHAPE, mask_cache=True, cancelled=stop)
    assert not list((tmp_path / "engines").glob("*.engine"))
    with pytest.raises(ModelError, match="prepare it first"):
        engine.open(SHAPE, mask_cache=True)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("refuse_engine", r"cannot load .*\(the plan is for SM120\)"),
        ("no_runtime", r"cannot load .*\(CUDA error 35\): it needs the GPU"),
        ("no_context", "gave no execution context"),
        ("refuse_address", "did not take the address of"),
        ("fail_run", "failed in a pass: an illegal address"),
    ],
)
def test_what_the_library_refuses(setup: Setup, world: World, fault: str, said: str) -> None:
    setattr(world, fault, True)
    with pytest.raises(DeviceError, match=said):
        setup.opened()


def test_weights_that_do_not_fit_are_no_fault_of_the_file(setup: Setup, world: World) -> None:
    world.refuse_engine = True
    world.why_engine = "Error Code 1: Cuda Runtime (out of memory)"
    with pytest.raises(NoMemory, match=r"out of memory.*set pass_engine to auto"):
        setup.opened()


def test_a_run_that_fails_later(setup: Setup, world: World) -> None:
    run = setup.opened()
    world.fail_run = True
    with pytest.raises(DeviceError, match="illegal address"):
        run.run()
    run.close()


def test_an_engine_that_aliases_something_else_is_not_trusted(setup: Setup, world: World) -> None:
    world.aliases = lambda name, base: "ring_v.0"
    with pytest.raises(DeviceError, match=r"writes ring_k.0.out over ring_v.0, not over ring_k.0"):
        setup.opened()


def test_a_ring_that_is_not_aliased_is_copied_and_counted(setup: Setup, world: World) -> None:
    world.aliases = lambda name, base: None
    run = setup.opened()
    assert run.context_bytes > SCRATCH + run.tensors["ring_k.0"].nbytes
    seen = stream_of(run, 2)
    eager = EagerEngine(random_network(SMALL, 3)).open(SHAPE, mask_cache=True)
    for ours, theirs in zip(seen, stream_of(eager, 2), strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm().clamp(min=1e-6)
    run.close()


def test_tensors_of_another_type_are_refused(setup: Setup) -> None:
    engine = setup.engine(dtype=torch.float16)
    engine.prepare(SHAPE, mask_cache=True)
    with pytest.raises(DeviceError, match=r"wants 'noisy' as FLOAT .*torch.float16"):
        engine.open(SHAPE, mask_cache=True)


def test_closing(setup: Setup, world: World) -> None:
    run = setup.opened()
    run.close()
    assert world.contexts == 0, "memory must not wait for the garbage collector"
    assert setup.cuda.waited == 0, "nothing was queued"
    other = setup.opened()
    other.run()
    other.close()
    other.close()
    assert setup.cuda.waited == 1
    with pytest.raises(ModelError, match="this pass is closed"):
        other.run()
    engine = setup.engine()
    engine.close()
    for call in (lambda: engine.prepare(SHAPE), lambda: engine.open(SHAPE)):
        with pytest.raises(ModelError, match="this engine is closed"):
            call()


def test_closing_while_the_gpu_hangs_lets_go_all_the_same(setup: Setup, world: World) -> None:
    run = setup.opened()
    run.run()
    setup.cuda.stuck = True
    with pytest.raises(DeviceError, match="did not finish"):
        run.close()
    assert not run.tensors
    run.close()


def test_an_open_pass_outlives_its_engine(setup: Setup) -> None:
    engine = setup.engine()
    engine.prepare(SHAPE, mask_cache=True)
    run = engine.open(SHAPE, mask_cache=True)
    engine.close()
    run.run()
    run.close()


def test_a_pass_without_a_mask_cache_has_no_pruned_one(setup: Setup) -> None:
    run = tensorrt.TensorRtPass(setup.cuda, SHAPE, 1, {}, (lambda: None,), 0)
    assert (run.shape, run.batch) == (SHAPE, 1)
    with pytest.raises(ModelError, match="opened with mask_cache"):
        run.run(pruned=True)


def test_no_memory_left(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = setup.engine()
    engine.prepare(SHAPE, mask_cache=True)

    def none_left(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "empty", none_left)
    with pytest.raises(NoMemory, match=r"a stream at 64x48.*end other streams"):
        engine.open(SHAPE, mask_cache=True)


def test_the_tensors_are_those_of_the_bindings(setup: Setup) -> None:
    run = setup.opened()
    wanted = bindings(SMALL, SHAPE, 1, True, pruned=True)
    assert {name: tuple(tensor.shape) for name, tensor in run.tensors.items()} == {
        one.name: one.shape for one in wanted
    }
    run.close()
