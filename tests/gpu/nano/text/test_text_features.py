"""Words and their rows in the table."""

from __future__ import annotations

from gpu.nano.text.features import BUCKETS, split, word_rows


def test_splitting_keeps_what_meaning_hangs_on() -> None:
    assert split("Don\u2019t add FOG, b&w at 20 %!").words == (
        "do", "not", "add", "fog", ",", "bw", "at", "<percent>", "!",
    )  # fmt: skip
    assert split("aquar\u00e9lle").words == ("aquarelle",)
    assert "snowflake" in split("\u2744").words


def test_every_row_is_in_the_table() -> None:
    for word in ("", "a", "rain", "\u96e8", "z" * 500):
        whole, pieces = word_rows(word)
        assert pieces
        assert all(0 < row < BUCKETS for row in (whole, *pieces))
