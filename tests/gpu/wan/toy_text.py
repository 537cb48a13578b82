"""A text encoder small enough for tests: weights by chance under Wan's names, a tokenizer trained on a few
sentences with the ids and the byte fallback of UMT5's kind, in both forms that tokenizers come in."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2

from gpu.wan.config import WanConfig
from gpu.wan.text_umt5 import WAN_FILE, WAN_TOKENIZER, to_transformers
from tests.gpu.wan.wan_chance import normal

CONFIG = WanConfig("toy", dim=48, layers=2, heads=2, ffn=64, freq_dim=32, text_dim=24, text_len=32)
LAYERS, HEADS, INNER, FEED, BUCKETS = 2, 4, 32, 40, 32
SENTENCES = (
    "make it a rainy night in the city",
    "turn the cat into a tiger",
    "paint the background like a starry night",
    "add snow to the mountains far away",
    "replace my shirt by a red one",
)
SPECIAL = ["<pad>", "</s>", "<s>", "<unk>"]


@functools.cache
def pieces() -> bytes:
    """A SentencePiece model."""
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_writer=made,
        vocab_size=400,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        byte_fallback=True,
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
    )
    return made.getvalue()


@functools.cache
def as_json() -> str:
    """The same tokenizer as tokenizer.json."""
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(pieces())
    vocabulary = [(piece.piece, piece.score) for piece in model.pieces]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id=3, byte_fallback=True))
    made.normalizer = tokenizers.normalizers.Sequence(
        [  # SentencePiece takes out blanks that its own normalisation made
            tokenizers.normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap),
            tokenizers.normalizers.Strip(left=False, right=True),
            tokenizers.normalizers.Replace(tokenizers.Regex(" {2,}"), "▁"),
        ]
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=["$A", "</s>"], special_tokens=[("</s>", 1)]
    )
    made.add_special_tokens(SPECIAL)
    made.enable_padding(length=99)  # as published files do: not to be heeded
    made.enable_truncation(3)
    return made.to_str()


def shapes(vocabulary: int, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the class in Wan's wan/modules/t5.py."""
    yield "token_embedding.weight", (vocabulary, width)
    for layer in range(LAYERS):
        block = f"blocks.{layer}."
        yield block + "norm1.weight", (width,)
        for part in "qkv":
            yield f"{block}attn.{part}.weight", (INNER, width)
        yield block + "attn.o.weight", (width, INNER)
        yield block + "norm2.weight", (width,)
        yield block + "ffn.gate.0.weight", (FEED, width)
        yield block + "ffn.fc1.weight", (FEED, width)
        yield block + "ffn.fc2.weight", (width, FEED)
        yield block + "pos_embedding.embedding.weight", (BUCKETS, HEADS)
    yield "norm.weight", (width,)


def weights(
    vocabulary: int = 448, width: int = CONFIG.text_dim, dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    made = {}
    for name, shape in shapes(vocabulary, width):
        numbers = normal(5, name, *shape) * 0.3
        made[name] = (numbers + 1 if "norm" in name else numbers).to(dtype)
    return made


def as_wan(folder: Path, held: dict[str, torch.Tensor] | None = None) -> Path:
    """A folder as Wan's repository has it."""
    tokenizer = folder / WAN_TOKENIZER
    tokenizer.mkdir(parents=True)
    (tokenizer / "spiece.model").write_bytes(pieces())
    torch.save(weights() if held is None else held, folder / WAN_FILE)
    return folder


def settings(vocabulary: int = 448, width: int = CONFIG.text_dim) -> transformers.UMT5Config:
    return transformers.UMT5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=INNER // HEADS,
        d_ff=FEED,
        num_layers=LAYERS,
        num_heads=HEADS,
        relative_attention_num_buckets=BUCKETS,
    )


def as_hugging_face(folder: Path, held: dict[str, torch.Tensor] | None = None, shards: int = 1) -> Path:
    """A folder as transformers writes it: config.json, safetensors, tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    settings().to_json_file(folder / "config.json")
    tensors = {to_transformers(name): tensor for name, tensor in (held or weights()).items()}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
    else:
        where = {}
        for shard in range(shards):
            file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
            names = list(tensors)[shard::shards]
            save_file({name: tensors[name] for name in names}, folder / file)
            where |= dict.fromkeys(names, file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "tokenizer.json").write_text(as_json())
    return folder
