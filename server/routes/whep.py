"""/whep/{stream}: players watch the edited stream (draft-ietf-wish-whep).

Answers are never counter-offers (406): a player that does not take what the stream is encoded in is told so
by 422. The event and layer extensions are not offered; `/streams/{stream}/events` says more than they would.
"""

from __future__ import annotations

from aiohttp import web

from gpu.errors import RelensError
from server.routes import rtc
from server.routes.route import SDP, Answer, Route
from server.routes.rtc_table import OPENED, alike
from server.state import STATE
from server.streams.access import token_of
from server.streams.whep import WhepViewer


async def watch_by_whep(request: web.Request) -> web.StreamResponse:
    state = request.app[STATE]
    try:
        rtc.let_in(request)
        stream = rtc.stream_of(request)
        access = state.streams.access
        access.view(stream, token_of(request), access.address_of(request))
        if (there := rtc.elsewhere(request, stream)) is not None:
            return there
        offer = await rtc.offer_of(request)
        state.places.admit()
        stream.check_live()
        viewer = WhepViewer(stream, rtc.peer_settings(request))
        return await rtc.answered(request, viewer, lambda: viewer.watch(offer))
    except RelensError as error:
        return rtc.refused(request, error)


async def look_at_whep(request: web.Request) -> web.StreamResponse:
    """Nothing to see, but of which kind an offer is to be."""
    try:
        rtc.stream_of(request)
    except rtc.NoStream as error:
        return rtc.refused(request, error)
    return web.Response(status=200, content_type=SDP)


ROUTES = (
    Route(
        "POST", "/whep/{stream}", watch_by_whep, "Watch a stream with an SDP offer (WHEP)", OPENED,
        (rtc.NAME, rtc.KEY), SDP, (400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    ),
    Route(
        "GET", "/whep/{stream}", look_at_whep, "Nothing (reserved)",
        (Answer(200, "Nothing, as what is to be posted", SDP),), (rtc.NAME,), "", (404,),
    ),
    *alike("/whep", WhepViewer, "Stop watching", "Ended; nothing of it is left"),
)  # fmt: skip
