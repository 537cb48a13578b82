"""/edit-video and /jobs: edits of whole films, how far they are, and their results."""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import quote

import msgspec
from aiohttp import web

from gpu.errors import RelensError
from server.errors import CapacityError, ProtocolError
from server.jobs.request import (
    EditVideo,
    NotUnderstood,
    check_size,
    check_understood,
    plain,
    read_request,
    timeline_of,
)
from server.jobs.runner import Runner
from server.jobs.tender import INIT, RESULT, SOUND
from server.jobs.view import JobBody, JobDetails, JobList, JobStarted
from server.kept.errors import NotKept, Refused
from server.kept.kept import Kept
from server.kept.keys import job_key
from server.kept.types import ACTIVE
from server.problem import problem, problem_of
from server.routes.ranges import send_blob
from server.routes.route import JSON, Answer, Parameter, Route
from server.routes.sessions import body_of
from server.state import STATE
from server.uploads.told import film_info

MOST_LISTED = 100
FEW_EDITS = 32  # are read in a moment
MOST_ACTIVE = 500  # queued or running; more are refused
MP4 = "video/mp4"
ID = Parameter("job", "The job, from POST /edit-video", where="path", required=True)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def runner(request: web.Request) -> tuple[Runner, Kept]:
    """Raises Unavailable while what they are kept in is away."""
    state = request.app[STATE]
    if state.jobs is None or state.kept is None:
        raise state.keeping.missing("renders")
    return state.jobs, state.kept


def job_of(request: web.Request) -> str:
    """The id in the path. Raises NotKept for what is none: not every database takes any text."""
    return checked("job", request.match_info["job"])


def checked(what: str, text: str) -> str:
    if not _ID.fullmatch(text):
        raise NotKept(f"there is no {what} {text[:40]!r}")
    return text


async def edit_video(request: web.Request) -> web.Response:
    try:
        jobs, kept = runner(request)
        asked = read_request((await body_of(request, JSON)).encode())
        key = _idempotency_key(request)
        video = await kept.run(kept.videos.get, checked("video", asked.video_id))
        if video.state != "ready" or video.info is None:
            why = f": {video.problem}" if video.problem else ", it can be edited once it is ready"
            raise Refused(f"the video is {video.state}{why}")
        workers = request.app[STATE].workers
        name = asked.model or (asked.timeline.model if asked.timeline else "") or workers.default
        model = (await workers.get(name)).model
        timeline = timeline_of(asked, model.spec.name)
        many = len(timeline.edits) > FEW_EDITS
        await workers.read(check_understood, model, timeline, many=many)
        check_size(model, film_info(video.info))
        if len(await kept.run(kept.jobs.list, MOST_ACTIVE, None, None, ACTIVE)) >= MOST_ACTIVE:
            raise CapacityError(f"{MOST_ACTIVE} jobs wait already: try again later", 60)
        job, _ = await kept.run(kept.jobs.create, video.id, model.spec.name, plain(timeline), key)
    except NotUnderstood as error:
        return problem(
            422, "instruction", "Not understood", str(error), "GET /models lists what each model can do."
        )
    except RelensError as error:
        return refused(request, error)
    jobs.nudge()
    body = JobStarted(job_id=job.id, status=job.state)
    return _json(body, {"Location": f"/jobs/{job.id}"}, 202)


async def list_jobs(request: web.Request) -> web.Response:
    try:
        jobs, kept = runner(request)
        before, video = request.query.get("before"), request.query.get("videoId")
        if video is not None:
            checked("video", video)
        found = await kept.run(kept.jobs.list, MOST_LISTED, _time(before) if before else None, video)
    except RelensError as error:
        return refused(request, error)
    return _json(JobList(jobs=[jobs.views.brief(job) for job in found]))


async def show_job(request: web.Request) -> web.Response:
    try:
        jobs, _ = runner(request)
        return _json(await jobs.views.details(job_of(request)))
    except RelensError as error:
        return refused(request, error)


async def retry_job(request: web.Request) -> web.Response:
    try:
        jobs, kept = runner(request)
        job = await kept.run(kept.jobs.retry, job_of(request))
    except RelensError as error:
        return refused(request, error)
    jobs.views.forget(job.id)
    jobs.nudge()
    return _json(JobStarted(job_id=job.id, status=job.state), {"Location": f"/jobs/{job.id}"}, 202)


