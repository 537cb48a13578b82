"""The routes that WHIP and WHEP have alike: what an offer is posted to, and the sessions under it."""

from __future__ import annotations

from aiohttp import web

from server.routes import rtc
from server.routes.route import SDP, SDP_FRAGMENT, Answer, Parameter, Route
from server.streams.rtc_session import RtcSession

OPENED = (
    Answer(201, "The answer; Location is the session", SDP, headers=("Location", "ETag", "Link")),
    Answer(307, "Another server has this stream: ask there", headers=("Location",)),
)
_ID = Parameter("session", "The session, from Location", where="path", required=True)
_IF_MATCH = Parameter(
    "If-Match", "The newest ETag; `*` to restart ICE whatever came before", where="header", required=True
)


def alike(base: str, kind: type[RtcSession], end_is: str, ended_is: str) -> tuple[Route, ...]:
    """`base`: "/whip". `end_is` and `ended_is`: what DELETE is for, and what is true after it."""

    async def patch(request: web.Request) -> web.StreamResponse:
        return await rtc.patched(request, kind)

    async def end(request: web.Request) -> web.StreamResponse:
        return await rtc.ended(request, kind)

    async def look_at(request: web.Request) -> web.StreamResponse:
        return rtc.looked_at(request, kind)

    async def options_of(request: web.Request) -> web.StreamResponse:
        return rtc.preflighted(request)

    async def options(request: web.Request) -> web.StreamResponse:
        return rtc.preflighted(request)

    for handler in (patch, end, look_at, options_of):
        handler.__name__ += f"_{base[1:]}_session"  # as OpenAPI names it
    options.__name__ += f"_of_{base[1:]}"
    stream, session = f"{base}/{{stream}}", f"{base}/{{stream}}/{{session}}"
    return (
        Route(
            "OPTIONS", stream, options, "What may be posted here",
            (Answer(200, "Accept-Post names it", headers=("Accept-Post",)),), (rtc.NAME,),
        ),
        Route(
            "PATCH", session, patch, "Candidates found after the offer, or an ICE restart (RFC 8840)",
            (
                Answer(200, "ICE restarts: our side of it", SDP_FRAGMENT, headers=("ETag",)),
                Answer(204, "The candidates were taken"),
            ),
            (rtc.NAME, _ID, _IF_MATCH), SDP_FRAGMENT, (400, 403, 404, 412, 413, 415, 428, 429),
        ),
        Route(
            "DELETE", session, end, end_is, (Answer(200, ended_is),), (rtc.NAME, _ID), "", (403, 404, 429),
        ),
        Route(
            "GET", session, look_at, "Nothing (RFC 9725 reserves it)",
            (Answer(204, "Nothing"),), (rtc.NAME, _ID), "", (404,),
        ),
        Route(
            "OPTIONS", session, options_of, "What may be asked of a session",
            (Answer(200, "CORS", headers=("Accept-Post",)),), (rtc.NAME, _ID),
        ),
    )  # fmt: skip
