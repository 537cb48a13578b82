"""What WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) have in common: offers, answers, sessions.

A session's URL is its only secret: it is too long to be guessed, and whoever has it may trickle candidates,
restart ICE and end the session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from multidict import CIMultiDict

from gpu.errors import RelensError
from server.config import Config
from server.errors import CapacityError, NotLive, PeerLost
from server.peer import IceServer, PeerConfig
from server.problem import problem, problem_of
from server.routes.route import SDP, SDP_FRAGMENT, Parameter
from server.routes.sessions import body_of, etag_of
from server.session_parts import peer_config
from server.state import STATE
from server.streams.guesses import counted
from server.streams.rtc_session import RtcSession
from server.streams.stream import Stream

ANSWER_WITHIN_S = 7.0  # OBS gives up after 8 s
RETRY_AFTER_S = 5
NAME = Parameter("stream", "The stream's name", where="path", required=True)
KEY = Parameter("key", "The key, for who cannot send it as a bearer token")


class NoStream(RelensError):
    """There is none of this name."""


def let_in(request: web.Request) -> None:
    """Raises TooMany."""
    state = request.app[STATE]
    state.rtc.let_in(counted(state.streams.access.address_of(request)))


def stream_of(request: web.Request) -> Stream:
    """Raises NoStream."""
    stream = request.app[STATE].streams.get(request.match_info["stream"])
    if stream is None:
        raise NoStream(f"there is no stream {request.match_info['stream'][:63]!r}: GET /streams lists them")
    return stream


def elsewhere(request: web.Request, stream: Stream) -> web.Response | None:
    """307 to the server that has the stream, where another has it; RFC 9725 §4.5 allows no other code."""
    base = stream.settings.redirect
    if not base:
        return None
    return web.Response(status=307, headers={"Location": base.rstrip("/") + request.path_qs})


def refused(request: web.Request, error: RelensError) -> web.Response:
    if not isinstance(error, NotLive):  # players ask every other second
        request.app[STATE].metrics.error(type(error).__name__)
    if isinstance(error, NoStream):
        return problem(404, "gone", "No such stream", str(error), "Ask the operator for its URL.")
    if isinstance(error, PeerLost):
        return problem(409, "taken", "Another one was faster", str(error), "Publish again.")
    return problem_of(error)


async def offer_of(request: web.Request) -> str:
    """Raises ProtocolError and what aiohttp answers by itself: 408, 413, 415."""
    offer = await body_of(request, SDP)
    most = PeerConfig().max_sdp_bytes
    if len(offer) > most:
        raise web.HTTPRequestEntityTooLarge(most, len(offer))
    return offer


def peer_settings(request: web.Request) -> PeerConfig:
    return peer_config(request.app[STATE].config)


async def answered(
    request: web.Request, session: RtcSession, opening: Callable[[], Awaitable[str]]
) -> web.Response:
    """201 with what `opening` answers. Raises as that does, and CapacityError where it takes too long; the
    session is ended then."""
    state = request.app[STATE]
    rtc = state.rtc
    rtc.add(session, counted(state.streams.access.address_of(request)))
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await opening()
    except TimeoutError as error:
        session.end("refused", f"it did not open within {ANSWER_WITHIN_S:g} s")
        raise CapacityError(
            f"the stream did not open within {ANSWER_WITHIN_S:g} s, its model may be loading: try again",
            RETRY_AFTER_S,
        ) from error
    except BaseException as error:
        session.end("refused", str(error) or "the request was cut short")
        raise
    session.etag = etag_of(answer)
    headers = CIMultiDict(Location=f"{request.path}/{session.id}", ETag=session.etag)
    for link in ice_links(request.app[STATE].config):
        headers.add("Link", link)
    return web.Response(status=201, body=answer.encode(), content_type=SDP, headers=headers)


def ice_links(config: Config) -> list[str]:
    """STUN and TURN servers for the other side, one a Link header (RFC 9725 §4.6)."""
    return [_link(url, server) for server in config.ice_servers for url in server.urls]


def _link(url: str, server: IceServer) -> str:
    link = f'<{url}>; rel="ice-server"'
    if url.startswith("turn"):
        secrets = {"username": server.username, "credential": server.credential}
        for name, value in secrets.items():
            quoted = (value or "").replace("\\", "\\\\").replace('"', '\\"')
            link += f'; {name}="{quoted}"'
        link += '; credential-type="password"'
    return link


async def patched(request: web.Request, kind: type[RtcSession]) -> web.Response:
    """Candidates: 204. Another ufrag and pwd: ICE is restarted, 200 with our side of it."""
    let_in(request)
    found = request.match_info
    session = request.app[STATE].rtc.get(found["stream"], found["session"], kind)
    if session is None:
        return _gone()
    refusal = _mismatch(request.headers.get("If-Match"), session.etag)
    if refusal is not None:
        return refusal
    ours = await session.patch(await body_of(request, SDP_FRAGMENT))
    if ours is None:
        return web.Response(status=204)
    session.etag = etag_of(ours)
    return web.Response(body=ours.encode(), content_type=SDP_FRAGMENT, headers={"ETag": session.etag})


def _mismatch(wanted: str | None, etag: str) -> web.Response | None:
    """The refusal of an If-Match that is missing or old."""
    if wanted is None:
        return problem(
            428,
            "precondition",
            "If-Match is missing",
            "candidates belong to one ICE generation",
            "Send the newest ETag as If-Match, or * to restart ICE.",
        )
    if wanted.strip() != "*" and etag not in [tag.strip() for tag in wanted.split(",")]:
        return problem(
            412,
            "precondition",
            "ICE was restarted since",
            "If-Match is not the newest ETag",
            "Send the candidates of the newest generation with its ETag.",
        )
    return None


async def ended(request: web.Request, kind: type[RtcSession]) -> web.Response:
    """200 once nothing is left of it; If-Match is not looked at (RFC 9725 §4.3.1)."""
    let_in(request)
    found = request.match_info
    if await request.app[STATE].rtc.delete(found["stream"], found["session"], kind):
        return web.Response(status=200)
    return _gone()


def looked_at(request: web.Request, kind: type[RtcSession]) -> web.Response:
    """204 for one that is there: it has nothing to show (RFC 9725 §4.2)."""
    found = request.match_info
    session = request.app[STATE].rtc.get(found["stream"], found["session"], kind)
    return web.Response(status=204) if session is not None else _gone()


def preflighted(request: web.Request) -> web.Response:
    """No key is asked for, and no TURN credentials are given away."""
    return web.Response(status=200, headers={"Accept-Post": SDP})


def _gone() -> web.Response:
    return problem(404, "gone", "No such session", "it has ended, or never was", "POST an offer anew.")
