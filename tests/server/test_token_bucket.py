"""The token bucket, with a clock of its own."""

from __future__ import annotations

from server.rate import TokenBucket


def test_burst_then_rate() -> None:
    bucket = TokenBucket(rate=10, burst=3, now_s=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.09)
    assert bucket.take(0.2)


def test_saves_up_no_more_than_the_burst() -> None:
    bucket = TokenBucket(rate=10, burst=2, now_s=0)
    assert sum(bucket.take(1_000) for _ in range(50)) == 2
