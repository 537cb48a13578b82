"""Waits between tries: 1, 2, 4 ... 60 s, less a little chance; anew after a minute that went well."""

from __future__ import annotations

from server.backoff import Backoff


def backoff(chance: float = 1.0) -> Backoff:
    return Backoff(1.0, 60.0, 60.0, lambda least, most: least + (most - least) * chance)


def test_waits_double_up_to_a_minute() -> None:
    one = backoff()
    assert [one.failed(0.0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert one.failures == 8
    for _ in range(2000):
        assert one.failed(0.0) == 60


def test_a_good_minute_counts_as_a_new_begin() -> None:
    one = backoff()
    for _ in range(5):
        one.failed(30.0)
    assert one.failed(59.0) == 32
    assert one.failed(60.0) == 1
    assert one.failures == 1


def test_who_was_refused_waits_longest() -> None:
    assert backoff().failed(0.0, refused=True) == 60


def test_chance_takes_up_to_a_quarter() -> None:
    assert backoff(0.0).failed(0.0) == 0.75
    assert all(0.75 <= Backoff(1.0, 60.0, 60.0).failed(0.0) <= 1.0 for _ in range(50))
