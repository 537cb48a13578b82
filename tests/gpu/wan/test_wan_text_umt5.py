"""UMT5 out of the files it comes in: the same numbers from each, and those of Wan's own class."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

from gpu.errors import ModelError  # noqa: E402
from gpu.wan.text_umt5 import WAN_FILE, TextFiles, load_encoder, to_transformers  # noqa: E402
from tests.gpu.wan import toy_text  # noqa: E402

IDS = torch.tensor([[7, 150, 33, 8, 199, 12, 90, 3, 61, 44, 17, 2, 180, 1]])


def rows(weights: Path, ids: torch.Tensor = IDS, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    with torch.inference_mode():
        return load_encoder(weights, "toy", dtype, "cpu")(ids).last_hidden_state[0]


def test_the_numbers_of_wans_own_class(tmp_path: Path) -> None:
    """wan_t5.npz: Wan's T5Encoder (wan/modules/t5.py, Apache-2.0) with 200 tokens, width 24, 2 layers of 4
    heads and 32 inside, 40 in the feed-forward part, weighed by toy_text; run on IDS padded to 60 and
    masked (`rows`: those of IDS), and on 300 ids (37 i mod 199) + 1, beyond the farthest distance's bucket
    (`last`: the last four)."""
    expected = np.load(Path(__file__).with_name("wan_t5.npz"))
    folder = toy_text.as_wan(tmp_path, toy_text.weights(200))
    torch.testing.assert_close(
        rows(folder / WAN_FILE), torch.from_numpy(expected["rows"]), rtol=1e-5, atol=1e-5
    )
    ids = torch.tensor([[i * 37 % 199 + 1 for i in range(300)]])
    last = rows(folder / WAN_FILE, ids)[-4:]
    torch.testing.assert_close(last, torch.from_numpy(expected["last"]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shards", [1, 3])
def test_both_files_give_the_same(shards: int, tmp_path: Path) -> None:
    ours = rows(toy_text.as_wan(tmp_path / "wan") / WAN_FILE)
    theirs = rows(toy_text.as_hugging_face(tmp_path / "hf", shards=shards))
    assert torch.equal(ours, theirs)


def test_the_same_as_transformers_reads_itself(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    model = transformers.UMT5EncoderModel(toy_text.settings()).eval()
    model.save_pretrained(folder)
    with torch.inference_mode():
        expected = model(IDS).last_hidden_state[0]
    torch.testing.assert_close(rows(folder), expected, rtol=1e-5, atol=1e-5)


def test_the_tied_name_serves_too_and_a_decoder_is_left_out(tmp_path: Path) -> None:
    held = toy_text.weights()
    expected = rows(toy_text.as_hugging_face(tmp_path / "a", held))
    held["encoder.embed_tokens.weight"] = held.pop("token_embedding.weight")
    held |= {"decoder.block.0.layer.0.layer_norm.weight": torch.ones(3), "lm_head.weight": torch.ones(3, 3)}
    assert torch.equal(rows(toy_text.as_hugging_face(tmp_path / "b", held)), expected)


def test_the_embedding_is_there_once(tmp_path: Path) -> None:
    encoder = load_encoder(toy_text.as_wan(tmp_path) / WAN_FILE, "toy", torch.bfloat16, "cpu")
    assert encoder.shared.weight is encoder.encoder.embed_tokens.weight
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.bfloat16}
    assert not any(held.is_meta for held in (*encoder.parameters(), *encoder.buffers()))
    assert not encoder.training


def test_what_needs_no_conversion_stays_in_the_file(tmp_path: Path) -> None:
    """Mapped: the tensors lie in the file's bytes, one region for all of them."""
    folder = toy_text.as_wan(tmp_path)
    encoder = load_encoder(folder / WAN_FILE, "toy", torch.float32, "cpu")
    places = [parameter.data_ptr() for parameter in encoder.parameters()]
    assert max(places) - min(places) < (folder / WAN_FILE).stat().st_size


def test_every_name_of_wans_file_is_mapped() -> None:
    expected = transformers.UMT5EncoderModel(toy_text.settings()).state_dict().keys()
    mapped = {to_transformers(name) for name, _ in toy_text.shapes(448, 24)}
    assert mapped == set(expected) - {"encoder.embed_tokens.weight"}


def test_a_config_beside_it_says_what_shapes_do_not(tmp_path: Path) -> None:
    folder = toy_text.as_hugging_face(tmp_path)
    before = rows(folder)
    held = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(held | {"relative_attention_max_distance": 20}))
    encoder = load_encoder(folder, "toy", torch.float32, "cpu")
    assert encoder.config.relative_attention_max_distance == 20
    assert not torch.equal(rows(folder), before)
    (folder / "config.json").write_text(json.dumps(held | {"model_type": "t5"}))
    with pytest.raises(ModelError, match="of type 't5', not umt5"):
        rows(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="is unreadable"):
        rows(folder)
    (folder / "config.json").write_text(json.dumps(held | {"feed_forward_proj": "x-y-z"}))
    with pytest.raises(ModelError, match="is no configuration of UMT5"):
        rows(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"blocks.1.attn.o.weight": None},
            r"encoder.block.1.layer.0.SelfAttention.o.weight: is missing, expected",
        ),
        ({"blocks.1.norm2.weight": torch.ones(9)}, r"layer.1.layer_norm.weight: has \[9\], expected \[24\]"),
        ({"blocks.0.ffn.fc1.weight": torch.ones(40, 24).to(torch.int8)}, "wi_1.weight: has int8, expected"),
        ({"token_embedding.weight": None}, "holds no UMT5 encoder: shared.weight is missing"),
        ({"blocks.0.attn.q.weight": torch.ones(30, 24)}, "30 channels in 4 heads"),
        ({"blocks.99999999.norm1.weight": torch.ones(24)}, "holds no UMT5 encoder"),
    ],
)
def test_what_does_not_fit(change: dict[str, torch.Tensor | None], said: str, tmp_path: Path) -> None:
    held = {name: tensor for name, tensor in (toy_text.weights() | change).items() if tensor is not None}
    folder = toy_text.as_wan(tmp_path, held)
    with pytest.raises(ModelError, match=said):
        rows(folder / WAN_FILE)


def test_where_files_lie(tmp_path: Path) -> None:
    wan = toy_text.as_wan(tmp_path / "wan")
    assert TextFiles.within(wan, "toy") == TextFiles(wan / WAN_FILE, wan / "google" / "umt5-xxl")
    alone = toy_text.as_hugging_face(tmp_path / "alone")
    assert TextFiles.within(alone, "toy") == TextFiles(alone, alone)
    split = tmp_path / "diffusers"
    toy_text.as_hugging_face(split / "text_encoder")
    (split / "tokenizer").mkdir()
    (split / "text_encoder" / "tokenizer.json").rename(split / "tokenizer" / "tokenizer.json")
    expected = TextFiles(split / "text_encoder", split / "tokenizer")
    assert TextFiles.within(split, "toy") == expected
    assert TextFiles.within(split / "text_encoder", "toy") == expected


def test_folders_without(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is missing: the text encoder.*relens models download toy"):
        TextFiles.within(tmp_path / "none", "toy")
    with pytest.raises(ModelError, match=r"holds no text encoder.*relens models download toy"):
        TextFiles.within(tmp_path, "toy")
    (toy_text.as_hugging_face(tmp_path) / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="has no tokenizer beside it"):
        TextFiles.within(tmp_path, "toy")
