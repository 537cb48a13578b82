"""Wrong keys, counted by address and by what they were for: who tries many is not heard for a while.

Guesses at one stream cost an address that stream alone, at many all of them. The same wrong key again is no
new guess: an encoder that comes back with it every other second shuts out nobody who shows the right one.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict, deque

from server.errors import TooMany

MOST_WRONG, WINDOW_S = 10, 60.0
MOST_WRONG_IN_ALL = 50  # of one address, whatever they were for
MOST_COUNTED = 4096  # the one that was wrong longest ago is forgotten first


class Guesses:
    """Loop thread only. `at`: the stream that a key was shown for; "": the server's own."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(
            16
        )  # what is held of a wrong key, that may be right elsewhere, is no use
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

    def count(self, address: str, at: str, token: str) -> None:
        """`token` was wrong."""
        of, now_s = counted(address), time.monotonic()
        mark = hashlib.blake2b(token.encode(errors="surrogatepass"), key=self._salt, digest_size=16).digest()
        self._here.count(f"{of} {at}", mark, now_s)
        self._in_all.count(of, mark, now_s)


class _Wrong:
    """When keys were wrong and which, by who showed them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._shown: OrderedDict[str, deque[tuple[float, bytes]]] = OrderedDict()

    def wait_s(self, of: str, now_s: float) -> float:
        """Until it is heard again; 0: it is."""
        shown = self._shown.get(of)
        while shown and now_s - shown[0][0] > WINDOW_S:
            shown.popleft()
        return WINDOW_S - (now_s - shown[0][0]) if shown and len(shown) >= self.most else 0.0

    def count(self, of: str, mark: bytes, now_s: float) -> None:
        shown = self._shown.setdefault(of, deque(maxlen=self.most))
        if not any(mark == known for _, known in shown):
            shown.append((now_s, mark))
        self._shown.move_to_end(of)
        while len(self._shown) > MOST_COUNTED:
            self._shown.popitem(last=False)


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
