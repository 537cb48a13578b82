"""Places: as many as there are, come back in time, and none while the server goes down."""

from __future__ import annotations

import asyncio
import time

import pytest

from server.errors import CapacityError
from server.places import LEAVING_WAIT_S, Places


async def test_there_are_as_many_as_there_are() -> None:
    refused: list[str] = []
    places = Places(2, refused.append)
    one = await places.take()
    assert not places.full
    await places.take()
    assert places.full
    with pytest.raises(CapacityError, match="max_sessions: 2") as full:
        await places.take()
    assert (full.value.code, refused) == ("capacity", ["capacity"])
    one.give_back()
    one.give_back()
    assert len(places) == 1
    await places.take()
    assert places.full


async def test_the_log_names_the_setting_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    places = Places(1)
    await places.take()
    for _ in range(3):
        with pytest.raises(CapacityError):
            await places.take()
    [said] = [record.getMessage() for record in caplog.records]
    assert "max_sessions: 1" in said
    assert "raise max_sessions" in said


async def test_a_place_that_is_being_left_is_waited_for() -> None:
    places = Places(1)
    leaver = await places.take()
    leaver.leaving = lambda: True
    asyncio.get_running_loop().call_later(0.1, leaver.give_back)
    await places.take()


async def test_of_many_who_wait_for_one_place_one_gets_it() -> None:
    places = Places(1)
    leaver = await places.take()
    leaver.leaving = lambda: True
    asyncio.get_running_loop().call_later(0.1, leaver.give_back)
    came = await asyncio.gather(*(places.take() for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, CapacityError) for one in came) == 4
    assert len(places) == 1


async def test_nobody_waits_for_ever_for_who_does_not_leave() -> None:
    places = Places(1)
    (await places.take()).leaving = lambda: True
    began_s = time.monotonic()
    with pytest.raises(CapacityError):
        await places.take()
    assert time.monotonic() - began_s < LEAVING_WAIT_S + 5


async def test_a_server_that_goes_down_lets_nobody_in() -> None:
    refused: list[str] = []
    places = Places(2, refused.append)
    await places.take()
    places.draining = True
    with pytest.raises(CapacityError) as going:
        await places.take()
    assert (going.value.code, refused) == ("going-away", ["going-away"])
