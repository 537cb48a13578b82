"""Costs from sizes, against torch's own counting."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402
from wan_passes import SMALL  # noqa: E402

from gpu.wan.bindings import bindings  # noqa: E402
from gpu.wan.config import LIVEEDIT_1_3B, TOY, StreamShape, WanConfig  # noqa: E402
from gpu.wan.cost import condition_flops, flops, parameters  # noqa: E402
from gpu.wan.engines.eager import EagerEngine  # noqa: E402
from gpu.wan.network import Network, random_network  # noqa: E402


@pytest.mark.parametrize("config", [LIVEEDIT_1_3B, TOY, SMALL], ids=lambda config: config.name)
def test_parameters_are_those_of_the_network(config: WanConfig) -> None:
    with torch.device("meta"):
        network = Network(config)
    assert parameters(config) == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("shape", [StreamShape(64, 48, 3, 3, 6), StreamShape(96, 64, 1, 2, 3)], ids=str)
def test_operations_are_those_that_torch_counts(shape: StreamShape, pruned: bool) -> None:
    run = EagerEngine(random_network(TOY)).open(shape, mask_cache=True)
    # By plain products: torch does not count its fused attention for CPUs.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run.run(pruned)
    assert flops(TOY, shape, pruned) == counter.get_total_flops()


def test_the_full_size_is_counted_without_computing_it() -> None:
    """A pass of LiveEdit-1.3B at 832x480, on tensors that have shapes only."""
    shape = StreamShape()
    with torch.device("meta"):
        network = Network(LIVEEDIT_1_3B).requires_grad_(False)
        given = {
            one.name: torch.empty(one.shape, dtype=torch.int64 if one.kind == "int64" else torch.float32)
            for one in bindings(LIVEEDIT_1_3B, shape)
            if one.name not in ("flow", "attend")
        }
        with FlopCounterMode(display=False) as counter:
            network(**given)
    assert flops(LIVEEDIT_1_3B, shape) == counter.get_total_flops()


def test_an_instruction_is_counted_too() -> None:
    network = random_network(TOY)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.condition(torch.zeros(1, TOY.text_len, TOY.text_dim))
    assert condition_flops(TOY) == counter.get_total_flops()
