"""The thread of a transcoder: in order, bounded, and gone when it is closed."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest
from sounds import settled

from server.sound.codec_thread import MAX_WAITING, CodecThread


async def test_results_come_in_order_on_the_loop() -> None:
    found: list[int] = []
    where: set[int] = set()

    def hear(number: int) -> None:
        found.append(number)
        where.add(threading.get_ident())

    line = CodecThread("test", lambda number: [number, -number], hear)
    for number in range(1, 20):
        line.push(number)
    await settled(lambda: len(found))
    line.close()
    assert found == [sign * number for number in range(1, 20) for sign in (1, -1)]
    assert where == {threading.get_ident()}


async def test_where_it_cannot_keep_up_the_newest_win() -> None:
    found: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def work(number: int) -> list[int]:
        begun.set()
        go_on.wait(10)
        return [number]

    line = CodecThread("test", work, found.append)
    line.push(0)
    await asyncio.to_thread(begun.wait, 10)
    for number in range(1, MAX_WAITING + 11):
        line.push(number)
    assert line.dropped == 10
    go_on.set()
    await settled(lambda: len(found))
    line.close()
    assert found == [0, *range(11, MAX_WAITING + 11)]


async def test_what_fails_is_counted_and_the_next_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    found: list[float] = []
    line = CodecThread("test", lambda number: [1 / number], found.append)
    for number in (1, 0, 0, 2):
        line.push(number)
    await settled(lambda: len(found) - 1)
    line.close()
    assert found == [1, 0.5]
    assert line.failed == 2
    assert len(caplog.records) == 1  # said once, not each time


async def test_closed_it_tells_nothing_and_ends() -> None:
    found: list[int] = []
    line = CodecThread("test", lambda number: [number], found.append)
    line.push(1)
    line.close()
    line.close()
    line.push(2)
    assert await asyncio.to_thread(line.join, 5)
    await asyncio.sleep(0.01)
    assert found == []


class Transcoder:
    """Holds its thread, which holds its work."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self.line = CodecThread("test", self.work, self.found.append)

    def work(self, number: int) -> list[int]:
        return [number]


async def test_whose_work_it_was_is_gone_once_it_is_closed() -> None:
    collected = gc.isenabled()
    gc.disable()  # libav's threads of resamplers that waited for it were many
    try:
        one = Transcoder()
        one.line.push(1)
        found = one.found
        await settled(lambda: len(found))
        one.line.close()
        gone, line = weakref.ref(one), one.line
        del one
        assert await asyncio.to_thread(line.join, 10)
        assert gone() is None
    finally:
        if collected:
            gc.enable()
