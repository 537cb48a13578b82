"""A chunk's pictures leave as far apart as they came."""

from __future__ import annotations

from gpu.spread import MOST_GAP_NS, due_ns

MS = 1_000_000


def test_the_first_at_once_and_the_others_at_their_distance() -> None:
    assert due_ns([9000, 12_600, 16_200, 19_800], 7 * MS) == [7 * MS, 47 * MS, 87 * MS, 127 * MS]
    assert due_ns([9000], 7 * MS) == [7 * MS]
    assert due_ns([], 7) == []


def test_a_source_that_stood_still_or_went_back_holds_nothing_up() -> None:
    assert due_ns([0, 90_000_000, 90_003_600], 0) == [0, MOST_GAP_NS, MOST_GAP_NS + 40 * MS]
    assert due_ns([9000, 0, 3600], 5) == [5, 5, 5 + 40 * MS]
