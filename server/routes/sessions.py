"""/sessions: offer, candidates, new offer, end (after RFC 9725), and what is open now."""

from __future__ import annotations

import asyncio
import hashlib
import math

import msgspec
from aiohttp import web

from gpu.errors import RelensError
from gpu.film.timeline import Timeline, write_timeline
from gpu.types import Edit
from server import protocol
from server.api import SessionList
from server.errors import ProtocolError
from server.kept.session_log import edits_at
from server.problem import problem, problem_of
from server.routes.route import JSON, SDP, SDP_FRAGMENT, Answer, Parameter, Route
from server.session import Session
from server.session_stats import SessionFacts
from server.state import STATE

BODY_TIMEOUT_S = 10.0
ID = Parameter("session", "The session, from Location", where="path", required=True)


async def open_session(request: web.Request) -> web.Response:
    state = request.app[STATE]
    try:
        offer = await body_of(request, SDP)
        first = first_edit(request)
        address = state.streams.access.address_of(request)
        session, answer = await state.sessions.open(
            offer, request.query.get("model", ""), first, address=address
        )
    except RelensError as error:
        state.metrics.error(type(error).__name__)
        return problem_of(error)
    session.etag = etag_of(answer)
    headers = {"Location": f"/sessions/{session.id}", "ETag": session.etag}
    return web.Response(status=201, body=answer.encode(), content_type=SDP, headers=headers)


async def reoffer(request: web.Request) -> web.Response:
    session = _session(request)
    if session is None:
        return _gone()
    try:
        answer = await session.reoffer(await body_of(request, SDP))
    except RelensError as error:
        return problem_of(error)
    session.etag = etag_of(answer)
    return web.Response(body=answer.encode(), content_type=SDP, headers={"ETag": session.etag})


async def trickle(request: web.Request) -> web.Response:
    session = _session(request)
    if session is None:
        return _gone()
    wanted = request.headers.get("If-Match")
    if wanted is None:
        return problem(
            428,
            "precondition",
            "If-Match is missing",
            "candidates belong to one offer",
            "Send the ETag of the answer as If-Match.",
        )
    if wanted != "*" and session.etag not in [tag.strip() for tag in wanted.split(",")]:
        return problem(
            412,
            "precondition",
            "Another offer is in force",
            "If-Match is not the ETag of the newest answer",
            "Send the candidates of the newest offer with its ETag.",
        )
    try:
        await session.add_candidates(await body_of(request, SDP_FRAGMENT))
    except RelensError as error:
        return problem_of(error)
    return web.Response(status=204)


async def end_session(request: web.Request) -> web.Response:
    session = _session(request)
    if session is None:
        return _gone()
    await session.end("deleted", "the client ended it")
    return web.Response(status=200)


async def show_session(request: web.Request) -> web.Response:
    session = _session(request)
    if session is None:
        return _gone()
    return _json(session.facts(), {"ETag": session.etag})


async def list_sessions(request: web.Request) -> web.Response:
    state = request.app[STATE]
    return _json(
        SessionList(
            sessions=[session.facts() for session in state.sessions.all()],
            max_sessions=state.config.max_sessions,
            draining=state.sessions.draining,
        )
    )


async def session_timeline(request: web.Request) -> web.Response:
    """Of a session that is open or was: its edits over time, as `relens edit --timeline` takes them."""
    state, session_id = request.app[STATE], request.match_info["session"]
    try:
        if (kept := state.kept) is None:
            raise state.keeping.missing("timelines")
        await state.session_log.flush()
        session = await kept.run(kept.sessions.get, session_id)
        edits = edits_at(await kept.run(kept.sessions.edits, session_id))
    except RelensError as error:
        return problem_of(error)
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": 'attachment; filename="session.json"',
    }
    return web.Response(body=write_timeline(edits, session.model), content_type=JSON, headers=headers)


