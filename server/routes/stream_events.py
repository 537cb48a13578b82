"""/streams/{stream}/events: how a stream fares, as it goes, by server-sent events (HTML §9.2).

A listener that reads slowly hears less, never later: each event says what is true when it is written.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from aiohttp import web

from gpu.errors import RelensError
from server import protocol
from server.listeners import Place
from server.routes.route import Answer, Route
from server.routes.streams import KEY, NAME, refused, sight_of, stream_of
from server.state import STATE, ServerState
from server.streams.sight import Sight, seen
from server.streams.stream import Stream

EVENT_S = 1.0  # `facts` at least as often
GAP_S = 0.05  # and at most as often, whatever changes
WRITE_S = 15.0  # a listener that takes nothing for so long is gone
SSE = "text/event-stream"


async def follow_stream(request: web.Request) -> web.StreamResponse:
    """`facts` each second and at changes, `applied` when an edit is seen; ended with the stream."""
    try:
        stream = stream_of(request)
        sight = sight_of(request, stream)
        streams = request.app[STATE].streams
        place = streams.listeners.take(
            streams.access.address_of(request),
            f"GET /streams/{stream.name}",
            is_known=sight in ("operator", "publisher"),
        )
    except RelensError as error:
        return refused(request, error)
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type, response.charset = SSE, "utf-8"
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await Listener(request.app[STATE], stream, sight, response, place).tell()
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        response.force_close()
    finally:
        streams.listeners.give_back(place)
    return response


class Listener:
    """One who listens to one stream, and sees of it what the key opened that was shown."""

    def __init__(
        self, state: ServerState, stream: Stream, sight: Sight, out: web.StreamResponse, place: Place
    ) -> None:
        self._state, self._stream, self._sight, self._out = state, stream, sight, out
        self._place = place
        self._keys = keys_of(stream)
        self._number = 0
        self._applied = stream.edit_facts().applied
        self._changed = asyncio.Event()

    async def tell(self) -> None:
        """Until the stream is deleted or the server goes down, another has its place, or other keys open it:
        whoever comes back is judged by those. Raises ConnectionError, TimeoutError."""
        leave = self._stream.subscribe(lambda _: self._changed.set())
        try:
            await self._write(b"retry: 2000\n\n")
            while self._state.streams.get(self._stream.name) is self._stream and self._still_opened():
                self._changed.clear()
                await self._say_applied()
                await self._say(b"facts", seen(self._stream.facts(), self._sight))
                if self._state.places.draining or self._place.gone:
                    return
                await asyncio.sleep(GAP_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVENT_S - GAP_S):
                        await self._changed.wait()
        finally:
            leave()

    def _still_opened(self) -> bool:
        return self._sight == "operator" or keys_of(self._stream) == self._keys

    async def _say_applied(self) -> None:
        if self._sight == "stranger":
            return
        applied = self._stream.edit_facts().applied
        if applied > self._applied:
            self._applied = applied
            pts = max(self._stream.applied_pts, 0) & 0xFFFF_FFFF
            await self._say(b"applied", protocol.Applied(revision=applied, pts=pts))

    async def _say(self, kind: bytes, body: msgspec.Struct) -> None:
        self._number += 1
        await self._write(
            b"event: %s\nid: %d\ndata: %s\n\n" % (kind, self._number, msgspec.json.encode(body))
        )

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await self._out.write(data)


def keys_of(stream: Stream) -> tuple[str, str]:
    return stream.settings.key, stream.settings.view_key


TOLD = (
    "Events `facts` (a StreamFacts, as far as the key that is shown opens it) and `applied`, their data "
    "JSON; ended when the stream's keys change"
)
ROUTES = (
    Route(
        "GET", "/streams/{stream}/events", follow_stream, "How a stream fares (server-sent events)",
        (Answer(200, TOLD, SSE),),
        (NAME, KEY), "", (404, 429, 503),
    ),
)  # fmt: skip
