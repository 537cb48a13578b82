"""The tiny autoencoder's cost by arithmetic is what torch counts, at the full-size model's canvas."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gpu.autoencoder.cost import Part, tiny_flops, tiny_parameters, tiny_state_bytes, tiny_working_bytes
from gpu.autoencoder.wan_cost import Way, wan_working_bytes


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


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_what_a_step_holds_for_a_moment(part: Part) -> None:
    torch = pytest.importorskip("torch")
    from ae_peak import Peak

    from gpu.autoencoder.tiny_network import TinyNetwork

    width, height = 832, 480
    with torch.device("meta"), torch.inference_mode():
        step = getattr(TinyNetwork().half(), part)
        state = [torch.zeros(shape).half() for _, shape in step.state(1, width, height)]
        shapes = {"encoder": (1, 4, 3, height, width), "decoder": (1, 1, 16, height // 8, width // 8)}
        given = torch.zeros(shapes[part]).half()
        with Peak() as peak:
            step(given, *state)
    assert 0.99 < peak.bytes / tiny_working_bytes(part, width, height, 2) <= 1


@pytest.mark.parametrize("way", ["encode", "decode"])
def test_what_a_step_of_wans_holds_for_a_moment(way: Way) -> None:
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    from ae_peak import Peak

    from gpu.autoencoder.wan_private import decode_step, encode_step, memory_of

    width, height = 832, 480
    with torch.device("meta"), torch.inference_mode():
        vae = diffusers.AutoencoderKLWan().bfloat16()
        memory = memory_of(vae.encoder if way == "encode" else vae.decoder)
        latent = torch.zeros(1, 16, 1, height // 8, width // 8).bfloat16()
        for step in range(3):  # the third is as every later one
            pictures = torch.zeros(1, 3, 4 if step else 1, height, width).bfloat16()
            with Peak() as peak:
                if way == "encode":
                    encode_step(vae, pictures, memory)
                else:
                    decode_step(vae, latent, memory, first=not step)
    assert 0.99 < peak.bytes / wan_working_bytes(way, width, height, 2) <= 1


def test_costs_and_shapes_are_known_without_torch() -> None:
    modules = "gpu.autoencoder.base, gpu.autoencoder.cost, gpu.autoencoder.wan_cost"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
