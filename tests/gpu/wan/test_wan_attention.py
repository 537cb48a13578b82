"""Writing into the ring, and the two kinds of attention alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from wan_chance import normal, weigh  # noqa: E402

from gpu.wan.attention import CrossAttention, RmsNorm, ring_tokens, write_ring  # noqa: E402


def test_an_update_lies_where_its_block_begins() -> None:
    assert ring_tokens(3, torch.tensor([0, 6]), None).tolist() == [[0, 1, 2], [6, 7, 8]]
    kept = torch.tensor([[0, 2], [1, 2]])
    assert ring_tokens(2, torch.tensor([0, 6]), kept).tolist() == [[0, 2], [7, 8]]


@pytest.mark.parametrize("kept", [None, [[0, 3, 4], [1, 2, 5]]])
def test_each_stream_of_a_batch_is_written_at_its_own_place(kept: list[list[int]] | None) -> None:
    ring, starts = normal(0, "ring", 2, 3, 18, 8), [12, 0]
    update = normal(0, "update", 2, 3, 6 if kept is None else 3, 8)
    expected = ring.clone()
    for entry, start in enumerate(starts):
        for index, token in enumerate(range(6) if kept is None else kept[entry]):
            expected[entry, :, start + token] = update[entry, :, index]
    pointer = ring.data_ptr()
    written = write_ring(ring, update, torch.tensor(starts), None if kept is None else torch.tensor(kept))
    assert written is ring
    assert ring.data_ptr() == pointer
    assert torch.equal(ring, expected)


def test_keys_are_normalised_over_all_heads_together() -> None:
    norm = RmsNorm(12, 1e-6)
    x = normal(0, "x", 2, 5, 12)
    assert torch.allclose(norm(x), x / x.square().mean(-1, keepdim=True).sqrt(), atol=1e-5)
    with torch.no_grad():
        norm.weight.mul_(3)
    assert torch.allclose(norm(100 * x), 3 * x / x.square().mean(-1, keepdim=True).sqrt(), atol=1e-5)


def test_an_instructions_keys_stand_for_it() -> None:
    """[B, heads, text_len, head_dim], laid out as engines bind them; made once, they give what the whole
    attention gives."""
    attention = CrossAttention(24, 3, 1e-6)
    weigh(attention, 0)
    context, x = normal(0, "context", 1, 7, 24), normal(0, "x", 1, 5, 24)
    keys, values = attention.condition(context)
    assert keys.shape == values.shape == (1, 3, 7, 8)
    assert keys.is_contiguous()
    assert values.is_contiguous()
    q = attention.norm_q(attention.q(x)).view(1, 5, 3, 8)
    k = attention.norm_k(attention.k(context)).view(1, 7, 3, 8)
    scores = torch.einsum("bqnd,bknd->bnqk", q, k) / 8**0.5
    mixed = torch.einsum("bnqk,bknd->bqnd", scores.softmax(-1), attention.v(context).view(1, 7, 3, 8))
    assert torch.allclose(attention(x, keys, values), attention.o(mixed.flatten(2)), atol=1e-5)
