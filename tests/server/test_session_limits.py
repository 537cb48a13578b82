"""When sessions end by themselves: nobody keeps a place for ever by pausing, nobody loses it who is there."""

from __future__ import annotations

import asyncio

import pytest
from visitor import serving, until

from server.config import Config
from server.session_limits import SessionTimes, due
from server.session_parts import SessionState

CONFIG = Config(connect_timeout_s=10, idle_s=30, paused_s=1_800)


@pytest.mark.parametrize(
    ("state", "times", "code"),
    [
        (SessionState.CONNECTING, SessionTimes(10.5, 0, 0), ""),
        (SessionState.CONNECTING, SessionTimes(11.5, 0, 0), "peer-lost"),
        (SessionState.CONNECTING, SessionTimes(5, 31, 0), ""),
        (SessionState.OPEN, SessionTimes(90_000, 29, 0), ""),
        (SessionState.OPEN, SessionTimes(100, 31, 0), "idle"),
        (SessionState.OPEN, SessionTimes(90_000, 0, 1_799), ""),
        (SessionState.OPEN, SessionTimes(90_000, 0, 1_801), "paused"),
    ],
)
def test_what_is_due_at_which_time(state: SessionState, times: SessionTimes, code: str) -> None:
    end = due(state, times, CONFIG)
    assert (end[0] if end else "") == code
    assert end is None or code == "peer-lost" or "connect again" in end[1]


def test_what_is_0_is_without_an_end() -> None:
    config = Config(paused_s=0, max_session_s=0)
    assert due(SessionState.OPEN, SessionTimes(1e8, 0, 1e8), config) is None
    ended = due(SessionState.OPEN, SessionTimes(61, 0, 0), Config(max_session_s=60))
    assert ended is not None
    assert ended[0] == "max-time"


async def test_a_paused_session_in_which_nothing_is_done_ends_and_says_so() -> None:
    async with serving(paused_s=1.0) as served:
        idle, busy = await served.visitor().connect(), await served.visitor().connect()
        await until(lambda: idle.pictures > 2 and busy.pictures > 2)
        idle.say(type="pause")
        busy.say(type="pause")
        for revision in range(1, 60):
            busy.edit(revision)
            idle.say(type="ping", t=revision)  # nobody's hand
            await asyncio.sleep(0.1)
            if idle.heard("error", code="paused"):
                break
        assert "connect again" in (await idle.hears("error", code="paused"))["message"]
        await until(lambda: len(served.state.sessions) == 1)
        assert not busy.heard("error")
        busy.say(type="resume")
        before = busy.pictures
        await until(lambda: busy.pictures > before + 20, what="who goes on keeps the place")
        assert not busy.heard("error")


async def test_who_waits_for_a_place_gets_that_of_who_stands_still() -> None:
    async with serving(max_sessions=2, gives_way_s=0.5) as served:
        still, live = await served.visitor().connect(), await served.visitor().connect()
        await until(lambda: still.pictures > 2 and live.pictures > 2)
        assert (await served.visitor().offer()).status == 503, "nobody stands still"
        still.say(type="pause")
        await until(lambda: max(each.stood_s() for each in served.state.sessions.all()) > 0.6)
        third = await served.visitor().connect()
        assert "another visitor" in (await still.hears("error", code="paused"))["message"]
        await until(lambda: third.pictures > 2)
        before = live.pictures
        await until(lambda: live.pictures > before + 5)
        assert len(served.state.sessions) == 2
