"""The public Self-Forcing network and loop with random weights: what we are measured against, in one run.

Its code is read from a folder the caller gives and stays there. What it imports and a machine may not have
(einops, diffusers, flash-attn) is stood in for: it runs with torch's own attention, as we do.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bench.error import BenchError
from bench.figures import spread
from bench.gpu_world import Found
from bench.liveedit_world import SEED, World
from gpu.wan.schedule import Schedule


def self_forcing(world: World, folder: Path | None) -> Found:
    """Its chunk loop at the first canvas: 3 latents a block, 4 steps and a clean pass, over all it made."""
    found = Found()
    if folder is None:
        found.rows.append(("Self-Forcing's public loop", "not run: --self-forcing names no folder"))
        return found
    with _imported(folder) as causal:
        ms = _loop_ms(world, causal)
    fps = 12 / ms["p50"] * 1e3
    width, height = world.scale.canvases[0]
    found.rows.append(
        (
            f"Self-Forcing's public loop, {width}x{height}, 12 frames a block, 4 steps, 9 to 21 latents seen",
            f"{fps:.1f} fps, {ms['p50']:.1f} / {ms['p95']:.1f} ms a block",
        )
    )
    found.data["self-forcing"] = {"ms": ms, "fps": fps}
    return found


def _loop_ms(world: World, causal: Any) -> dict[str, float]:
    config, shape = world.scale.config, world.shape(world.scale.canvases[0], 3)
    cached = 21 * shape.latent_tokens
    torch.random.manual_seed(SEED)
    with torch.device(world.device), torch.inference_mode():
        network = causal.CausalWanModel(
            text_len=config.text_len, in_dim=config.latent_channels, dim=config.dim, ffn_dim=config.ffn,
            freq_dim=config.freq_dim, text_dim=config.text_dim, out_dim=config.latent_channels,
            num_heads=config.heads, num_layers=config.layers,
        )  # fmt: skip
    network = network.to(device=world.device, dtype=world.dtype).eval().requires_grad_(False)
    network.num_frame_per_block = shape.block

    def zeros(tokens: int) -> torch.Tensor:
        return torch.zeros(1, tokens, config.heads, config.head_dim, dtype=world.dtype, device=world.device)

    def end() -> torch.Tensor:
        return torch.zeros(1, dtype=torch.long, device=world.device)

    cache = [
        {"k": zeros(cached), "v": zeros(cached), "global_end_index": end(), "local_end_index": end()}
        for _ in range(config.layers)
    ]
    cross = [
        {"k": zeros(config.text_len), "v": zeros(config.text_len), "is_init": False}
        for _ in range(config.layers)
    ]
    text = [torch.randn(8, config.text_dim, device=world.device, dtype=world.dtype)]
    schedule = Schedule.of(4)
    size = (1, config.latent_channels, shape.block, *shape.latent_size)

    def block(number: int) -> None:
        noisy = torch.randn(size, device=world.device, dtype=world.dtype)
        for step, timestep in enumerate((*schedule.timesteps, 0.0)):
            times = torch.full((1, shape.block), timestep, device=world.device)
            flow = network(
                noisy, t=times, context=text, seq_len=cached, kv_cache=cache, crossattn_cache=cross,
                current_start=number * shape.block_tokens,
            )  # fmt: skip
            if step < len(schedule.timesteps):
                clean = schedule.clean(step, noisy.float(), flow.float())
                last = step + 1 == len(schedule.timesteps)
                noisy = (clean if last else schedule.renoise(step + 1, clean, torch.randn_like(clean))).to(
                    world.dtype
                )

    with torch.inference_mode():
        return spread(world.times_ms(block, 7)[2:])  # its cache holds seven blocks; the first two warm up


@contextmanager
def _imported(folder: Path) -> Iterator[Any]:
    """Its causal_model module. Raises BenchError where the folder is not what it should be."""
    if not (folder / "wan/modules/causal_model.py").is_file():
        raise BenchError(
            f"{folder} holds no wan/modules/causal_model.py: give the root of Self-Forcing's code"
        )
    before, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(folder))
    for name in ("wan", "wan.modules"):  # their own import far more than the network
        module = types.ModuleType(name)
        module.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = module
    try:
        _stand_in()
        from importlib import import_module

        attention: Any = import_module("wan.modules.attention")
        attention.attention = attention.flash_attention = _attention
        yield import_module("wan.modules.causal_model")
    except ImportError as error:
        raise BenchError(f"Self-Forcing's code asks for what is not here: {error}") from error
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            if name.split(".")[0] in ("wan", "einops", "diffusers"):
                del sys.modules[name]


def _attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, k_lens: Any = None, **rest: Any
) -> torch.Tensor:
    """[B, T, heads, dim]; torch's fused attention in the place of flash-attn."""
    if k_lens is not None:
        k, v = k[:, : int(k_lens[0])], v[:, : int(k_lens[0])]
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    return out.transpose(1, 2).contiguous()


def _stand_in() -> None:
    import importlib.util

    if importlib.util.find_spec("einops") is None:
        einops = types.ModuleType("einops")
        einops.rearrange = einops.repeat = None  # type: ignore[attr-defined]  # imported, never called
        sys.modules["einops"] = einops
    if importlib.util.find_spec("diffusers") is not None:
        return
    names = (
        "diffusers",
        "diffusers.configuration_utils",
        "diffusers.models",
        "diffusers.models.modeling_utils",
    )
    made = {name: types.ModuleType(name) for name in names}
    made[names[1]].ConfigMixin = type("ConfigMixin", (), {})  # type: ignore[attr-defined]
    made[names[1]].register_to_config = lambda init: init  # type: ignore[attr-defined]
    made[names[3]].ModelMixin = type("ModelMixin", (nn.Module,), {})  # type: ignore[attr-defined]
    sys.modules.update(made)
