"""The delay line for audio: it follows the video, keeps the order, and drops only over its bound."""

from __future__ import annotations

import asyncio
import time

import pytest
from visitor import until

from server.audio_delay import MAX_DELAY_S, MAX_PACKETS, AudioDelay
from server.peer import EncodedAudio


def packet(i: int) -> EncodedAudio:
    return EncodedAudio(b"opus", i * 960, time.monotonic_ns())


async def test_without_a_measured_delay_packets_pass_at_once() -> None:
    sent: list[EncodedAudio] = []
    line = AudioDelay(sent.append)
    for i in range(3):
        line.push(packet(i))
    assert [p.pts for p in sent] == [0, 960, 1920]


async def test_packets_come_out_in_order_no_earlier_than_the_video_takes() -> None:
    sent: list[tuple[int, int]] = []
    line = AudioDelay(lambda p: sent.append((p.pts, time.monotonic_ns() - p.arrived_ns)))
    for _ in range(200):
        line.video_latency(0.1)
    assert line.delay_s == pytest.approx(0.1, rel=0.01)
    for i in range(20):
        line.push(packet(i))
        await asyncio.sleep(0.005)
    await until(lambda: len(sent) == 20)
    assert [pts for pts, _ in sent] == [i * 960 for i in range(20)]
    assert min(held_ns for _, held_ns in sent) >= 0.097e9
    assert line.dropped == 0


async def test_delay_is_bounded_and_rises_faster_than_it_falls() -> None:
    line = AudioDelay(lambda _: None)
    for _ in range(500):
        line.video_latency(30.0)
    assert line.delay_s <= MAX_DELAY_S
    up = AudioDelay(lambda _: None)
    up.video_latency(0.1)
    rose = up.delay_s
    up.video_latency(0.0)
    assert 0 < rose - up.delay_s < rose


async def test_over_the_bound_the_oldest_go() -> None:
    sent: list[EncodedAudio] = []
    line = AudioDelay(sent.append)
    for _ in range(500):
        line.video_latency(1.0)
    for i in range(MAX_PACKETS + 10):
        line.push(packet(i))
    assert line.dropped == 10
    line.clear()
    await asyncio.sleep(0.02)
    assert sent == []
