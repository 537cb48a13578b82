"""Wrong keys, counted by address and by what they were for: who tries many is not heard for a while.

A key mistyped at one stream costs its address that stream alone; guesses at many cost it all of them.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque

from server.errors import TooMany

MOST_WRONG, WINDOW_S = 10, 60.0
MOST_WRONG_IN_ALL = 50  # of one address, whatever they were for
MOST_COUNTED = 4096  # the one that was wrong longest ago is forgotten first


class Guesses:
    """Loop thread only. `at`: the stream that a key was shown for; "": the server's own."""

    def __init__(self) -> None:
        self._here = _Wrong(MOST_WRONG)
        self._in_all = _Wrong(MOST_WRONG_IN_ALL)

    def check(self, address: str, at: str) -> None:
        """Raises TooMany, whatever key comes now: who guesses must not learn that one was right."""
        of, now_s = counted(address), time.monotonic()
        for wrong, where in ((self._here, f"{of} {at}"), (self._in_all, of)):
            wait_s = wrong.wait_s(where, now_s)
            if wait_s > 0:
                raise TooMany(
                    f"{wrong.most} wrong keys came from this address within a minute: try again later",
                    int(wait_s) + 1,
                )

    def count(self, address: str, at: str) -> None:
        """One was wrong."""
        of, now_s = counted(address), time.monotonic()
        self._here.count(f"{of} {at}", now_s)
        self._in_all.count(of, now_s)


class _Wrong:
    """When keys were wrong, by who showed them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, of: str, now_s: float) -> float:
        """Until it is heard again; 0: it is."""
        times = self._times.get(of)
        while times and now_s - times[0] > WINDOW_S:
            times.popleft()
        return WINDOW_S - (now_s - times[0]) if times and len(times) >= self.most else 0.0

    def count(self, of: str, now_s: float) -> None:
        self._times.setdefault(of, deque(maxlen=self.most)).append(now_s)
        self._times.move_to_end(of)
        while len(self._times) > MOST_COUNTED:
            self._times.popitem(last=False)


def counted(address: str) -> str:
    """One for a whole IPv6 network: a single host has all of its addresses."""
    found = ip_of(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found) if found is not None else address


def ip_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for what is no IP address, such as a Unix socket's; an IPv4 one however it is written."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
