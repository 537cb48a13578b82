"""What reports say: one instant is one NTP time in both streams, however packets leave."""

from __future__ import annotations

import time

import pytest

from server.peer.send_clock import NTP_EPOCH_S, SendClock


def media_at(reading: tuple[int, int] | None, hz: int, ntp_s: float) -> float:
    """What time of the media a receiver takes this NTP time for."""
    assert reading is not None
    return reading[1] / hz + ntp_s - reading[0] / (1 << 32)


def test_before_anything_left_there_is_nothing_to_report() -> None:
    assert SendClock().read(90_000) is None


def test_both_streams_say_the_same() -> None:
    clock = SendClock()
    clock.left(100.0)
    clock.left(99.95)  # sound of an earlier time, or a late picture
    ntp_s = time.time() + NTP_EPOCH_S
    video, audio = clock.read(90_000), clock.read(48_000)
    assert media_at(video, 90_000, ntp_s) == pytest.approx(media_at(audio, 48_000, ntp_s), abs=1e-4)
    assert media_at(video, 90_000, ntp_s) == pytest.approx(100.0, abs=0.5)


def test_a_jump_is_followed_and_lateness_is_not() -> None:
    clock = SendClock()
    clock.left(100.0)
    ntp_s = time.time() + NTP_EPOCH_S
    clock.left(99.0)
    assert media_at(clock.read(48_000), 48_000, ntp_s) == pytest.approx(100.0, abs=0.5)
    clock.left(50.0)
    assert media_at(clock.read(48_000), 48_000, ntp_s) == pytest.approx(50.0, abs=0.5)


def test_timestamps_wrap() -> None:
    clock = SendClock()
    clock.left((1 << 32) / 90_000 + 1.0)
    reading = clock.read(90_000)
    assert reading is not None
    assert 90_000 <= reading[1] < 180_000
