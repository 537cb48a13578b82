"""How many HTTP connections one address may hold open at once. Knows no requests.

A connection costs a file and some memory before it has asked for anything, and asks for nothing if it likes.
One by TLS is counted from its handshake on: asyncio ends those that do not shake hands after a minute.
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
            self._came(handler, transport)

        def connection_lost(handler: web.RequestHandler, exc: BaseException | None = None) -> None:
            self._left(handler)
            lost(handler, exc)

        vars(server).update(connection_made=connection_made, connection_lost=connection_lost)

    def _came(self, handler: object, transport: asyncio.Transport) -> None:
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        if not address or self._trusts(address):
            return
        of = counted(address)
        if self._of[of] >= self._most_each:
            transport.abort()
            self._say(of)
            return
        self._open[handler] = of
        self._of[of] += 1

    def _left(self, handler: object) -> None:
        of = self._open.pop(handler, None)
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