def etag_of(answer: str) -> str:
    """Names the ICE session of an answer: its user fragment changes with each restart (RFC 8445 §9)."""
    lines = [line for line in answer.splitlines() if line.startswith(("a=ice-ufrag:", "o="))]
    return f'"{hashlib.sha256("".join(lines).encode()).hexdigest()[:16]}"'


def _session(request: web.Request) -> Session | None:
    return request.app[STATE].sessions.get(request.match_info["session"])


def first_edit(request: web.Request) -> Edit | None:
    prompt = request.query.get("prompt")
    if prompt is None:
        return None
    if len(prompt) > protocol.MAX_PROMPT_CHARS:
        raise ProtocolError(
            f"prompt has {len(prompt)} characters; at most {protocol.MAX_PROMPT_CHARS} are taken"
        )
    try:
        strength = float(request.query.get("strength", "1"))
    except ValueError:
        strength = math.nan
    if not 0 <= strength <= 1:
        raise ProtocolError(f"strength is {request.query['strength'][:20]!r}: give a number from 0 to 1")
    return Edit(revision=0, prompt=prompt, strength=strength, transition_ms=0)


async def body_of(request: web.Request, content_type: str) -> str:
    if request.content_type != content_type:
        raise web.HTTPUnsupportedMediaType(
            text=f"Content-Type must be {content_type}, not {request.content_type}"
        )
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return (await request.read()).decode("utf-8")
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text=f"the body did not come within {BODY_TIMEOUT_S:.0f} s") from error
    except UnicodeDecodeError as error:
        raise ProtocolError("the body is not UTF-8 text") from error


def _gone() -> web.Response:
    return problem(
        404, "gone", "No such session", "it has ended, or never was", "POST /sessions opens a new one."
    )


def _json(body: msgspec.Struct, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body),
        content_type=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


ROUTES = (
    Route(
        "POST",
        "/sessions",
        open_session,
        "Open a session with an SDP offer",
        (Answer(201, "The SDP answer; Location is the session", SDP, headers=("Location", "ETag")),),
        (
            Parameter("model", "The model; without it the server's default"),
            Parameter("prompt", "The first edit, in force from the first frame (revision 0)"),
            Parameter("strength", "Its strength, 0 to 1", kind="number"),
        ),
        SDP,
        (400, 403, 413, 415, 500, 503),
    ),
    Route(
        "GET",
        "/sessions",
        list_sessions,
        "What is open now",
        (Answer(200, "All sessions, without their addresses", JSON, SessionList),),
    ),
    Route(
        "POST",
        "/sessions/{session}",
        reoffer,
        "A new offer for an open session (ICE restart)",
        (Answer(200, "The SDP answer", SDP, headers=("ETag",)),),
        (ID,),
        SDP,
        (400, 403, 404, 413, 415),
    ),
    Route(
        "PATCH",
        "/sessions/{session}",
        trickle,
        "Candidates found after the offer (RFC 8840)",
        (Answer(204, "Taken"),),
        (ID, Parameter("If-Match", "The ETag of the newest answer", where="header", required=True)),
        SDP_FRAGMENT,
        (400, 403, 404, 412, 413, 415, 428),
    ),
    Route(
        "DELETE",
        "/sessions/{session}",
        end_session,
        "End a session",
        (Answer(200, "Ended; nothing of it is left"),),
        (ID,),
        "",
        (403, 404),
    ),
    Route(
        "GET",
        "/sessions/{session}",
        show_session,
        "One session",
        (Answer(200, "What is true of it now", JSON, SessionFacts, ("ETag",)),),
        (ID,),
        "",
        (404,),
    ),
    Route(
        "GET",
        "/sessions/{session}/timeline",
        session_timeline,
        "The edits of a session over time, to render it again",
        (Answer(200, "For `relens edit --timeline` and POST /edit-video", JSON, Timeline),),
        (ID,),
        "",
        (404, 503),
    ),
)
