"""How many HTTP connections one address may hold open at once. Knows no requests.

A connection costs a file and some memory before it has asked for anything, and asks for nothing if it likes.
One by TLS is counted before its handshake, see handshakes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from aiohttp import web

from server.streams.guesses import counted

log = logging.getLogger(__name__)

MOST_EACH = 512  # a house behind one router: pages, phones, players and docks
_LOG_EVERY_S = 60.0


class Door:
    """Loop thread only."""

    def __init__(self, trusts: Callable[[str], bool], most_each: int = MOST_EACH) -> None:
        """`trusts`: whether an address is a proxy's, which calls for many."""
        self._trusts, self._most_each = trusts, most_each
        self._open: dict[object, str] = {}
        self._of: Counter[str] = Counter()
        self._logged_s = -_LOG_EVERY_S

    def watch(self, server: web.Server) -> None:
        """From now on. Before it listens."""
        made, lost = server.connection_made, server.connection_lost

        def connection_made(handler: web.RequestHandler, transport: asyncio.Transport) -> None:
            made(handler, transport)
            peer = transport.get_extra_info("peername")
            if not self.came(handler, str(peer[0]) if peer else ""):
                transport.abort()

        def connection_lost(handler: web.RequestHandler, exc: BaseException | None = None) -> None:
            self.left(handler)
            lost(handler, exc)

        vars(server).update(connection_made=connection_made, connection_lost=connection_lost)

    def came(self, who: object, address: str) -> bool:
        """One more is there; False: it is one too many, hang up. Who is counted is not again."""
        if who in self._open or not address or self._trusts(address):
            return True
        of = counted(address)
        if self._of[of] >= self._most_each:
            self._say(of)
            return False
        self._open[who] = of
        self._of[of] += 1
        return True

    def left(self, who: object) -> None:
        """Idempotent."""
        of = self._open.pop(who, None)
        if of is None:
            return
        self._of[of] -= 1
        if not self._of[of]:  # who is gone is not remembered
            del self._of[of]

    def _say(self, of: str) -> None:
        now_s = time.monotonic()
        if now_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = now_s
            log.warning(
                "%s holds %d HTTP connections, all that one address may, and is hung up on: if that is a "
                "proxy, name it in trusted_proxies",
                of,
                self._most_each,
            )
