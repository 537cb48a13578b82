"""What is said of tensors that are not the network's, and what network they are."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from gpu.checkpoints.fit import fit, move  # noqa: E402
from gpu.checkpoints.load import load_network  # noqa: E402
from gpu.checkpoints.sizes import config_of, describe  # noqa: E402
from gpu.errors import ModelError  # noqa: E402
from gpu.wan.config import LIVEEDIT_1_3B, TOY, WanConfig  # noqa: E402
from tests.gpu.checkpoints.toy_checkpoint import SMALL, Tensors, empty, same, save, weights  # noqa: E402

HERE = Path("some.pt")
WAN_14B = WanConfig("14B", dim=5120, layers=40, heads=40, ffn=13824, source_channels=0)


def said(tensors: Tensors, config: WanConfig = SMALL) -> str:
    with pytest.raises(ModelError) as caught:
        fit(tensors, empty(config), HERE, config.name, config)
    return str(caught.value)


def test_what_fits_says_nothing() -> None:
    fit(weights(), empty(), HERE, "small", SMALL)
    fit(weights(dtype=torch.bfloat16), empty(), HERE, "small", SMALL)


def test_a_missing_tensor_and_one_too_many() -> None:
    tensors = weights()
    tensors["blocks.0.img_attn.weight"] = tensors.pop("blocks.1.self_attn.q.weight")
    message = said(tensors)
    assert "blocks.1.self_attn.q.weight: is missing, expected [48, 48]" in message
    assert "blocks.0.img_attn.weight: has [48, 48], expected no such tensor" in message
    assert "Expected: weights of small (2 layers of 48, 32 channels in). " in message
    assert message.endswith(": relens models download small"), "a command to be copied, and nothing behind it"


def test_the_first_five_of_many_and_how_many_more() -> None:
    tensors = weights(
        WanConfig("other", dim=64, layers=2, heads=2, ffn=64, freq_dim=32, text_dim=24, text_len=8)
    )
    message = said(tensors)
    assert message.count("expected [") == 5
    wrong = sum(tensor.shape != empty().state_dict()[name].shape for name, tensor in tensors.items())
    assert f"; and {wrong - 5} more" in message


@pytest.mark.parametrize("kind", ["int8", "uint8", "float8_e4m3fn", "bool", "complex64"])
def test_a_type_that_is_no_weight(kind: str) -> None:
    tensors = weights()
    tensors["head.head.bias"] = torch.zeros(64).to(getattr(torch, kind))
    assert f"head.head.bias: has {kind}, expected float32, bfloat16 or float16" in said(tensors)


def test_values_that_are_not_there() -> None:
    tensors = weights()
    tensors["head.head.bias"] = torch.zeros(64, device="meta")
    tensors["head.head.weight"] = torch.zeros(64, 48).to_sparse()
    assert said(tensors).count("has no plain values") == 2


def test_nothing_is_copied_before_everything_fits(tmp_path: Path) -> None:
    network, before = empty(), None
    tensors = weights()
    del tensors["head.modulation"]
    before = dict(tensors)
    with pytest.raises(ModelError):
        fit(tensors, network, HERE, "small", SMALL)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert tensors.keys() == before.keys()


def test_the_message_says_what_was_found_instead(tmp_path: Path) -> None:
    """Shapes of a 14B network, without its bytes."""
    with torch.device("meta"):
        shapes = empty(WAN_14B).state_dict()
    message = said({name: tensor.detach() for name, tensor in shapes.items()}, LIVEEDIT_1_3B)
    assert "It is Wan 14B (40 layers of 5120, 16 channels in)" in message
    assert "liveedit-1.3b (30 layers of 1536, 32 channels in)" in message
    with pytest.raises(ModelError, match="It is no network of the Wan family"):
        load_network(save(tmp_path / "x.safetensors", {"a.weight": torch.ones(2)}), SMALL, torch.float32)


@pytest.mark.parametrize("config", [SMALL, TOY, LIVEEDIT_1_3B, WAN_14B], ids=lambda config: config.name)
def test_sizes_are_read_from_shapes(config: WanConfig) -> None:
    found = config_of(empty(config).state_dict(), heads=config.heads, text_len=config.text_len)
    for field in WanConfig.__slots__:
        if field != "name":
            assert getattr(found, field) == getattr(config, field), field


def test_published_sizes_have_heads_of_128_channels() -> None:
    assert config_of(empty(LIVEEDIT_1_3B).state_dict()).heads == 12
    assert config_of(empty(WAN_14B).state_dict()).heads == 40
    assert describe(config_of(empty(LIVEEDIT_1_3B).state_dict())).startswith(
        "Wan 1.3B (30 layers of 1536, 32"
    )


def test_moving_empties_the_dict_and_leaves_no_gradient() -> None:
    network, tensors = empty(), weights()
    kept = dict(tensors)
    move(tensors, network, lambda name: torch.float32)
    assert not tensors
    assert same(network, kept)
    assert not network.training
