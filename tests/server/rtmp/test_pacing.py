"""How fast one connection is heard."""

from __future__ import annotations

from server.rtmp.pacing import Pacing


def test_a_burst_is_heard_at_once_and_what_comes_after_waits() -> None:
    pacing = Pacing(rate_bytes=1000, rate_messages=100, burst_s=2.0)
    assert pacing.spend(1000, 0, 10.0) == 0
    assert pacing.spend(0, 100, 10.0) == 0
    assert pacing.spend(500, 50, 10.0) == 1.0
    assert pacing.spend(0, 0, 11.0) == 0


def test_time_that_was_not_used_is_not_saved_up() -> None:
    pacing = Pacing(1000, 100, 1.0)
    pacing.spend(10, 0, 0.0)
    assert pacing.spend(3000, 0, 1000.0) == 2.0
