"""The sound of targets: taken once however many there are, and silence where none comes."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from server.push.sound import TargetSound
from server.sound.types import AacFrame
from tests.server.push.feeds import LiveFeed


async def heard(sound: TargetSound, frames: list[AacFrame], count: int) -> None:
    async with asyncio.timeout(10):
        while len(frames) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    sound.close()


async def test_pictures_without_sound_get_silence() -> None:
    frames: list[AacFrame] = []
    sound = TargetSound(frames.append)
    for number in range(75):
        sound.video(900_000 + number * 3600)
        await asyncio.sleep(0.005)
    await heard(sound, frames, 120)
    times = [frame.pts_48k for frame in frames]
    assert all(b - a == 1024 for a, b in pairwise(times))
    assert abs(times[0] - 480_000) <= 24_000 + 2048


async def test_packets_that_several_targets_hand_in_are_taken_once() -> None:
    feed = LiveFeed()
    packets = [packet for number in range(100) for packet in feed._beep(number)]
    frames: list[AacFrame] = []
    sound = TargetSound(frames.append)
    for packet in packets:
        for _target in range(3):
            sound.audio(packet)
        await asyncio.sleep(0.002)
    await heard(sound, frames, 85)
    times = [frame.pts_48k for frame in frames]
    assert all(b - a == 1024 for a, b in pairwise(times))
    assert len(frames) <= len(packets) * 960 // 1024 + 1
