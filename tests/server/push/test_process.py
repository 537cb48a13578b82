"""Children are ended whoever waits for them, and what they say wrongly ends them."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
import uvloop

from server.push.connection import ENTRY
from server.push.process import MediaChild
from server.push.wire import Message, Say


async def started() -> tuple[MediaChild, list[Message], asyncio.Event]:
    said: list[Message] = []
    gone, ready = asyncio.Event(), asyncio.Event()

    def hear(message: Message) -> None:
        said.append(message)
        ready.set()

    child = MediaChild(hear, gone.set)
    await child.start(ENTRY)
    async with asyncio.timeout(30):
        await ready.wait()
    return child, said, gone


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_it_ends_by_itself_when_nothing_more_is_said() -> None:
    child, said, _ = await started()
    assert said[0].kind == Say.READY
    assert runs(child.pid)
    await child.finish(20.0)
    assert child.exit_words() == "exit code 0"
    assert not runs(child.pid)
    await child.end()  # idempotent


def test_it_is_spoken_to_under_uvloop_as_well() -> None:
    async def talk() -> None:
        child, said, gone = await started()
        assert said[0].kind == Say.READY
        assert child.waiting_bytes == 0
        os.kill(child.pid, 9)
        async with asyncio.timeout(20):
            await gone.wait()
        await child.finish(5.0)
        assert not runs(child.pid)
        other, _, _ = await started()
        await other.finish(20.0)
        assert other.exit_words() == "exit code 0"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())


async def test_one_that_nobody_waits_for_any_more_is_ended_all_the_same() -> None:
    child, _, _ = await started()
    os.kill(child.pid, 19)  # SIGSTOP: it hangs
    waiting = asyncio.ensure_future(child.finish(60.0))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert child.exit_words() == "signal 9"
    assert not runs(child.pid)


async def test_its_death_is_told_once() -> None:
    child, _, gone = await started()
    os.kill(child.pid, 9)
    async with asyncio.timeout(20):
        await gone.wait()
    child.send(b"nobody hears it")
    await child.end()
    assert child.exit_words() == "signal 9"


async def test_a_process_that_cannot_be_made_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    child = MediaChild(lambda message: None, lambda: None)
    with pytest.raises(OSError, match="nowhere"):
        await child.start(ENTRY)
    assert child.pid == 0
