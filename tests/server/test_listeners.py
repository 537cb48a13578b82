"""Places of those who listen: no address takes all, and no few of them do."""

from __future__ import annotations

import pytest

from server.errors import CapacityError
from server.listeners import Listeners, Place

INSTEAD = "GET /jobs/j"


def fill(listeners: Listeners, address: str) -> list[Place]:
    """Until it is refused."""
    taken: list[Place] = []
    for _ in range(1000):
        try:
            taken.append(listeners.take(address, INSTEAD))
        except CapacityError:
            return taken
    raise AssertionError("never refused")


@pytest.mark.parametrize(("most", "each"), [(200, 50), (40, 10), (20, 8)])
def test_one_address_holds_a_quarter_at_least_eight(most: int, each: int) -> None:
    listeners = Listeners(most)
    held = fill(listeners, "203.0.113.9")
    assert len(held) == len(listeners) == each
    listeners.take("203.0.113.10", INSTEAD)
    for place in held:
        listeners.give_back(place)
        listeners.give_back(place)
    assert len(listeners) == 1


def test_who_has_fewer_gets_the_oldest_place_of_who_has_most() -> None:
    listeners = Listeners(200)
    taken = [fill(listeners, f"203.0.113.{host}") for host in range(4)]
    assert [len(places) for places in taken] == [50, 50, 50, 50]
    late = fill(listeners, "198.51.100.1")
    assert len(late) == 40, "and no more: then all have as many"
    assert len(listeners) == 200
    for places in taken:
        assert [place.gone for place in places] == [True] * 10 + [False] * 40, "the oldest went"
    with pytest.raises(CapacityError, match="200 listen already: ask GET /jobs/j"):
        listeners.take("203.0.113.0", INSTEAD)
    assert not any(place.gone for place in late)


def test_where_each_has_one_nobody_is_put_out() -> None:
    listeners = Listeners(20)
    places = [listeners.take(f"203.0.113.{host}", INSTEAD) for host in range(20)]
    with pytest.raises(CapacityError, match="20 listen already: ask GET /jobs/j"):
        listeners.take("198.51.100.1", INSTEAD)
    assert not any(place.gone for place in places)
    listeners.give_back(places[0])
    listeners.take("198.51.100.1", INSTEAD)


def test_who_is_known_has_places_beyond_those_and_is_never_put_out() -> None:
    listeners = Listeners(20, kept_free=2)
    guests = [listeners.take(f"203.0.113.{host}", INSTEAD) for host in range(20)]
    known = [listeners.take("203.0.113.1", INSTEAD, is_known=True) for _ in range(2)]
    assert len(listeners) == 22
    with pytest.raises(CapacityError, match="22 listen already"):
        listeners.take("203.0.113.1", INSTEAD, is_known=True)
    listeners.give_back(guests[0])
    listeners.take("203.0.113.200", INSTEAD)
    assert not any(place.gone for place in known)
    for place in known:
        listeners.give_back(place)
    assert len(listeners) == 20


def test_all_together_are_never_more_than_there_are_places() -> None:
    listeners = Listeners(20, kept_free=2)
    for _ in range(22):
        listeners.take("203.0.113.1", INSTEAD, is_known=True)
    assert fill(listeners, "203.0.113.2") == []
    assert len(listeners) == 22


def test_the_address_is_named_a_network_of_ipv6_is_one() -> None:
    listeners = Listeners(20)
    held = fill(listeners, "2001:db8::1")
    assert len(held) == 8
    with pytest.raises(
        CapacityError, match=r"8 listen already from 2001:db8::/64.*GET /jobs/j.*proxies.*X-Forwarded-For"
    ):
        listeners.take("2001:db8::2", INSTEAD)
    listeners.take("2001:db8:1::1", INSTEAD)
