"""FP8 as TensorRT wants it: a graph near the one without it, built for real by TensorRT-RTX."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import numpy as np
import onnx
import onnxruntime as ort
import torch

from gpu.errors import ModelError
from gpu.wan.bindings import bindings
from gpu.wan.config import TOY, StreamShape
from gpu.wan.cost import large_weights
from gpu.wan.engines.builder import BuildPlan, build_engine, in_place_of
from gpu.wan.engines.fp8 import LAYERS
from gpu.wan.engines.fp8_graph import calibrate, layers_of, quantise_graph
from gpu.wan.engines.trt_library import installed
from gpu.wan.export import export_pass
from gpu.wan.network import Network, random_network

SHAPE = StreamShape(64, 48, block=1, sink=1, window=2)


def inputs() -> dict[str, np.ndarray]:
    chance, given = np.random.default_rng(0), {}
    for one in bindings(TOY, SHAPE):
        if one.role != "output":
            given[one.name] = chance.standard_normal(one.shape, np.float32)
    given |= {"timestep": np.array([900.0], np.float32), "write_index": np.zeros(1, np.int64)}
    given |= {"attend": np.ones((1, SHAPE.ring_tokens), bool)}
    for kind in ("query", "key"):  # turned by nothing
        given[f"{kind}_cos"], given[f"{kind}_sin"] = (
            np.ones_like(given[f"{kind}_cos"]),
            given[f"{kind}_sin"] * 0,
        )
    return given


def calibrated(network: Network) -> dict[str, float]:
    def loop() -> None:
        with torch.inference_mode():
            network(**{name: torch.from_numpy(value.copy()) for name, value in inputs().items()})

    return calibrate(network, loop)


def test_a_quantised_pass_stays_near_the_one_it_was_made_from(tmp_path: Path) -> None:
    network = random_network(TOY, 4)
    most = calibrated(network)
    assert sum(linear.weight.numel() for _, linear in layers_of(network)) == large_weights(TOY)
    assert set(most) == {f"blocks.{index}.{name}" for index in range(TOY.layers) for name in LAYERS}
    graph = export_pass(network, SHAPE, tmp_path, mask="whole")
    made = quantise_graph(graph, network, most)
    kinds = [node.op_type for node in onnx.load(str(made), load_external_data=False).graph.node]
    # q, k and v share what enters them
    assert kinds.count("QuantizeLinear") == kinds.count("DequantizeLinear") == TOY.layers * (8 + 6)
    flows = []
    for path in (graph, made):
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        flows.append(session.run(["flow"], inputs())[0])
    error = np.linalg.norm(flows[1] - flows[0]) / np.linalg.norm(flows[0])
    assert 0.002 < error < 0.06, "it rounds, but not more"


@pytest.mark.skipif(not installed("tensorrt-rtx"), reason="TensorRT-RTX is not installed")
def test_it_is_built_for_gpus_that_have_fp8(tmp_path: Path) -> None:
    network = random_network(TOY, 4)
    most = calibrated(network)
    network = random_network(TOY, 4, torch.bfloat16)
    graph = quantise_graph(export_pass(network, SHAPE, tmp_path), network, most)
    ring = in_place_of(bindings(TOY, SHAPE))
    built = build_engine(BuildPlan(graph, "tensorrt-rtx", ("sm89", "sm120"), ring), tmp_path / "fp8.engine")
    assert len(built.in_place) == 2 * TOY.layers
    assert not built.decomposed


def test_what_was_not_calibrated_is_refused() -> None:
    network = random_network(TOY)
    with pytest.raises(ModelError, match=r"not calibrated: blocks\.0\.self_attn\.q \(of 16\)"):
        calibrate(network, lambda: None)

    def loop() -> None:
        for index in range(TOY.layers):
            for name in LAYERS:
                layer = network.get_submodule(f"blocks.{index}.{name}")
                layer(torch.full((1, layer.in_features), math.inf))

    with pytest.raises(ModelError, match="one without bounds"):
        calibrate(network, loop)
    assert not network.get_submodule("blocks.0.ffn.0")._forward_pre_hooks, "nothing looks on"
