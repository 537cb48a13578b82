"""Rotations: how a head is divided, that only differences of positions count, what is written for a block."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from wan_chance import error, normal  # noqa: E402

from gpu.wan.bindings import bindings  # noqa: E402
from gpu.wan.config import TOY, StreamShape  # noqa: E402
from gpu.wan.ring import Ring  # noqa: E402
from gpu.wan.rope import fill, pairs, rotate, tables  # noqa: E402

SHAPE = StreamShape(48, 32, 3, 3, 6)


def test_a_head_of_wan_is_divided_as_in_wan() -> None:
    assert pairs(128) == (22, 21, 21)
    assert all(sum(pairs(dim)) == dim // 2 for dim in range(12, 130, 2))


def test_a_token_turns_with_its_time_row_and_column() -> None:
    """Position 7, row 1, column 2 of a 3x2 grid; the angle of pair i of n is position / 10000^(i/n)."""
    cos, sin = tables((0, 7), SHAPE, 128)
    assert cos.shape == sin.shape == (2 * 6, 64)
    expected = [place / 10_000 ** (i / n) for place, n in ((7, 22), (1, 21), (2, 21)) for i in range(n)]
    token = 6 + 1 * 3 + 2
    assert torch.allclose(cos[token], torch.tensor([math.cos(angle) for angle in expected]), atol=1e-6)
    assert torch.allclose(sin[token], torch.tensor([math.sin(angle) for angle in expected]), atol=1e-6)


def test_only_differences_of_positions_count() -> None:
    q, k = (normal(0, name, 1, 2, 6, 32) for name in "qk")

    def scores(query: int, key: int) -> torch.Tensor:
        turned = []
        for heads, position in ((q, query), (k, key)):
            cos, sin = tables((position,), SHAPE, 32)
            turned.append(rotate(heads, cos[None], sin[None]))
        return turned[0] @ turned[1].transpose(-1, -2)

    assert error(scores(11, 4), scores(7, 0)) < 1e-6
    assert error(scores(11, 4), scores(8, 0)) > 1e-3


def test_rotations_keep_lengths_and_types() -> None:
    cos, sin = tables((5,), SHAPE, 32)
    heads = normal(0, "heads", 1, 2, 6, 32)
    turned = rotate(heads, cos[None], sin[None])
    assert torch.allclose(turned.norm(dim=-1), heads.norm(dim=-1), rtol=1e-5)
    assert rotate(heads.bfloat16(), cos[None], sin[None]).dtype == torch.bfloat16


def test_a_block_is_written_for_its_stream_only() -> None:
    kinds = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool, "model": torch.float32}
    given = {
        one.name: torch.zeros(one.shape, dtype=kinds[one.kind])
        for one in bindings(TOY, SHAPE, 2)
        if one.name in ("query_cos", "query_sin", "key_cos", "key_sin", "attend", "write_index")
    }
    place = fill(given, Ring(SHAPE), 1, entry=1)
    assert given["write_index"].tolist() == [0, place.write_index] == [0, 18]
    assert not given["attend"][0].any()
    assert given["attend"][1].tolist() == [True] * 36 + [False] * 18
    assert not given["key_cos"][0].any()
    cos, sin = tables(place.positions, SHAPE, TOY.head_dim)
    assert torch.equal(given["key_cos"][1], cos)
    assert torch.equal(given["key_sin"][1], sin)
    assert torch.equal(given["query_cos"][1], cos[18:36])
    assert torch.equal(given["query_sin"][1], sin[18:36])
    fill(given, Ring(SHAPE), 4)
    assert given["write_index"].unique().tolist() == [Ring(SHAPE).place(4).write_index]
    assert given["attend"].all()
    assert torch.equal(given["key_cos"][0], given["key_cos"][1])
