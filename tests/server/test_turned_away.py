"""Turned away: said to the operator with the setting that does it, once a minute at most."""

from __future__ import annotations

import pytest

from server.turned_away import LOG_EVERY_S, TurnedAway


def test_it_is_said_once_a_minute_with_how_many_were(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1_000.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    turned_away = TurnedAway("viewers", "max_viewers", 50)
    for _ in range(3):
        turned_away.one_more()
    now_s += LOG_EVERY_S
    turned_away.one_more()
    first, second = [record.getMessage() for record in caplog.records]
    assert "max_viewers: 50" in first
    assert "1 asked for one more" in first
    assert "3 asked for one more" in second
