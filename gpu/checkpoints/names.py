"""The names tensors go by in checkpoints, made Wan's own (the names of gpu/wan/network.py).

Knows wrappers of training frameworks and diffusers' names; not shapes, not files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpu.checkpoints.fault import first_few, tame
from gpu.errors import ModelError

# What frameworks put around a network, wherever it occurs in a name: FSDP, DDP, torch.compile, activation
# checkpointing, the training code's own wrapper, PEFT, and the prefixes LoRAs are published with.
WRAPPERS = frozenset(
    (
        "_fsdp_wrapped_module",
        "module",
        "_orig_mod",
        "_checkpoint_wrapped_module",
        "model",
        "base_model",
        "diffusion_model",
        "transformer",
    )
)
_EMA_FIRST = ("generator_ema", "generator")
_OTHERS = ("state_dict", "model_state_dict", "model", "module")
# Of training alone, beside the network in a generator's dict; `freqs` is a table made anew from sizes.
_NOT_WEIGHTS = re.compile(r"^(freqs$|_cls_pred_branch\.|_register_tokens\.|_gan_ca_blocks\.)")

# WanTransformer3DModel (diffusers) -> Wan. Its norm2 is Wan's norm3: the one norm of a block with weights.
_FROM_DIFFUSERS = tuple(
    (re.compile(pattern), wan)
    for pattern, wan in (
        (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
        (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
        (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
        (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
        (r"^condition_embedder\.time_proj\.", "time_projection.1."),
        (r"^scale_shift_table$", "head.modulation"),
        (r"^proj_out\.", "head.head."),
        (r"^(blocks\.\d+\.)scale_shift_table$", r"\1modulation"),
        (r"^(blocks\.\d+\.)norm2\.", r"\1norm3."),
        (r"^(blocks\.\d+\.)ffn\.net\.0\.proj\.", r"\1ffn.0."),
        (r"^(blocks\.\d+\.)ffn\.net\.2\.", r"\1ffn.2."),
        (r"^(blocks\.\d+\.)attn1\.", r"\1self_attn."),
        (r"^(blocks\.\d+\.)attn2\.", r"\1cross_attn."),
        (r"^(blocks\.\d+\.(?:self|cross)_attn\.)to_([qkv])\.", r"\1\2."),
        (r"^(blocks\.\d+\.(?:self|cross)_attn\.)to_out\.0\.", r"\1o."),
    )
)


def strip(name: str) -> str:
    """A name without the wrappers' parts: `model._fsdp_wrapped_module.blocks.0.…` -> `blocks.0.…`."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def to_wan(name: str) -> str:
    """A tensor's name as Wan has it, from any wrapping, in Wan's names or diffusers'."""
    name = strip(name)
    for pattern, wan in _FROM_DIFFUSERS:
        name = pattern.sub(wan, name)
    return name


def network_of(held: Mapping[str, Any], prefer_ema: bool = True) -> dict[str, Any]:
    """The network's tensors by Wan's names, out of what a checkpoint holds: the dict itself, or the one in it
    under `generator_ema` or `generator` (either serves where the other is missing), `state_dict`, `model`.

    Raises ModelError when there is none, or when two tensors would go by one name."""
    found = _tensors(held, _EMA_FIRST if prefer_ema else _EMA_FIRST[::-1], depth=4)
    if found is None:
        have = first_few([str(key) for key in held]) or "nothing"
        if any(str(key).endswith("_lora") for key in held):
            raise ModelError(
                f"it holds a LoRA ({have}): give it together with the checkpoint it was made for"
            )
        raise ModelError(
            f"it holds no network: no tensors under generator_ema, generator, state_dict or model, but {have}"
        )
    return renamed(found)


def renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors under Wan's names, without what is not the network's. Raises ModelError when names collide."""
    made: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, tensor in tensors.items():
        wan = to_wan(name)
        if _NOT_WEIGHTS.search(wan):
            continue
        if wan in made:
            raise ModelError(f"it has {tame(wan)} twice: as {tame(origin[wan])!r} and as {tame(name)!r}")
        made[wan], origin[wan] = tensor, name
    return made


def is_tensor(value: Any) -> bool:
    """Whether a value read from a file is a tensor; asked without torch."""
    return hasattr(value, "untyped_storage") and hasattr(value, "shape")


def _tensors(held: Mapping[str, Any], first: tuple[str, ...], depth: int) -> dict[str, Any] | None:
    for key in (*first, *_OTHERS):
        inner = held.get(key)
        if isinstance(inner, Mapping) and depth and (found := _tensors(inner, first, depth - 1)):
            return found
    tensors = {str(name): value for name, value in held.items() if is_tensor(value)}
    return tensors or None
