"""FP8 in PyTorch, with the numbers a GPU would round to, computed on the CPU."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from gpu.errors import DeviceError, ModelError
from gpu.wan.config import TOY, StreamShape
from gpu.wan.engines import fp8
from gpu.wan.engines.eager import EagerEngine
from gpu.wan.engines.fp8 import LAYERS, Fp8Linear, left_out, quantised, to_fp8
from gpu.wan.network import Network, random_network
from gpu.wan.ring import Ring
from gpu.wan.rope import fill

SHAPE = StreamShape(96, 64, block=1, sink=1, window=3)


def error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.float() - theirs.float()).norm() / theirs.float().norm())


def test_rows_keep_their_size_and_four_bits() -> None:
    x = (
        torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
        * torch.tensor([1e-4, 1, 10, 1e3, 0])[:, None]
    )
    rows, scale = quantised(x)
    assert (rows.dtype, scale.shape) == (torch.float8_e4m3fn, (5, 1))
    assert float(rows.float().abs().amax()) == fp8.MOST
    again = rows.float() * scale
    big = x.abs() > x.abs().amax(-1, keepdim=True) * 2**-14  # above what E4M3 holds with all its bits
    assert ((again - x).abs()[big] <= x.abs()[big] * 2**-4).all()
    assert not again[4].any(), "zeros stay zeros"


def test_a_linear_layer_is_near_the_one_it_replaces() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 48).requires_grad_(False)
    x = torch.randn(2, 7, 64)
    made = Fp8Linear(linear)(x)
    assert made.shape == (2, 7, 48)
    assert 0.001 < error(made, linear(x)) < 0.05, "it rounds, but not more"
    assert Fp8Linear(linear)(x.bfloat16()).dtype == torch.bfloat16


def test_the_call_of_the_matrix_units_gives_the_same() -> None:
    """torch has it for CPUs too: that holds how scales and bias are handed over."""
    torch.manual_seed(0)
    for bias in (True, False):
        layer = Fp8Linear(nn.Linear(64, 48, bias=bias).requires_grad_(False))
        rows, scales = quantised(torch.randn(7, 64) * torch.logspace(-3, 3, 7)[:, None])
        made = layer.multiplied(rows, scales)
        assert made.dtype == torch.bfloat16
        for row, wanted in zip(made, layer.exact(rows, scales), strict=True):
            assert error(row, wanted) < 0.01


def test_scales_are_of_rows_not_of_the_whole() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 32, bias=False).requires_grad_(False)
    linear.weight[0] *= 1e6  # one output far above the others, and one token
    x = torch.randn(4, 64)
    x[0] *= 1e6
    made, wanted = Fp8Linear(linear)(x), linear(x)
    for row in range(4):
        assert error(made[row, 1:], wanted[row, 1:]) < 0.06


def stream(network: Network, dtype: torch.dtype) -> list[Tensor]:
    run = EagerEngine(network, dtype=dtype).open(SHAPE, mask_cache=True)
    chance = torch.Generator().manual_seed(1)
    text = torch.randn(1, TOY.text_len, TOY.text_dim, generator=chance)
    with torch.inference_mode():
        for layer, (keys, values) in enumerate(network.condition(text)):
            run.tensors[f"cross_k.{layer}"].copy_(keys)
            run.tensors[f"cross_v.{layer}"].copy_(values)
    run.tensors["kept"].copy_(torch.arange(run.tensors["kept"].shape[1]))
    flows = []
    for block in range(6):
        fill(run.tensors, Ring(SHAPE), block)
        for name in ("noisy", "source"):
            run.tensors[name].copy_(torch.randn(run.tensors[name].shape, generator=chance))
        for timestep, pruned in ((1000.0, False), (937.5, True), (0.0, False)):
            run.tensors["timestep"].fill_(timestep)
            run.run(pruned)
            flows.append(run.tensors["flow"].clone())
    return flows


def test_a_stream_in_fp8_stays_near_float32() -> None:
    """Measured over six blocks with weights by chance: FP8 2.3 %, bfloat16 0.7 %."""
    exact = stream(random_network(TOY, 5), torch.float32)
    short = stream(random_network(TOY, 5), torch.bfloat16)
    eighth = stream(to_fp8(random_network(TOY, 5, torch.bfloat16)), torch.bfloat16)
    worst = max(error(ours, theirs) for ours, theirs in zip(eighth, exact, strict=True))
    usual = max(error(ours, theirs) for ours, theirs in zip(short, exact, strict=True))
    assert usual < worst < 0.05


def test_which_layers_are_changed_and_which_are_not() -> None:
    network = to_fp8(random_network(TOY), keep_blocks=(1,))
    assert to_fp8(network, keep_blocks=(1,)) is network, "twice changes nothing"
    changed = {name for name, module in network.named_modules() if isinstance(module, Fp8Linear)}
    assert changed == {f"blocks.0.{name}" for name in LAYERS}
    left = left_out(network)
    assert {"blocks.0.cross_attn.k", "blocks.0.cross_attn.v", "head.head", "time_projection.1"} < set(left)
    assert {f"blocks.1.{name}" for name in LAYERS} < set(left)


def test_an_engine_that_casts_the_network_leaves_eight_bits_alone() -> None:
    network = to_fp8(random_network(TOY, 0, torch.bfloat16))
    layer = network.get_submodule("blocks.0.ffn.0")
    before = layer.weight.view(torch.uint8).clone()
    EagerEngine(network, dtype=torch.float32)
    assert (layer.weight.dtype, layer.scale.dtype, layer.bias.dtype) == (
        torch.float8_e4m3fn,
        torch.float32,
        torch.float32,
    )
    assert torch.equal(layer.weight.view(torch.uint8), before)


def test_sizes_that_do_not_suit() -> None:
    with pytest.raises(ModelError, match="multiples of 16, odd has 104"):
        to_fp8(random_network(dataclasses.replace(TOY, name="odd", dim=104, heads=4)))


def test_a_gpu_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(TOY)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A10")

    class Embedding:
        class weight:
            device = torch.device("cuda")

    network._modules["patch_embedding"] = Embedding()  # type: ignore[assignment]
    with pytest.raises(DeviceError, match=r"the A10 has no FP8, which begins with SM 8\.9"):
        to_fp8(network)
