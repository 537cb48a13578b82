"""Places: as many as there are, come back in time, and none while the server goes down."""

from __future__ import annotations

import asyncio
import time

import pytest

from server.errors import CapacityError
from server.places import LEAVING_WAIT_S, Place, Places


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


async def test_who_finds_none_free_gets_that_of_who_stood_still_for_longest() -> None:
    places = Places(3, gives_way_s=60)
    asked: list[str] = []
    for name, stood_s in (("moves", 0.0), ("long", 300.0), ("longer", 301.0)):
        place = await places.take()
        place.stood_s = lambda stood_s=stood_s: stood_s  # type: ignore[misc]

        def make_way(place: Place = place, name: str = name) -> None:
            asked.append(name)
            place.leaving = lambda: True
            asyncio.get_running_loop().call_later(0.05, place.give_back)

        place.make_way = make_way
    await places.take()
    assert asked == ["longer"]
    await places.take()
    assert asked == ["longer", "long"]
    with pytest.raises(CapacityError):
        await places.take()
    assert asked == ["longer", "long"], "who moves makes way for nobody"


async def test_two_who_wait_ask_two_to_make_way() -> None:
    places = Places(2, gives_way_s=60)
    for _ in range(2):
        place = await places.take()
        place.stood_s = lambda: 300.0

        def make_way(place: Place = place) -> None:
            place.leaving = lambda: True
            asyncio.get_running_loop().call_later(0.05, place.give_back)

        place.make_way = make_way
    await asyncio.gather(places.take(), places.take())
    assert len(places) == 2


async def test_of_the_last_places_nobody_gets_more_than_a_share() -> None:
    refused: list[str] = []
    places = Places(8, refused.append, most_each=3)
    office = [await places.take("203.0.113.7") for _ in range(6)]
    with pytest.raises(CapacityError, match="max_sessions_each: 3") as full:
        await places.take("203.0.113.7")
    assert full.value.retry_after_s > 0
    assert "trusted_proxies" in full.value.remedy
    assert refused == ["share"]
    await places.take("203.0.113.8")
    await places.take("203.0.113.9")
    office[0].give_back()
    with pytest.raises(CapacityError, match="max_sessions_each"):
        await places.take("203.0.113.7")
    await places.take("203.0.113.8")
    assert places.full


async def test_a_whole_ipv6_network_is_one_and_who_sits_here_is_not_counted() -> None:
    places = Places(4, most_each=3)
    for host in range(3):
        await places.take(f"2001:db8::{host}")
    with pytest.raises(CapacityError, match="2001:db8::/64"):
        await places.take("2001:db8::ffff")
    await places.take("2001:db8:0:1::1")
    for own in ("127.0.0.1", "::1", "::ffff:127.0.0.1", ""):
        places = Places(4, most_each=3)
        for _ in range(4):
            await places.take(own)
        assert places.full


@pytest.mark.parametrize(
    ("most", "most_each", "gets"), [(1, 3, 1), (2, 3, 1), (3, 3, 2), (4, 0, 4), (4, 9, 3)]
)
async def test_also_of_few_places_one_address_never_gets_all(most: int, most_each: int, gets: int) -> None:
    places = Places(most, most_each=most_each)
    for _ in range(gets):
        await places.take("203.0.113.7")
    with pytest.raises(CapacityError):
        await places.take("203.0.113.7")
    assert places.full == (gets == most)


async def test_who_has_a_share_gets_the_place_that_they_leave_and_nobody_elses() -> None:
    places = Places(4, most_each=3, gives_way_s=60)
    other = await places.take("203.0.113.8")
    other.stood_s, asked = (lambda: 300.0), []
    other.make_way = lambda: asked.append("other")
    mine = [await places.take("203.0.113.7") for _ in range(3)]
    with pytest.raises(CapacityError, match="max_sessions_each"):
        await places.take("203.0.113.7")
    mine[0].leaving = lambda: True
    asyncio.get_running_loop().call_later(0.1, mine[0].give_back)
    await places.take("203.0.113.7")
    assert asked == []
