"""TLS before HTTP: who shakes hands is counted at the door, and has only so long. Knows no requests.

Left to asyncio, a connection is seen by nobody until its handshake is over, and has a minute for that.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence

from aiohttp import web

from server.door import Door

log = logging.getLogger(__name__)

HANDSHAKE_S = 10.0  # two round trips on the slowest network, and a busy machine
GOODBYE_S = 5.0  # for the other side to say that it heard the end
BACKLOG = 128
AGAIN_S = 1.0  # where none can be accepted: there are no files left, those of others end


class Handshakes:
    """Loop thread only."""

    def __init__(
        self, door: Door, server: web.Server, context: ssl.SSLContext, handshake_s: float = HANDSHAKE_S
    ) -> None:
        """`server` gets who has shaken hands; `door` watches it."""
        self._door, self._server, self._context = door, server, context
        self._handshake_s = handshake_s
        self._listening: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._going_on: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._going_on)

    async def listen(self, host: str, port: int) -> int:
        """At all addresses of `host`; 0 takes a free port. Returns it. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, address in dict.fromkeys((family, address) for family, *_, address in found):
                self._listening.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
                self._listening[-1].setblocking(False)
        except OSError:
            await self.close()
            raise
        self._accepting = [
            loop.create_task(self._accept(here), name="accept-tls") for here in self._listening
        ]
        return int(self._listening[0].getsockname()[1])

    async def close(self) -> None:
        """Nobody is let in any more, and handshakes that go on are ended. Those who are in stay."""
        await _ended(self._accepting)
        await asyncio.sleep(0)  # who was accepted last has begun: what never began would close nothing
        for here in self._listening:
            here.close()
        await _ended(tuple(self._going_on))

    async def _accept(self, here: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                raw, address = await loop.sock_accept(here)
            except OSError as error:
                log.warning("no connection can be accepted (%s): again in a moment", error.strerror or error)
                await asyncio.sleep(AGAIN_S)
                continue
            handler = self._server()
            if not self._door.came(handler, str(address[0])):
                raw.close()
                continue
            shaking = loop.create_task(self._shake(raw, handler), name="handshake")
            self._going_on.add(shaking)
            shaking.add_done_callback(self._going_on.discard)

    async def _shake(self, raw: socket.socket, handler: web.RequestHandler) -> None:
        try:
            async with asyncio.timeout(self._handshake_s):
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: handler, raw, ssl=self._context, ssl_shutdown_timeout=GOODBYE_S
                )
        except OSError as error:  # no TLS, none of our versions, gone, or too slow: of interest to nobody
            log.debug("a handshake failed: %r", error)
        finally:
            if handler.transport is None:  # it is not in; of who is, the server says when they leave
                self._door.left(handler)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
