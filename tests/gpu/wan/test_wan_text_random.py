"""What stands in for a text encoder where nothing was trained."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gpu.wan.config import TOY  # noqa: E402
from gpu.wan.text_random import RandomTextEncoder  # noqa: E402


def test_words_decide() -> None:
    encoder = RandomTextEncoder(TOY)
    snow, rain = encoder.encode("Add  SNOW"), encoder.encode("add rain")
    assert snow.shape == (1, TOY.text_len, TOY.text_dim)
    assert snow.dtype is torch.float32
    assert torch.equal(snow, RandomTextEncoder(TOY).encode("add snow"))
    assert torch.equal(snow[0, 0], rain[0, 0])
    assert not torch.equal(snow[0, 1], rain[0, 1])
    assert torch.equal(snow[0, 2], rain[0, 2])
    assert not snow[0, 3:].any()
    assert not torch.equal(snow, RandomTextEncoder(TOY, seed=1).encode("add snow"))
    assert encoder.name.startswith("random")


def test_the_ends() -> None:
    encoder = RandomTextEncoder(TOY)
    assert encoder.encode("")[0].any(-1).sum() == 1
    assert encoder.encode("word " * 99)[0].any(-1).all()


def test_size_of_its_numbers() -> None:
    rows = RandomTextEncoder(TOY).encode(" ".join(map(str, range(31))))[0]
    assert abs(float(rows.mean())) < 0.1
    assert abs(float(rows.std()) - 1) < 0.05


def test_the_same_numbers_everywhere() -> None:
    """By hand: SHAKE-128 of "0:snow", two bytes a number, scaled."""
    expected = torch.tensor([-0.549406, 0.183576, -1.395663, 1.319018])
    torch.testing.assert_close(RandomTextEncoder(TOY).encode("snow")[0, 0, :4], expected, rtol=0, atol=1e-6)
