"""/whip/{stream}: OBS and other WHIP clients publish to a stream (RFC 9725)."""

from __future__ import annotations

from aiohttp import web

from gpu.errors import RelensError
from server.routes import rtc
from server.routes.route import SDP, Answer, Parameter, Route
from server.routes.rtc_table import OPENED, alike
from server.state import STATE
from server.streams.access import token_of
from server.streams.whip import SILENT_S, Caller, WhipPublisher

YES = ("1", "true", "yes")


async def publish_by_whip(request: web.Request) -> web.StreamResponse:
    streams = request.app[STATE].streams
    try:
        rtc.let_in(request)
        stream = rtc.stream_of(request)
        caller = Caller(streams.access.address_of(request), request.headers.get("User-Agent", ""))
        streams.access.publish(stream, token_of(request), caller.address)
        if (there := rtc.elsewhere(request, stream)) is not None:
            return there
        offer = await rtc.offer_of(request)
        before = stream.publisher
        silent = isinstance(before, WhipPublisher) and before.silent_s > SILENT_S
        takeover = silent or request.query.get("takeover", "").lower() in YES
        stream.check_free(takeover)
        publisher = WhipPublisher(stream, rtc.peer_settings(request), caller)
        return await rtc.answered(request, publisher, lambda: publisher.publish(offer, takeover))
    except RelensError as error:
        return rtc.refused(request, error)


async def look_at_whip(request: web.Request) -> web.StreamResponse:
    """There is nothing to see (RFC 9725 §4.2)."""
    try:
        rtc.stream_of(request)
    except rtc.NoStream as error:
        return rtc.refused(request, error)
    return web.Response(status=204)


ROUTES = (
    Route(
        "POST", "/whip/{stream}", publish_by_whip, "Publish to a stream with an SDP offer (WHIP)", OPENED,
        (
            rtc.NAME, rtc.KEY,
            Parameter("takeover", "1: in the place of who publishes now, whose viewers stay"),
        ),
        SDP, (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503),
    ),
    Route(
        "GET", "/whip/{stream}", look_at_whip, "Nothing (RFC 9725 reserves it)",
        (Answer(204, "Nothing"),), (rtc.NAME,), "", (404,),
    ),
    *alike("/whip", WhipPublisher, "Stop publishing", "Ended; the stream's viewers are kept for a moment"),
)  # fmt: skip
