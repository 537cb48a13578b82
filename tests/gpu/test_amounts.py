"""How much is seen of each edit, and more or less of that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.amounts import BACK, LEAST, Mix, all_moved, laid_over, moved, one_moved
from gpu.types import Change, Part

MORE, LESS, MOST = Change(1 / 0.65), Change(0.65), Change(0.0, 1.0)
NIGHT, RAIN = Part("night", 0.85), Part("rain", 0.55)
BOTH = Mix((NIGHT, RAIN), 1.0)
_SHARE = st.integers(1, 100).map(lambda percent: percent / 100)


def amounts(mix: Mix) -> tuple[float, ...]:
    return (*(part.amount for part in mix.parts), mix.strength)


@pytest.mark.parametrize(("value", "change", "wanted"), [
    (0.5, MORE, 0.77), (0.9, MORE, 1.0), (0.5, LESS, 0.33), (0.11, LESS, LEAST), (0.05, LESS, 0.05),
    (0.02, Change(1.1), LEAST), (0.0, MORE, BACK), (0.5, Change(0.0, 0.3), 0.3),
    (0.5, Change(1.0, -0.9), LEAST),
])  # fmt: skip
def test_one_value(value: float, change: Change, wanted: float) -> None:
    assert moved(value, change) == wanted


def test_more_raises_the_strength_and_then_the_parts_in_their_proportions() -> None:
    weak = Mix((NIGHT, RAIN), 0.5)
    assert amounts(all_moved(weak, MORE)) == (0.85, 0.55, 0.77)
    assert amounts(all_moved(BOTH, MORE)) == (1.0, 0.65, 1.0)
    assert amounts(all_moved(all_moved(BOTH, MORE), MORE)) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("strength", [0.0, 0.28, 1.0])
def test_the_most_keeps_proportions(strength: float) -> None:
    most = all_moved(Mix((NIGHT, RAIN), strength), MOST)
    assert amounts(most) == (1.0, 0.65, 1.0)
    assert all_moved(most, MOST) == most


def test_more_of_one_raises_the_strength_where_that_is_in_its_way() -> None:
    after = one_moved(Mix((NIGHT, RAIN), 0.28), "night", MORE)
    assert amounts(after) == (1.0, 0.42, 0.37)


def test_less_of_one_leaves_the_strength() -> None:
    assert amounts(one_moved(BOTH, "rain", LESS)) == (0.85, 0.36, 1.0)
    assert amounts(one_moved(Mix((NIGHT, RAIN), 0.5), "night", LESS)) == (0.56, 0.55, 0.5)


def test_of_nothing_more_of_one_brings_all_back() -> None:
    assert amounts(one_moved(Mix((NIGHT, RAIN), 0.0), "rain", MORE)) == (0.85, 0.55, BACK)


@given(_SHARE, _SHARE, _SHARE, st.sampled_from([MORE, LESS, Change(1 / 0.4), Change(0.0, 0.5)]))
def test_the_others_are_seen_as_before(night: float, rain: float, strength: float, change: Change) -> None:
    before = Mix((Part("night", night), Part("rain", rain)), strength)
    after = one_moved(before, "night", change)
    assert 0 < after.strength <= 1
    assert after.seen(after.parts[0]) == pytest.approx(moved(night * strength, change), abs=0.011)
    assert after.seen(after.parts[1]) == pytest.approx(rain * strength, abs=0.011)


def test_of_one_thing_in_one_place_the_newer_is_laid_over() -> None:
    behind = Part("rain", 0.2, "background")
    beside = laid_over([NIGHT, RAIN, behind], [Part("rain", 0.4)], Change(adds=True))
    assert beside == [NIGHT, behind, Part("rain", 0.4)]
    added = laid_over([NIGHT, RAIN], [Part("rain", 0.4)], Change(1 / 0.65, adds=True))
    assert added == [NIGHT, Part("rain", 0.85)]
