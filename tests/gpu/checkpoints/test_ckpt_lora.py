"""LoRAs merged at loading: the formula, the layouts, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from gpu.checkpoints.load import load_network  # noqa: E402
from gpu.checkpoints.lora import Lora, changes, merge  # noqa: E402
from gpu.errors import ModelError  # noqa: E402
from tests.gpu.checkpoints.toy_checkpoint import SMALL, Tensors, save, weights  # noqa: E402

RANK = 4
TARGETS = ("blocks.0.self_attn.q", "blocks.1.ffn.2", "blocks.1.cross_attn.o", "text_embedding.0")


def halves(dtype: torch.dtype = torch.float32) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """(up, down) by module."""
    generator = torch.Generator().manual_seed(7)
    made = {}
    for module in TARGETS:
        rows, columns = weights()[f"{module}.weight"].shape
        up = torch.randn(rows, RANK, generator=generator).to(dtype)
        made[module] = up, torch.randn(RANK, columns, generator=generator).to(dtype)
    return made


def peft(prefix: str = "base_model.model.", adapter: str = "") -> dict[str, torch.Tensor]:
    made = {}
    for module, (up, down) in halves().items():
        made[f"{prefix}{module}.lora_A{adapter}.weight"] = down
        made[f"{prefix}{module}.lora_B{adapter}.weight"] = up
    return made


def kohya(alpha: float | None, prefix: str = "lora_unet_", dots: bool = False) -> dict[str, torch.Tensor]:
    made = {}
    for module, (up, down) in halves().items():
        name = prefix + (module if dots else module.replace(".", "_"))
        made |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        if alpha is not None:
            made[f"{name}.alpha"] = torch.tensor(alpha)
    return made


def diffusers() -> dict[str, torch.Tensor]:
    theirs = {
        "blocks.0.self_attn.q": "blocks.0.attn1.to_q",
        "blocks.1.ffn.2": "blocks.1.ffn.net.2",
        "blocks.1.cross_attn.o": "blocks.1.attn2.to_out.0",
        "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    }
    made = {}
    for module, (up, down) in halves().items():
        made[f"transformer.{theirs[module]}.lora_A.weight"] = down
        made[f"transformer.{theirs[module]}.lora_B.weight"] = up
    return made


def expected(factor: float) -> Tensors:
    made = weights()
    for module, (up, down) in halves().items():
        made[f"{module}.weight"] = made[f"{module}.weight"] + factor * (up @ down)
    return made


def check(path: Path, tmp_path: Path, factor: float, **lora: Any) -> None:
    base = save(tmp_path / "base.pt", {"generator": weights()})
    network = load_network(base, SMALL, torch.float32, loras=[Lora(path, **lora)])
    for name, tensor in expected(factor).items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("held", "factor"),
    [
        (peft(), 1.0),
        (peft(adapter=".default"), 1.0),
        (peft("base_model.model.model._fsdp_wrapped_module."), 1.0),
        (peft("diffusion_model."), 1.0),
        (diffusers(), 1.0),
        (kohya(2.0), 2 / RANK),
        (kohya(None), 1.0),
        (kohya(8.0, "diffusion_model.", dots=True), 8 / RANK),
    ],
    ids=["peft", "peft adapter", "peft fsdp", "peft comfy", "diffusers", "kohya", "kohya bare", "kohya dots"],
)
def test_every_layout(held: dict[str, torch.Tensor], factor: float, tmp_path: Path) -> None:
    check(save(tmp_path / "lora.safetensors", held), tmp_path, factor)


def test_a_training_checkpoint(tmp_path: Path) -> None:
    held = {"generator_lora": peft(), "critic_lora": {"x": torch.ones(1)}, "step": 700}
    path = save(tmp_path / "lora.pt", held)
    check(path, tmp_path, 1.0)
    check(path, tmp_path, 0.5 * 8 / RANK, scale=0.5, alpha=8)


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"lora_alpha": 12}, 12 / RANK),
        ({"lora_alpha": 12, "use_rslora": True}, 12 / math.sqrt(RANK)),
        (
            {"lora_alpha": 1, "alpha_pattern": {"self_attn.q": 6, "ffn.2": 6, "cross_attn.o": 6, "0": 6}},
            6 / RANK,
        ),
    ],
)
def test_the_settings_beside_it(settings: dict[str, Any], factor: float, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    save(folder / "adapter_model.safetensors", peft())
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    check(folder, tmp_path, factor)


def test_the_same_as_peft_itself(tmp_path: Path) -> None:
    """Saved by PEFT, merged by PEFT and by us."""
    library = pytest.importorskip("peft")
    base = save(tmp_path / "base.pt", weights())
    network = load_network(base, SMALL, torch.float32)
    settings = library.LoraConfig(r=3, lora_alpha=7, target_modules=["q", "ffn.0"], init_lora_weights=False)
    adapted = library.get_peft_model(network, settings)
    adapted.save_pretrained(tmp_path / "adapter")
    theirs = adapted.merge_and_unload().state_dict()
    ours = load_network(base, SMALL, torch.float32, loras=[Lora(tmp_path / "adapter")]).state_dict()
    for name, tensor in weights().items():
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-6, atol=1e-6)
        assert torch.equal(ours[name], tensor) != (name.endswith((".q.weight", "ffn.0.weight")))


def test_two_of_them_add_up(tmp_path: Path) -> None:
    base = save(tmp_path / "base.pt", weights())
    loras = [
        Lora(save(tmp_path / "a.safetensors", peft()), scale=0.25),
        Lora(save(tmp_path / "b.safetensors", kohya(4.0)), scale=0.5),
    ]
    network = load_network(base, SMALL, torch.float32, loras=loras)
    for name, tensor in expected(0.75).items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=1e-6, atol=1e-6)


def test_float32_arithmetic_and_one_rounding(tmp_path: Path) -> None:
    """Many changes too small for bfloat16 each are not lost."""
    weight = torch.ones(4, 4, dtype=torch.bfloat16)
    path = save(
        tmp_path / "l.safetensors",
        {"w.lora_A.weight": torch.full((1, 4), 1e-3), "w.lora_B.weight": torch.ones(4, 1)},
    )
    added = changes([Lora(path)] * 8, {"w.weight": (4, 4)}, "m")
    assert torch.equal(merge(weight, added["w.weight"]).bfloat16(), torch.full((4, 4), 1.0078125).bfloat16())
    assert torch.equal(weight, torch.ones(4, 4, dtype=torch.bfloat16))


def test_a_convolution(tmp_path: Path) -> None:
    shape = tuple(weights()["patch_embedding.weight"].shape)
    down, up = torch.randn(2, *shape[1:]), torch.randn(shape[0], 2, 1, 1, 1)
    held = {"patch_embedding.lora_down.weight": down, "patch_embedding.lora_up.weight": up}
    path = save(tmp_path / "l.safetensors", held)
    added = changes([Lora(path)], {"patch_embedding.weight": shape}, "m")["patch_embedding.weight"]
    merged = merge(torch.zeros(shape), added)
    torch.testing.assert_close(merged, torch.einsum("or,r...->o...", up.flatten(1), down))


def without(held: dict[str, torch.Tensor], part: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in held.items() if part not in name}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (weights(), "is no LoRA: "),
        (without(peft(), "text_embedding.0.lora_A"), "one matrix of two for text_embedding.0.weight"),
        ({**peft(), "blocks.9.x.lora_A.weight": torch.ones(4, 4)}, "does not have: blocks.9.x.weight"),
        (
            {**peft(), "blocks.0.x.lora_magnitude_vector": torch.ones(4)},
            "more than a product.*plain LoRAs only",
        ),
        ({**peft(), "blocks.0.self_attn.k.diff_b": torch.ones(4)}, "more than a product"),
        ({name: tensor[:, :3].contiguous() for name, tensor in peft().items()}, "no rank in common"),
        (
            {
                "text_embedding.0.lora_A.weight": torch.ones(2, 9),
                "text_embedding.0.lora_B.weight": torch.ones(9, 2),
            },
            r"text_embedding.0.weight: has \[9, 9\], expected \[48, 24\]",
        ),
        (
            {
                "text_embedding.0.lora_A.weight": torch.ones(0, 24),
                "text_embedding.0.lora_B.weight": torch.ones(48, 0),
            },
            "no rank in common",
        ),
        (
            {**peft(), "text_embedding.0.alpha": torch.tensor(math.nan)},
            "text_embedding.0.weight: its alpha is nan",
        ),
        ({**peft(), "text_embedding.0.alpha": torch.ones(2)}, "text_embedding.0.weight: its alpha has"),
    ],
)
def test_what_is_refused(held: dict[str, torch.Tensor], said: str, tmp_path: Path) -> None:
    path = save(tmp_path / "lora.safetensors", held)
    base = save(tmp_path / "base.pt", weights())
    with pytest.raises(ModelError, match=said):
        load_network(base, SMALL, torch.float32, loras=[Lora(path)])


@pytest.mark.parametrize("text", ["", "[]", "{", '{"lora_alpha": "x"}', '{"alpha_pattern": 3}'])
def test_settings_that_cannot_be_read(text: str, tmp_path: Path) -> None:
    path = save(tmp_path / "lora.safetensors", peft())
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(ModelError, match=r"adapter_config.json is unreadable"):
        changes([Lora(path)], {name: tuple(held.shape) for name, held in weights().items()}, "m")


def test_a_lora_instead_of_a_network_is_said(tmp_path: Path) -> None:
    path = save(tmp_path / "lora.pt", {"generator_lora": peft()})
    with pytest.raises(ModelError, match="holds a LoRA"):
        load_network(path, SMALL, torch.float32)
