"""What the network is made of: names, types, conditioning, modulation. What it computes: test_wan_parity."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from wan_chance import error, normal, weighed  # noqa: E402
from wan_passes import SMALL  # noqa: E402

from gpu.wan.block import modulated, modulation  # noqa: E402
from gpu.wan.condition import linear32, sinusoid  # noqa: E402
from gpu.wan.config import LIVEEDIT_1_3B  # noqa: E402
from gpu.wan.network import Network, cast  # noqa: E402


def test_names_and_shapes_are_those_of_wans_checkpoints() -> None:
    """Wan2.1-T2V-1.3B's, with 32 channels into the patches."""
    with torch.device("meta"):
        found = {name: tuple(one.shape) for name, one in Network(LIVEEDIT_1_3B).state_dict().items()}
    expected = {
        "patch_embedding.weight": (1536, 32, 1, 2, 2),
        "text_embedding.0.weight": (1536, 4096),
        "text_embedding.2.weight": (1536, 1536),
        "time_embedding.0.weight": (1536, 256),
        "time_embedding.2.weight": (1536, 1536),
        "time_projection.1.weight": (9216, 1536),
        "head.head.weight": (64, 1536),
    }
    for n in range(30):
        expected |= {f"blocks.{n}.ffn.0.weight": (8960, 1536), f"blocks.{n}.ffn.2.weight": (1536, 8960)}
        expected[f"blocks.{n}.norm3.weight"] = (1536,)
        for kind in ("self_attn", "cross_attn"):
            expected |= {f"blocks.{n}.{kind}.{part}.weight": (1536, 1536) for part in "qkvo"}
    expected |= {name.replace("weight", "bias"): (shape[0],) for name, shape in expected.items()}
    for n in range(30):
        expected[f"blocks.{n}.modulation"] = (1, 6, 1536)
        for kind in ("self_attn", "cross_attn"):
            expected |= {f"blocks.{n}.{kind}.norm_{part}.weight": (1536,) for part in "qk"}
    expected["head.modulation"] = (1, 2, 1536)
    assert found == expected


def test_a_network_without_a_source_takes_none() -> None:
    from dataclasses import replace

    with torch.device("meta"):
        network = Network(replace(SMALL, source_channels=0))
    assert network.patch_embedding.in_channels == SMALL.latent_channels


def test_an_instruction_has_keys_and_values_for_each_layer() -> None:
    network = weighed(SMALL)
    cross = network.condition(normal(0, "text", 2, SMALL.text_len, SMALL.text_dim))
    assert len(cross) == SMALL.layers
    shape = (2, SMALL.heads, SMALL.text_len, SMALL.head_dim)
    assert all(keys.shape == values.shape == shape for keys, values in cross)
    assert cast(network, torch.bfloat16).condition(torch.zeros(1, 7, 40))[0][0].dtype == torch.bfloat16


def test_a_timestep_is_waves() -> None:
    """Cosines, then sines, of t / 10000^(i / half)."""
    found = sinusoid(torch.tensor([937.5, 0.0]), 8)
    angles = [937.5 / 10_000 ** (i / 4) for i in range(4)]
    expected = [*map(math.cos, angles), *map(math.sin, angles)]
    assert found[0].tolist() == pytest.approx(expected, abs=1e-4)
    assert found[1].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_the_timestep_is_calculated_in_float32_whatever_the_weights_are() -> None:
    layer = torch.nn.Linear(16, 4).bfloat16()
    x = normal(0, "x", 3, 16)
    found = linear32(layer, x)
    assert found.dtype == torch.float32
    assert torch.allclose(found, x @ layer.weight.float().T + layer.bias.float(), atol=1e-6)


def test_a_cast_leaves_what_is_quantised_already() -> None:
    network = weighed(SMALL)
    linear = network.blocks[0].ffn[0]
    linear.weight = torch.nn.Parameter(linear.weight.to(torch.float8_e4m3fn), requires_grad=False)
    cast(network, torch.bfloat16)
    assert linear.weight.dtype == torch.float8_e4m3fn
    assert network.blocks[0].ffn[2].weight.dtype == torch.bfloat16


def test_modulation_is_the_layers_own_and_the_timesteps() -> None:
    own, time = normal(0, "own", 1, 6, 12), normal(0, "time", 2, 6, 12)
    parts = modulation(own, time, torch.float32)
    for index, part in enumerate(parts):
        assert torch.equal(part, own[:, index, None] + time[:, index, None] + (index in (1, 4)))
    x = normal(0, "x", 2, 5, 12)
    shift, scale, *_ = parts
    expected = torch.nn.functional.layer_norm(x, (12,), eps=1e-6) * scale + shift
    assert error(modulated(x, shift, scale, 1e-6), expected) < 1e-6
