"""Places of those who listen to jobs: no address takes all."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from server.errors import CapacityError
from server.jobs.listeners import Listeners

INSTEAD = "GET /jobs/j"


def fill(listeners: Listeners, address: str) -> tuple[ExitStack, int]:
    """Until it is refused; and how many were not."""
    held = ExitStack()
    for number in range(1000):
        try:
            listeners.check(address, INSTEAD)
        except CapacityError:
            return held, number
        held.enter_context(listeners.one(address))
    raise AssertionError("never refused")


@pytest.mark.parametrize(("most", "each"), [(200, 50), (40, 10), (20, 8)])
def test_one_address_holds_a_quarter_at_least_eight(most: int, each: int) -> None:
    listeners = Listeners(most)
    held, number = fill(listeners, "203.0.113.9")
    assert number == len(listeners) == each
    listeners.check("203.0.113.10", INSTEAD)
    held.close()
    listeners.check("203.0.113.9", INSTEAD)
    assert len(listeners) == 0


def test_all_addresses_together_hold_no_more_than_there_is() -> None:
    listeners = Listeners(20)
    taken = [fill(listeners, f"203.0.113.{host}") for host in range(4)]
    assert [number for _, number in taken] == [8, 8, 4, 0]
    with pytest.raises(CapacityError, match="20 listen already: ask GET /jobs/j"):
        listeners.check("203.0.113.9", INSTEAD)


def test_the_address_is_named_a_network_of_ipv6_is_one() -> None:
    listeners = Listeners(20)
    held, _ = fill(listeners, "2001:db8::1")
    with held:
        with pytest.raises(CapacityError, match=r"8 listen already from 2001:db8::/64.*GET /jobs/j.*proxies"):
            listeners.check("2001:db8::2", INSTEAD)
        listeners.check("2001:db8:1::1", INSTEAD)