async def cancel_job(request: web.Request) -> web.Response:
    """Cancelled, and kept for a retry; with `forget`, one that is over goes for good."""
    try:
        jobs, kept = runner(request)
        job_id = job_of(request)
        jobs.views.forget(job_id)
        if request.query.get("forget") in ("true", "1"):
            await kept.run(kept.jobs.delete, job_id)
            for name in (RESULT, INIT, SOUND):
                await kept.run(kept.blobs.delete, job_key(job_id, name))
            return web.Response(status=204)
        job = await kept.run(kept.jobs.cancel, job_id)
    except RelensError as error:
        return refused(request, error)
    jobs.cancel(job_id)
    jobs.nudge()
    return _json(jobs.views.brief(job))


async def result(request: web.Request) -> web.StreamResponse:
    try:
        _, kept = runner(request)
        job = await kept.run(kept.jobs.get, job_of(request))
        if job.state != "DONE" or job.result_key is None:
            raise Refused(f"the job is {job.state}: its result is there when it is DONE")
        video = await kept.run(kept.videos.get, job.video_id)
        headers = {
            "ETag": f'"{job.id}-{job.attempt}"',
            "Cache-Control": "private, max-age=3600",
            "Content-Disposition": disposition(video.name),
        }
        return await send_blob(request, kept, job.result_key, MP4, headers)
    except RelensError as error:
        return refused(request, error)


def disposition(name: str) -> str:
    """A name for the download (RFC 6266): the film's own, with what became of it."""
    stem = PurePath(name.replace("\\", "/")).stem[:120] or "film"
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", stem)
    exact = quote(f"{stem} edited.mp4", safe="")
    return f"attachment; filename=\"{plain} edited.mp4\"; filename*=UTF-8''{exact}"


def refused(request: web.Request, error: RelensError) -> web.Response:
    request.app[STATE].metrics.error(type(error).__name__)
    if isinstance(error, ProtocolError):
        return problem(400, "request", "Not a request we take", str(error))
    return problem_of(error)


def _idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise ProtocolError("Idempotency-Key must be 1 to 255 visible ASCII characters")
    return key


def _time(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ProtocolError(f"before is {text[:20]!r}: seconds since 1970") from error


def _json(body: msgspec.Struct, headers: dict[str, str] | None = None, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


ROUTES = (
    Route(
        "POST", "/edit-video", edit_video, "Edit a whole film by an instruction, or a timeline of them",
        (Answer(202, "It waits for its turn; Location is the job", JSON, JobStarted, ("Location",)),),
        (
            Parameter(
                "Idempotency-Key", "Sent again with the same request: the same job, not another",
                where="header",
            ),
        ),
        JSON, (400, 403, 404, 408, 409, 413, 415, 422, 500, 503, 507), EditVideo,
    ),
    Route(
        "GET", "/jobs", list_jobs, "Edits of films, newest first",
        (Answer(200, "At most 100", JSON, JobList),),
        (
            Parameter("videoId", "Only of this video"),
            Parameter("before", "Those created before (seconds since 1970): the next page", kind="number"),
        ),
        "", (400, 404, 503),
    ),
    Route(
        "GET", "/jobs/{job}", show_job, "A job: its edits, and how far it is",
        (Answer(200, "What is true of it now", JSON, JobDetails),), (ID,), "", (404, 503),
    ),
    Route(
        "POST", "/jobs/{job}/retry", retry_job, "Go on with a job that failed or was cancelled",
        (Answer(202, "It waits for its turn; what was rendered is used", JSON, JobStarted, ("Location",)),),
        (ID,), "", (403, 404, 409, 503),
    ),
    Route(
        "DELETE", "/jobs/{job}", cancel_job, "Cancel a job; it can be retried",
        (
            Answer(200, "It is cancelled", JSON, JobBody),
            Answer(204, "It and its result are deleted (forget)"),
        ),
        (ID, Parameter("forget", "Delete one that is over, and its result", kind="boolean")),
        "", (403, 404, 409, 503),
    ),
    Route(
        "GET", "/jobs/{job}/result", result, "The edited film",
        (
            Answer(200, "An MP4 with the film's sound", MP4, headers=("ETag", "Content-Disposition")),
            Answer(206, "The part asked for by Range", MP4, headers=("Content-Range",)),
            Answer(304, "It is what If-None-Match names"),
        ),
        (ID, Parameter("Range", "bytes=FROM-TO", where="header")), "", (404, 409, 416, 503),
    ),
)  # fmt: skip
