"""A bounded number of bytes of embeddings."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from gpu.wan.text_cache import EmbeddingCache  # noqa: E402


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 6)), max_size=40))
def test_never_more_bytes_than_allowed_and_the_newest_stay(puts: list[tuple[str, int]]) -> None:
    cache = EmbeddingCache(40)
    order: dict[str, int] = {}
    for text, rows in puts:
        cache.put(text, torch.zeros(rows, 2))
        order.pop(text, None)
        order[text] = rows * 8
        if rows * 8 > 40:
            order.pop(text)
        while sum(order.values()) > 40:
            order.pop(next(iter(order)))
        assert cache.bytes == sum(order.values())
    assert {text for text in "abcdef" if cache.get(text) is not None} == set(order)


def test_asking_keeps_it() -> None:
    cache = EmbeddingCache(16)
    cache.put("a", torch.zeros(1, 2))
    cache.put("b", torch.zeros(1, 2))
    assert cache.get("a") is not None
    cache.put("c", torch.zeros(1, 2))
    assert cache.get("b") is None
    cache.clear()
    assert cache.bytes == 0
    assert cache.get("a") is None
