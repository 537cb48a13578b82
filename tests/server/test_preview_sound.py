"""A preview's sound between the film's thread and the loop: what was due before a jump is not heard."""

from __future__ import annotations

import asyncio
import threading
import time

from visitor import until

from server.peer import EncodedAudio
from server.preview_sound import PreviewSound

BLOCK = bytes(960 * 4)


async def test_what_was_due_before_it_was_hushed_is_not_heard() -> None:
    got: list[EncodedAudio] = []
    sound = PreviewSound(got.append, lambda _: None)
    for n in range(5):
        sound.hear(BLOCK, n * 960, time.monotonic_ns())
    sound.hush()
    sound.hear(BLOCK, 96_000, time.monotonic_ns())
    await until(lambda: got)
    await asyncio.sleep(0.05)
    assert [packet.pts + 312 for packet in got] == [96_000]
    assert sound.dropped == 0
    sound.close()


async def test_silence_is_told_once_on_the_loop_and_not_after_the_end() -> None:
    said: list[tuple[str, threading.Thread]] = []
    sound = PreviewSound(lambda _: None, lambda why: said.append((why, threading.current_thread())))
    await asyncio.to_thread(sound.fall_silent, "broken")
    await until(lambda: said)
    assert said == [("broken", threading.main_thread())]
    sound.close()
    await asyncio.to_thread(sound.fall_silent, "again")
    sound.hear(BLOCK, 0, time.monotonic_ns())
    await asyncio.sleep(0.05)
    assert len(said) == 1
