"""A checkpoint in every wrapping, to the same network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from gpu.checkpoints.load import load_network  # noqa: E402
from gpu.errors import ModelError  # noqa: E402
from gpu.wan.config import WanConfig  # noqa: E402
from tests.gpu.checkpoints.toy_checkpoint import SMALL, Tensors, empty, same, save, weights  # noqa: E402

Wrap = Callable[[Tensors], dict[str, Any]]


def prefixed(prefix: str, inner: str = "") -> Wrap:
    """Names behind a prefix; `inner` goes behind each block's number."""

    def wrap(tensors: Tensors) -> dict[str, Any]:
        made = {}
        for name, tensor in tensors.items():
            parts = name.split(".")
            if parts[0] == "blocks" and inner:
                name = ".".join([*parts[:2], inner, *parts[2:]])
            made[prefix + name] = tensor
        return made

    return wrap


def under(key: str, wrap: Wrap = dict, **beside: Any) -> Wrap:
    return lambda tensors: {key: wrap(tensors), **beside}


FLAT = {
    "flat": prefixed(""),
    "model": prefixed("model."),
    "module": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "fsdp outside": prefixed("model._fsdp_wrapped_module."),
    "fsdp everywhere": prefixed(
        "model._fsdp_wrapped_module.", "_fsdp_wrapped_module._checkpoint_wrapped_module"
    ),
    "all of them": prefixed("module._orig_mod.model.", "_fsdp_wrapped_module"),
    "comfy": prefixed("model.diffusion_model."),
}
NESTED = {
    "generator": under("generator", prefixed("model.")),
    "generator_ema": under("generator_ema", prefixed("model._fsdp_wrapped_module.")),
    "beside a critic": under("generator", prefixed("model."), critic={"x": torch.ones(2)}, step=3),
    "state_dict": under("state_dict"),
    "model": under("model", prefixed("module.")),
    "twice": under("state_dict", under("generator", prefixed("model."))),
    "ema not begun": under("generator", prefixed("model."), generator_ema=None),
    "with tables": lambda tensors: {"freqs": torch.ones(4, 4), **tensors},
}


@pytest.mark.parametrize("wrap", (FLAT | NESTED).values(), ids=(FLAT | NESTED).keys())
def test_every_wrapping_of_a_pt(wrap: Wrap, tmp_path: Path) -> None:
    tensors = weights()
    path = save(tmp_path / "model.pt", wrap(tensors))
    assert same(load_network(path, SMALL, torch.float32), tensors)


@pytest.mark.parametrize("wrap", FLAT.values(), ids=FLAT.keys())
def test_every_naming_in_safetensors(wrap: Wrap, tmp_path: Path) -> None:
    tensors = weights()
    path = save(tmp_path / "model.safetensors", wrap(tensors))
    assert same(load_network(path, SMALL, torch.float32), tensors)


