"""TensorRT-RTX takes the network itself, at a small size, and cannot run it without a GPU: both for real."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch

from gpu.errors import DeviceError
from gpu.wan.bindings import bindings
from gpu.wan.config import TOY, StreamShape
from gpu.wan.engines.builder import BuildPlan, Built, build_engine, in_place_of
from gpu.wan.engines.trt_library import installed, load
from gpu.wan.engines.trt_plan import Plan
from gpu.wan.export import export_pass
from gpu.wan.network import random_network

pytestmark = pytest.mark.skipif(not installed("tensorrt-rtx"), reason="TensorRT-RTX is not installed")
SHAPE = StreamShape(96, 64, block=3, sink=3, window=6)


@pytest.fixture(scope="module", params=["full", "pruned"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    """Engine of the toy network's pass for both architectures of RTX GPUs that run full-size models today."""
    folder, pruned = tmp_path_factory.mktemp("engines"), request.param == "pruned"
    graph = export_pass(random_network(TOY, 0, torch.bfloat16), SHAPE, folder, mask_cache=True, pruned=pruned)
    ring = in_place_of(bindings(TOY, SHAPE, 1, True, pruned))
    plan = BuildPlan(graph, "tensorrt-rtx", ("sm89", "sm120"), ring, decompose="never")
    return folder / "toy.engine", build_engine(plan, folder / "toy.engine")


def test_the_network_is_built_with_fused_attention_and_its_ring_in_place(built: tuple[Path, Built]) -> None:
    path, about = built
    ring = [f"ring_{kind}.{layer}" for layer in range(TOY.layers) for kind in "kv"]
    assert about.in_place == {f"{name}.out": name for name in ring}
    assert not about.decomposed
    assert path.stat().st_size == about.engine_bytes
    assert about.nodes > 100


def test_without_a_gpu_it_is_refused_in_words(built: tuple[Path, Built]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU, which may take it")
    with pytest.raises(
        DeviceError, match=r"TensorRT-RTX .* cannot load toy.engine here .*needs the GPU it was built"
    ):
        Plan(load("tensorrt-rtx"), built[0])
