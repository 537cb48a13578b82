"""LoRAs: small changes to a network's weights, W + scale * alpha / rank * (up @ down), merged at loading.

Reads PEFT's layout (lora_A, lora_B), the same inside training checkpoints (`generator_lora`), and kohya's
(lora_down, lora_up, alpha; names with underscores or with dots). Arithmetic is float32.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

from gpu.checkpoints.fault import first_few, unusable
from gpu.checkpoints.names import is_tensor, to_wan
from gpu.checkpoints.read import read

_DOWN = re.compile(r"\.(?:lora_A(?:\.\w+)?|lora_down|lora\.down)\.weight$")
_UP = re.compile(r"\.(?:lora_B(?:\.\w+)?|lora_up|lora\.up)\.weight$")
_ALPHA = re.compile(r"\.alpha$")
_KOHYA = re.compile(r"^lora_(?:unet|transformer)_")
_INNER = ("generator_lora", "lora", "state_dict")
_BASE = "Give the checkpoint it was made for, or another LoRA."


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA's file and how strongly it is merged. `alpha` is for files that do not say it themselves, by
    alpha tensors or an adapter_config.json beside them; without it alpha is the rank, a factor of 1."""

    path: Path
    scale: float = 1.0
    alpha: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What one LoRA adds to one weight: `factor * (up @ down)`; up [out, rank, …], down [rank, in, …]."""

    up: Any
    down: Any
    factor: float

    def of(self, weight: Any) -> Any:
        """`weight`, float32, with the change added."""
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return weight + self.factor * product.reshape(weight.shape)


def changes(
    loras: Sequence[Lora], shapes: Mapping[str, tuple[int, ...]], model: str
) -> dict[str, list[Change]]:
    """By weight's name, what the LoRAs add to it, in their order. `shapes`: of every tensor of the network.

    Raises ModelError for a file that is no LoRA, not for this network, or of a kind not merged here."""
    made: dict[str, list[Change]] = {}
    for lora in loras:
        for name, change in _changes(lora, shapes, model).items():
            made.setdefault(name, []).append(change)
    return made


def merge(weight: Any, added: Sequence[Change]) -> Any:
    """A weight with the changes added, computed and returned in float32; the weight itself stays as it is."""
    merged = weight.float()
    for change in added:
        merged = change.of(merged)
    return merged


def _changes(lora: Lora, shapes: Mapping[str, tuple[int, ...]], model: str) -> dict[str, Change]:
    model = f"a LoRA for {model}"
    held = read(lora.path, model)
    for key in _INNER:
        if isinstance(held.get(key), Mapping):
            held = held[key]
            break
    by_underscores = {name.removesuffix(".weight").replace(".", "_"): name for name in shapes}
    downs: dict[str, Any] = {}
    ups: dict[str, Any] = {}
    alphas: dict[str, Any] = {}
    strange: list[str] = []
    for key, tensor in held.items():
        if not is_tensor(tensor):
            continue
        for pattern, part in ((_DOWN, downs), (_UP, ups), (_ALPHA, alphas)):
            if pattern.search(key):
                part[_weight(pattern.sub("", key), by_underscores)] = tensor
                break
        else:
            strange.append(str(key))
    if not downs and not ups:
        raise unusable(lora.path, f"is no LoRA: {first_few(strange) or 'it has no tensors'}", model, _BASE)
    if strange:
        why = f"changes more than a product of two matrices: {first_few(strange)}"
        raise unusable(lora.path, why, model, "relens merges plain LoRAs only (no DoRA, no full tensors).")
    if unknown := sorted({name for name in (*downs, *ups, *alphas) if name not in shapes}):
        raise unusable(
            lora.path, f"changes what the network does not have: {first_few(unknown)}", model, _BASE
        )
    if single := sorted(downs.keys() ^ ups.keys()):
        raise unusable(lora.path, f"has one matrix of two for {first_few(single)}", model)
    settings = _Settings.beside(lora.path)
    wrong, made = [], {}
    for name, down in downs.items():
        up, shape = ups[name], shapes[name]
        if line := _misfit(name, up, down, shape) or _alpha_fault(name, alphas.get(name)):
            wrong.append(line)
            continue
        rank = int(down.shape[0])
        alpha = float(alphas[name]) if name in alphas else lora.alpha
        if alpha is None:
            alpha = settings.alpha(name, rank)
        made[name] = Change(up, down, lora.scale * alpha / (sqrt(rank) if settings.root else rank))
    if wrong:
        raise unusable(lora.path, f"does not fit the network: {first_few(wrong)}", model, _BASE)
    return made


def _weight(module: str, by_underscores: Mapping[str, str]) -> str:
    """The weight's name that a LoRA's module name means."""
    if _KOHYA.search(module):
        flat = _KOHYA.sub("", module)
        return by_underscores.get(flat, flat)
    return to_wan(f"{module}.weight")


def _misfit(name: str, up: Any, down: Any, shape: tuple[int, ...]) -> str | None:
    if up.dim() < 2 or down.dim() < 2 or up.shape[1] != down.shape[0] or 0 in (*up.shape, *down.shape):
        return f"{name}: {list(up.shape)} and {list(down.shape)} have no rank in common"
    rows, columns = up[0, 0].numel() * up.shape[0], down[0].numel()
    wanted = 1
    for size in shape[1:]:
        wanted *= size
    if not shape or rows != shape[0] or columns != wanted:
        return f"{name}: has [{rows}, {columns}], expected {list(shape)}"
    return None


def _alpha_fault(name: str, alpha: Any) -> str | None:
    if alpha is None:
        return None
    if alpha.numel() != 1:
        return f"{name}: its alpha has {list(alpha.shape)}, expected one number"
    return None if isfinite(float(alpha)) else f"{name}: its alpha is {float(alpha)}"


@dataclass(frozen=True, slots=True)
class _Settings:
    """PEFT's adapter_config.json, as far as it changes numbers."""

    lora_alpha: float | None = None
    patterns: tuple[tuple[str, float], ...] = ()
    root: bool = False  # rsLoRA: alpha / sqrt(rank)

    @classmethod
    def beside(cls, path: Path) -> _Settings:
        folder = path if path.is_dir() else path.parent
        try:
            held = json.loads((folder / "adapter_config.json").read_bytes())
            alpha = held.get("lora_alpha")
            patterns = tuple(
                (str(key), float(value)) for key, value in (held.get("alpha_pattern") or {}).items()
            )
            return cls(None if alpha is None else float(alpha), patterns, bool(held.get("use_rslora")))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as exc:
            raise unusable(folder / "adapter_config.json", f"is unreadable ({exc})", "a LoRA") from exc

    def alpha(self, name: str, rank: int) -> float:
        module = name.removesuffix(".weight")
        for pattern, alpha in self.patterns:
            if module == pattern or module.endswith("." + pattern):
                return alpha
        return float(rank) if self.lora_alpha is None else self.lora_alpha