def test_before_the_zip_format(tmp_path: Path) -> None:
    tensors = weights()
    torch.save({"generator": tensors}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert same(load_network(tmp_path / "old.pth", SMALL, torch.float32), tensors)


def test_the_content_decides_not_the_ending(tmp_path: Path) -> None:
    tensors = weights()
    save(tmp_path / "model.safetensors", tensors).rename(tmp_path / "model.pt")
    assert same(load_network(tmp_path / "model.pt", SMALL, torch.float32), tensors)


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_shards(ending: str, tmp_path: Path) -> None:
    tensors = weights()
    names = list(tensors)
    halves = {f"m-0000{i + 1}-of-00002.{ending}": names[i::2] for i in range(2)}
    for file, held in halves.items():
        save(tmp_path / file, {name: tensors[name] for name in held})
    where = {name: file for file, held in halves.items() for name in held}
    (tmp_path / f"m.{ending}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    assert same(load_network(tmp_path, SMALL, torch.float32), tensors)
    (tmp_path / f"m-00002-of-00002.{ending}").unlink()
    with pytest.raises(ModelError, match=r"missing \(m-00002"):
        load_network(tmp_path, SMALL, torch.float32)


def test_names_of_diffusers(tmp_path: Path) -> None:
    """Against the names that diffusers' own class has, and its own numbers for what Wan calls them."""
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=SMALL.heads,
        attention_head_dim=SMALL.head_dim,
        in_channels=SMALL.in_channels,
        out_channels=SMALL.latent_channels,
        text_dim=SMALL.text_dim,
        freq_dim=SMALL.freq_dim,
        ffn_dim=SMALL.ffn,
        num_layers=SMALL.layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
    ).state_dict()
    path = save(tmp_path / "diffusion_pytorch_model.safetensors", theirs)
    ours = load_network(path.parent, SMALL, torch.float32).state_dict()
    assert len(ours) == len(theirs)
    for name, of in {
        "blocks.1.self_attn.q.weight": "blocks.1.attn1.to_q.weight",
        "blocks.0.cross_attn.o.bias": "blocks.0.attn2.to_out.0.bias",
        "blocks.0.cross_attn.norm_k.weight": "blocks.0.attn2.norm_k.weight",
        "blocks.1.norm3.weight": "blocks.1.norm2.weight",
        "blocks.1.ffn.0.weight": "blocks.1.ffn.net.0.proj.weight",
        "blocks.1.modulation": "blocks.1.scale_shift_table",
        "head.modulation": "scale_shift_table",
        "time_projection.1.weight": "condition_embedder.time_proj.weight",
    }.items():
        assert torch.equal(ours[name], theirs[of])


def test_ema_is_a_choice(tmp_path: Path) -> None:
    plain, ema = weights(seed=1), weights(seed=2)
    path = save(tmp_path / "model.pt", {"generator": plain, "generator_ema": ema})
    assert same(load_network(path, SMALL, torch.float32), ema)
    assert same(load_network(path, SMALL, torch.float32, prefer_ema=False), plain)


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
def test_types(stored: torch.dtype, tmp_path: Path) -> None:
    tensors = weights(dtype=stored)
    path = save(tmp_path / "model.safetensors", tensors)
    network = load_network(path, SMALL, torch.bfloat16)
    assert network.blocks[0].ffn[0].weight.dtype is torch.bfloat16
    assert network.blocks[0].modulation.dtype is torch.float32
    assert network.time_embedding[0].weight.dtype is torch.float32
    assert torch.equal(network.head.head.weight, tensors["head.head.weight"].bfloat16())
    assert torch.equal(network.blocks[0].modulation, tensors["blocks.0.modulation"].float())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_network_without_source_is_widened_only_when_asked(tmp_path: Path) -> None:
    narrow = WanConfig(**{**{key: getattr(SMALL, key) for key in SMALL.__slots__}, "source_channels": 0})
    tensors = weights(narrow)
    path = save(tmp_path / "model.safetensors", tensors)
    with pytest.raises(
        ModelError, match=r"patch_embedding.weight: has \[48, 16, 1, 2, 2\], expected \[48, 32"
    ):
        load_network(path, SMALL, torch.float32)
    weight = load_network(path, SMALL, torch.float32, widen=True).patch_embedding.weight
    assert torch.equal(weight[:, :16], tensors["patch_embedding.weight"])
    assert not weight[:, 16:].any()


def test_a_loaded_network_runs_like_the_one_that_was_saved(tmp_path: Path) -> None:
    tensors = weights()
    network = load_network(save(tmp_path / "m.pt", {"generator": tensors}), SMALL, torch.float32)
    first = empty()
    first.load_state_dict(tensors, assign=True)
    text = torch.randn(1, SMALL.text_len, SMALL.text_dim)
    with torch.inference_mode():
        for ours, theirs in zip(network.condition(text), first.condition(text), strict=True):
            assert torch.equal(ours[0], theirs[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_onto_a_gpu(tmp_path: Path) -> None:
    tensors = weights()
    network = load_network(save(tmp_path / "m.pt", tensors), SMALL, torch.float32, "cuda:0")
    assert {parameter.device.type for parameter in network.parameters()} == {"cuda"}
    assert same(network.cpu(), tensors)


MEASURE = """
import sys, torch
from gpu.checkpoints.load import load_network
from gpu.wan.config import WanConfig
def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
config = WanConfig("m", dim=512, layers=6, heads=4, ffn=2048, freq_dim=32, text_dim=64, text_len=8)
load_network(sys.argv[1], config, torch.float32)  # what importing and a first use take
before = anonymous()
network = load_network(sys.argv[1], config, getattr(torch, sys.argv[2]))
print(anonymous() - before, sum(p.numel() * p.element_size() for p in network.parameters()))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_no_second_copy_of_the_weights(ending: str, tmp_path: Path) -> None:
    """What needs no conversion stays in the file; what does takes its own size once."""
    config = WanConfig("m", dim=512, layers=6, heads=4, ffn=2048, freq_dim=32, text_dim=64, text_len=8)
    path = save(tmp_path / f"m.{ending}", weights(config))
    for dtype, share in (("float32", 0.1), ("bfloat16", 1.2)):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path), dtype], capture_output=True, timeout=100, check=True
        )
        taken, size = map(int, done.stdout.split())
        assert taken < share * size
