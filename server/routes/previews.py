"""A film or a job watched live: a session whose pictures come from a file. Sought in by the data channel."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
from aiohttp import web

from gpu.errors import RelensError
from gpu.film.play import FilmPlayer
from gpu.film.render import resolved
from gpu.film.timeline import Step, Timeline, steps_of
from server.errors import CapacityError, ProtocolError
from server.kept.errors import Refused
from server.kept.types import Video
from server.problem import problem_of
from server.routes.route import SDP, Answer, Parameter, Route
from server.routes.sessions import body_of, etag_of, first_edit
from server.routes.videos import ID as VIDEO
from server.routes.videos import films
from server.state import STATE
from server.uploads.films import Films

MOST_OPENING = 8
RETRY_AFTER_S = 5
JOB = Parameter("job", "The job, from Location", where="path", required=True)
AT = Parameter("at", "Where it begins, in seconds", kind="number")


async def preview_video(request: web.Request) -> web.Response:
    try:
        held = films(request)
        video = await held.kept.run(held.kept.videos.get, request.match_info["video"])
        return await _open(request, held, video, request.query.get("model", ""), ())
    except RelensError as error:
        return _refused(request, error)


async def preview_job(request: web.Request) -> web.Response:
    """Edited as the job says, until the visitor asks for something else."""
    try:
        held, state = films(request), request.app[STATE]
        job = await held.kept.run(held.kept.jobs.get, request.match_info["job"])
        video = await held.kept.run(held.kept.videos.get, job.video_id)
        model = (await state.workers.get(job.model)).model
        timeline = steps_of(msgspec.convert(job.timeline, Timeline))
        steps = await held.players.run(resolved, model, timeline)  # a text encoder may take its time
        return await _open(request, held, video, job.model, steps)
    except RelensError as error:
        return _refused(request, error)


async def _open(
    request: web.Request, held: Films, video: Video, model: str, steps: tuple[Step, ...]
) -> web.Response:
    state = request.app[STATE]
    offer = await body_of(request, SDP)
    first, at_s = first_edit(request), _at(request)
    if video.state != "ready" or video.blob_key is None:
        why = f": {video.problem}" if video.problem else ""
        raise Refused(f"the film is {video.state} and cannot be shown{why}")
    path: Path = await held.kept.run(held.kept.blobs.open_local, video.blob_key, timeout_s=None)
    await held.kept.run(held.kept.videos.touch, video.id)
    film = await _player(held, path, at_s, steps)
    address = state.streams.access.address_of(request)
    session, answer = await state.sessions.open(offer, model, first, film, address)  # closes the film, too
    session.etag = etag_of(answer)
    headers = {"Location": f"/sessions/{session.id}", "ETag": session.etag}
    return web.Response(status=201, body=answer.encode(), content_type=SDP, headers=headers)


async def _player(held: Films, path: Path, at_s: float, steps: tuple[Step, ...]) -> FilmPlayer:
    """Open, and its child ended where we are not heard any more. Raises FilmError, CapacityError."""
    made: list[FilmPlayer] = []
    if held.opening >= MOST_OPENING:
        raise CapacityError("many films are being opened just now: try again in a moment", RETRY_AFTER_S)
    held.opening += 1
    try:
        await held.players.run(lambda: made.append(FilmPlayer(path, at_s, steps)))
    except BaseException:
        for film in made:
            film.close()
        raise
    finally:
        held.opening -= 1
    return made[0]


def _at(request: web.Request) -> float:
    text = request.query.get("at", "0")
    try:
        at_s = float(text)
    except ValueError:
        at_s = math.nan
    if not 0 <= at_s < 1e7:
        raise ProtocolError(f"at is {text[:20]!r}: seconds from 0")
    return at_s


def _refused(request: web.Request, error: RelensError) -> web.Response:
    request.app[STATE].metrics.error(type(error).__name__)
    return problem_of(error)


_ANSWER = (Answer(201, "The SDP answer; Location is the session", SDP, headers=("Location", "ETag")),)
_PROBLEMS = (400, 403, 404, 409, 413, 415, 422, 500, 503)

ROUTES = (
    Route(
        "POST", "/videos/{video}/preview", preview_video, "Watch a film being edited, from any place",
        _ANSWER,
        (
            VIDEO, AT,
            Parameter("model", "The model; without it the server's default"),
            Parameter("prompt", "The first edit, in force from the first frame (revision 0)"),
            Parameter("strength", "Its strength, 0 to 1", kind="number"),
        ),
        SDP, _PROBLEMS,
    ),
    Route(
        "POST", "/jobs/{job}/preview", preview_job, "Watch a film edited as a job says",
        _ANSWER, (JOB, AT), SDP, _PROBLEMS,
    ),
)  # fmt: skip
