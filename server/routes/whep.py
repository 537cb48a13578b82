"""/whep/{stream}: players watch the edited stream (draft-ietf-wish-whep).

Answers are never counter-offers (406): a player that does not take what the stream is encoded in is told so
by 422. The event and layer extensions are not offered; `/streams/{stream}/events` says more than they would.
"""

from __future__ import annotations

from aiohttp import web

from gpu.errors import RelensError
from server.routes import rtc
from server.routes.route import SDP, SDP_FRAGMENT, Answer, Route
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


async def options_of_whep(request: web.Request) -> web.StreamResponse:
    return rtc.preflighted(request)


async def patch_viewer(request: web.Request) -> web.StreamResponse:
    return await rtc.patched(request, WhepViewer)


async def end_viewer(request: web.Request) -> web.StreamResponse:
    return await rtc.ended(request, WhepViewer)


async def look_at_viewer(request: web.Request) -> web.StreamResponse:
    return rtc.looked_at(request, WhepViewer)


async def options_of_viewer(request: web.Request) -> web.StreamResponse:
    return rtc.preflighted(request)


ROUTES = (
    Route(
        "POST",
        "/whep/{stream}",
        watch_by_whep,
        "Watch a stream with an SDP offer (WHEP)",
        (
            Answer(201, "The answer; Location is the session", SDP, headers=("Location", "ETag", "Link")),
            Answer(307, "Another server has this stream: ask there", headers=("Location",)),
        ),
        (rtc.NAME, rtc.KEY),
        SDP,
        (400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    ),
    Route(
        "GET",
        "/whep/{stream}",
        look_at_whep,
        "Nothing (reserved)",
        (Answer(200, "Nothing, as what is to be posted", SDP),),
        (rtc.NAME,),
        "",
        (404,),
    ),
    Route(
        "OPTIONS",
        "/whep/{stream}",
        options_of_whep,
        "What may be posted here",
        (Answer(200, "Accept-Post names it", headers=("Accept-Post",)),),
        (rtc.NAME,),
    ),
    Route(
        "PATCH",
        "/whep/{stream}/{session}",
        patch_viewer,
        "Candidates found after the offer, or an ICE restart (RFC 8840)",
        (
            Answer(200, "ICE restarts: our side of it", SDP_FRAGMENT, headers=("ETag",)),
            Answer(204, "The candidates were taken"),
        ),
        (rtc.NAME, rtc.ID, rtc.IF_MATCH),
        SDP_FRAGMENT,
        (400, 403, 404, 412, 413, 415, 428, 429),
    ),
    Route(
        "DELETE",
        "/whep/{stream}/{session}",
        end_viewer,
        "Stop watching",
        (Answer(200, "Ended; nothing of it is left"),),
        (rtc.NAME, rtc.ID),
        "",
        (403, 404, 429),
    ),
    Route(
        "GET",
        "/whep/{stream}/{session}",
        look_at_viewer,
        "Nothing (reserved)",
        (Answer(204, "Nothing"),),
        (rtc.NAME, rtc.ID),
        "",
        (404,),
    ),
    Route(
        "OPTIONS",
        "/whep/{stream}/{session}",
        options_of_viewer,
        "What may be asked of a session",
        (Answer(200, "CORS", headers=("Accept-Post",)),),
        (rtc.NAME, rtc.ID),
    ),
)
