"""UMT5's encoder out of its files: Hugging Face's names, or those of Wan's own file, to transformers' class.

Sizes are read from the tensors' shapes; a config.json beside them says the rest where there is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu.checkpoints.fault import tame, unusable
from gpu.checkpoints.fit import fit, move
from gpu.checkpoints.names import is_tensor
from gpu.checkpoints.needs import need
from gpu.checkpoints.read import read

WAN_FILE = (
    "models_t5_umt5-xxl-enc-bf16.pth"  # of Wan-AI/Wan2.1-T2V-1.3B, with the tokenizer in google/umt5-xxl
)
WAN_TOKENIZER = Path("google", "umt5-xxl")
_SHARED = "shared.weight"
_TIED = "encoder.embed_tokens.weight"  # the same tensor
_NOT_OURS = re.compile(r"^(decoder\.|lm_head\.)")
_SETTINGS = ("layer_norm_epsilon", "relative_attention_max_distance", "feed_forward_proj")

_ATTENTION = r"encoder.block.\1.layer.0.SelfAttention."
_FEED = r"encoder.block.\1.layer.1."
# Wan's own class (wan/modules/t5.py) -> transformers'.
_FROM_WAN = tuple(
    (re.compile(pattern), theirs)
    for pattern, theirs in (
        (r"^token_embedding\.weight$", _SHARED),
        (r"^norm\.weight$", "encoder.final_layer_norm.weight"),
        (r"^blocks\.(\d+)\.norm1\.weight$", r"encoder.block.\1.layer.0.layer_norm.weight"),
        (r"^blocks\.(\d+)\.attn\.([qkvo])\.weight$", _ATTENTION + r"\2.weight"),
        (r"^blocks\.(\d+)\.pos_embedding\.embedding\.weight$", _ATTENTION + "relative_attention_bias.weight"),
        (r"^blocks\.(\d+)\.norm2\.weight$", _FEED + "layer_norm.weight"),
        (r"^blocks\.(\d+)\.ffn\.gate\.0\.weight$", _FEED + "DenseReluDense.wi_0.weight"),
        (r"^blocks\.(\d+)\.ffn\.fc1\.weight$", _FEED + "DenseReluDense.wi_1.weight"),
        (r"^blocks\.(\d+)\.ffn\.fc2\.weight$", _FEED + "DenseReluDense.wo.weight"),
    )
)


@dataclass(frozen=True, slots=True)
class TextFiles:
    """`weights`: a file, an index of shards or a folder with either; `tokenizer`: a folder."""

    weights: Path
    tokenizer: Path

    @classmethod
    def within(cls, folder: Path, model: str) -> TextFiles:
        """A text encoder's files in a folder: Wan's repository, a repository of diffusers (text_encoder and
        tokenizer), or Hugging Face's of the text encoder alone. Raises ModelError naming what is missing."""
        if not folder.is_dir():
            raise unusable(folder, "is missing: the text encoder belongs there", model)
        if (folder / WAN_FILE).is_file():
            return cls(folder / WAN_FILE, folder / WAN_TOKENIZER)
        weights = folder / "text_encoder" if (folder / "text_encoder").is_dir() else folder
        if not (weights / "config.json").is_file():
            why = f"holds no text encoder (neither {WAN_FILE} nor a config.json with weights)"
            raise unusable(folder, why, model)
        for tokenizer in (weights, weights / "tokenizer", weights.parent / "tokenizer"):
            if any((tokenizer / name).is_file() for name in ("tokenizer.json", "spiece.model")):
                return cls(weights, tokenizer)
        raise unusable(weights, "has no tokenizer beside it (tokenizer.json or spiece.model)", model)

    def check(self, model: str) -> None:
        """Raises ModelError when a file is missing, without reading any."""
        for path, what in ((self.weights, "the text encoder"), (self.tokenizer, "its tokenizer")):
            if not path.exists():
                raise unusable(path, f"is missing: {what} belongs there", model)


def to_transformers(name: str) -> str:
    """A tensor's name as transformers has it; its own stay."""
    for pattern, theirs in _FROM_WAN:
        name = pattern.sub(theirs, name)
    return name


def load_encoder(weights: Path, model: str, dtype: Any, device: str) -> Any:
    """transformers' UMT5EncoderModel with these weights, mapped from the file where neither type nor device
    differs. Raises ModelError, NoMemory, DeviceError without the libraries."""
    torch, transformers = need("torch"), need("transformers")
    held = read(weights, model)
    state = {
        name: tensor
        for key, tensor in held.items()
        if is_tensor(tensor) and not _NOT_OURS.match(name := to_transformers(str(key)))
    }
    tied = state.pop(_TIED, None)
    if tied is not None:
        state.setdefault(_SHARED, tied)
    sizes, settings = _sizes(state, weights, model), _settings(weights, model)
    try:
        config = transformers.UMT5Config(**sizes, **settings)
    except Exception as exc:  # its checks raise classes of their own
        raise unusable(weights, f"is no configuration of UMT5 ({tame(str(exc))})", model) from exc
    with torch.device("meta"):
        encoder = transformers.UMT5EncoderModel(config)
    encoder.encoder.embed_tokens = None  # else the embedding, a third of the whole, would be converted twice
    fit(state, encoder, weights, model)
    move(state, encoder, lambda name: dtype, device)
    encoder.set_input_embeddings(encoder.shared)
    return encoder


def _sizes(state: Mapping[str, Any], path: Path, model: str) -> dict[str, int]:
    """UMT5Config's sizes, from shapes. Raises ModelError."""
    block = "encoder.block.0.layer."
    layers = [int(found.group(1)) for name in state if (found := re.match(r"encoder\.block\.(\d+)\.", name))]
    shapes = {}
    for name in (
        _SHARED,
        block + "0.SelfAttention.q.weight",
        block + "0.SelfAttention.relative_attention_bias.weight",
        block + "1.DenseReluDense.wi_0.weight",
    ):
        tensor = state.get(name)
        if tensor is None or tensor.dim() != 2 or 0 in tensor.shape:
            raise unusable(path, f"holds no UMT5 encoder: {name} is missing or of another rank", model)
        shapes[name] = tuple(int(size) for size in tensor.shape)
    (vocab, width), (inner, _), (buckets, heads), (feed, _) = shapes.values()
    if inner % heads or max(layers) > 1000:
        raise unusable(path, f"holds no UMT5 encoder: {inner} channels in {heads} heads", model)
    return {
        "vocab_size": vocab,
        "d_model": width,
        "d_kv": inner // heads,
        "d_ff": feed,
        "num_layers": max(layers) + 1,
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
    }


def _settings(weights: Path, model: str) -> dict[str, Any]:
    """What no shape tells, from a config.json beside the weights. Wan's file has none: UMT5's values hold."""
    path = (weights if weights.is_dir() else weights.parent) / "config.json"
    if weights.name == WAN_FILE or not path.is_file():
        return {}
    try:
        held = json.loads(path.read_bytes())
        kind = held.get("model_type")
        settings = {name: held[name] for name in _SETTINGS if name in held}
    except (OSError, ValueError, AttributeError, RecursionError) as exc:
        raise unusable(path, f"is unreadable ({tame(str(exc))})", model) from exc
    if kind != "umt5":
        raise unusable(path, f"describes a model of type {tame(str(kind))!r}, not umt5", model)
    return settings
