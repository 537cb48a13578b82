"""The tiny autoencoder's cost by arithmetic is what torch counts, at the full-size model's canvas."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gpu.autoencoder.cost import Part, tiny_flops, tiny_parameters, tiny_state_bytes


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize(("width", "height"), [(832, 480), (480, 832), (64, 48)])
def test_parameters_and_operations(part: Part, width: int, height: int) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from gpu.autoencoder.tiny_network import TinyNetwork

    with torch.device("meta"), torch.inference_mode():
        step = getattr(TinyNetwork(), part)
        state = [torch.zeros(shape) for _, shape in step.state(1, width, height)]
        shapes = {"encoder": (1, 4, 3, height, width), "decoder": (1, 1, 16, height // 8, width // 8)}
        with FlopCounterMode(display=False) as counted:
            step(torch.zeros(shapes[part]), *state)
    assert counted.get_total_flops() == tiny_flops(part, width, height)
    assert sum(each.numel() for each in step.parameters()) == tiny_parameters(part)


def test_figures_that_are_quoted() -> None:
    assert tiny_parameters("encoder") == 1_470_928
    assert tiny_parameters("decoder") == 9_844_611
    assert round(tiny_flops("encoder", 832, 480) / 1e12, 2) == 0.47
    assert round(tiny_flops("decoder", 832, 480) / 1e12, 2) == 0.53
    assert round(tiny_state_bytes(832, 480, 2) / 1e6) == 120


def test_costs_and_shapes_are_known_without_torch() -> None:
    code = "import sys, gpu.autoencoder.base, gpu.autoencoder.cost; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
