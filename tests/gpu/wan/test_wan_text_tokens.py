"""Prompts to ids."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu.errors import ModelError
from gpu.wan.text_tokens import MAX_CHARS, Tokenizer, clean
from tests.gpu.wan.toy_text import SENTENCES, SPECIAL, as_json, pieces


# What ftfy 6.3.1 with html.unescape twice gives, as Wan's tokenizer class calls them.
@pytest.mark.parametrize(
    ("prompt", "cleaned"),
    [
        ("  make it\t\n rain ", "make it rain"),
        ("\u201cStarry\u201d \u2018night\u2019 it\u2019s", "\"Starry\" 'night' it's"),
        ("&amp;lt;b&amp;gt; rain &amp; snow", "<b> rain & snow"),
        ("\uff2d\uff41\uff4b\uff45\u3000\uff49\uff54\u3000\uff11", "Make it 1"),
        ("\ufb01re and \ufb02ames", "fire and flames"),
        ("cafe\u0301", "caf\u00e9"),
        ("a\x00b\x07c\ufeffd", "abcd"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\u2028b\u00a0c\r\nd", "a b c d"),
        ("\u0149 \u01c6", "'n d\u017e"),
        ("\u6771\u4eac \u00bd 5\u00b0 \u2026 \U0001f600", "\u6771\u4eac \u00bd 5\u00b0 \u2026 \U0001f600"),
        ("", ""),
        (" \n", ""),
        ("\ud83d\ude00", "\U0001f600"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_cleaning(prompt: str, cleaned: str) -> None:
    assert clean(prompt) == cleaned


def test_cleaning_has_an_end() -> None:
    assert clean("a " * 10**6) == ("a " * 10**6)[:MAX_CHARS]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Tokenizer]:
    """(tokenizer.json, spiece.model)"""
    one, other = tmp_path_factory.mktemp("json"), tmp_path_factory.mktemp("pieces")
    (one / "tokenizer.json").write_text(as_json())
    (other / "spiece.model").write_bytes(pieces())
    return Tokenizer(one, "toy"), Tokenizer(other, "toy")


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(max_size=60))
def test_both_forms_give_the_same_ids(both: tuple[Tokenizer, Tokenizer], prompt: str) -> None:
    """But for what looks like a special token, which only tokenizer.json knows by its letters."""
    text = clean(prompt)
    if any(token in text for token in SPECIAL):
        return
    ids = both[0].ids(text, 512)
    assert ids == both[1].ids(text, 512)
    assert ids[-1] == 1
    assert 0 not in ids


def test_known_words_are_no_bytes(both: tuple[Tokenizer, Tokenizer]) -> None:
    for tokenizer in both:
        assert len(tokenizer.ids(SENTENCES[0], 512)) < len(SENTENCES[0])
        assert tokenizer.ids("", 512) == [1]
        assert 3 not in tokenizer.ids(
            "Z\u00fcrich \u6771\u4eac \U0001f600", 512
        )  # bytes in the place of <unk>


@pytest.mark.parametrize("longest", [1, 2, 32])
def test_what_is_too_long_is_cut_and_ended(both: tuple[Tokenizer, Tokenizer], longest: int) -> None:
    for tokenizer in both:
        whole = tokenizer.ids(" ".join(SENTENCES), 512)
        assert tokenizer.ids(" ".join(SENTENCES), longest) == [*whole[: longest - 1], 1]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (None, b"", r"holds no tokenizer \(tokenizer.json or spiece.model\).*relens models download toy"),
        ("tokenizer.json", b"", "is no tokenizer or damaged"),
        ("tokenizer.json", b"{}", "is no tokenizer or damaged"),
        ("tokenizer.json", b"\xff\xfe", "is no tokenizer or damaged"),
        ("spiece.model", b"", "is no tokenizer or damaged"),
        ("spiece.model", b"<html>", "is no tokenizer or damaged"),
        ("spiece.model", b"half", "is no tokenizer or damaged"),
    ],
)
def test_what_is_no_tokenizer(file: str | None, content: bytes, said: str, tmp_path: Path) -> None:
    if file:
        (tmp_path / file).write_bytes(pieces()[:999] if content == b"half" else content)
    with pytest.raises(ModelError, match=said):
        Tokenizer(tmp_path, "toy")
