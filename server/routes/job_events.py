"""/jobs/{job}/events: how far a job is, as it goes, by server-sent events (HTML §9.2)."""

from __future__ import annotations

import asyncio
import time

import msgspec
from aiohttp import web

from gpu.errors import RelensError
from server.jobs.runner import Runner
from server.jobs.view import JobDetails
from server.kept.errors import NotKept, Unavailable
from server.kept.types import OVER
from server.listeners import Place
from server.routes.jobs import ID, job_of, refused, runner
from server.routes.route import Answer, Route
from server.state import STATE

EVENT_S, COMMENT_S = 1.0, 15.0
SSE = "text/event-stream"


async def events(request: web.Request) -> web.StreamResponse:
    """`progress` as often as something changed, `end` at last. The server ends it when it goes down."""
    try:
        jobs, _ = runner(request)
        job_id = job_of(request)
        details = await jobs.views.details(job_id)
        access = request.app[STATE].streams.access
        is_known = access.is_operator(request)
        place = jobs.listeners.take(access.address_of(request), f"GET /jobs/{job_id}", is_known=is_known)
    except RelensError as error:
        return refused(request, error)
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = SSE
    response.charset = "utf-8"
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await response.write(b"retry: 2000\n\n")
        await _tell(request, response, jobs, details, place)
        await response.write_eof()
    except (ConnectionError, TimeoutError, NotKept):
        response.force_close()
    finally:
        jobs.listeners.give_back(place)
    return response


async def _tell(
    request: web.Request, out: web.StreamResponse, jobs: Runner, details: JobDetails, place: Place
) -> None:
    said, said_s, number = b"", time.monotonic(), 0
    while True:
        data = msgspec.json.encode(details)
        over = details.status in OVER
        if data != said or over:
            number += 1
            said, said_s = data, time.monotonic()
            kind = b"end" if over else b"progress"
            await _write(out, b"event: %s\nid: %d\ndata: %s\n\n" % (kind, number, data))
        elif time.monotonic() - said_s > COMMENT_S:
            said_s = time.monotonic()
            await _write(out, b": still here\n\n")
        if over or place.gone or request.app[STATE].sessions.draining or jobs.closing:
            return
        await asyncio.sleep(EVENT_S)
        try:
            details = await jobs.views.details(details.id)
        except Unavailable as error:  # the database restarts: the listener stays
            await _write(out, f": {' '.join(error.told.split())}\n\n".encode())


async def _write(out: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(COMMENT_S * 2):
        await out.write(data)


ROUTES = (
    Route(
        "GET", "/jobs/{job}/events", events, "How far a job is, as it goes (server-sent events)",
        (Answer(200, "Events `progress`, and `end` at last; data: a JobDetails as JSON", SSE),),
        (ID,), "", (404, 503),
    ),
)  # fmt: skip
