"""A job's film while it is rendered, as HLS: playlists at once, each segment when it is there."""

from __future__ import annotations

import asyncio
import re
import time

from aiohttp import web

from gpu.errors import RelensError
from gpu.film.playlist import MEDIA_TYPE, master_playlist, playlist, sound_playlist
from gpu.film.rendition import Rendition, read_rendition
from gpu.film.segment import codec_string
from server.errors import CapacityError
from server.jobs.renderer import span_of
from server.jobs.runner import Runner
from server.jobs.tender import INIT, SOUND
from server.kept.errors import NotKept, Refused
from server.kept.kept import Kept
from server.kept.keys import job_key, work_blob
from server.kept.types import ACTIVE, Job, Segment
from server.problem import problem
from server.routes.jobs import ID, MP4, job_of, refused, runner
from server.routes.ranges import send_blob
from server.routes.route import Answer, Parameter, Route
from server.state import STATE
from server.uploads.told import film_info

WAIT_S = 8.0  # for a segment to be rendered, before the player is told to ask again
POLL_S = 0.2
WANT_AGAIN_S = 2.0
SEGMENT = "video/iso.segment"
_KEPT = {"Cache-Control": "private, max-age=86400, immutable"}  # what is rendered never changes
_NUMBER = re.compile(r"[0-9]{1,7}")
NUMBER = Parameter("number", "The segment's, from the playlist", where="path", required=True)


async def preview(request: web.Request) -> web.StreamResponse:
    """The playlist to open; it names one of the pictures, and one of the sound where there is any."""
    try:
        _, kept = runner(request)
        job = await _cut(kept, job_of(request))
        video = await kept.run(kept.videos.get, job.video_id)
        if video.info is None:
            raise Refused(f"the video is {video.state}")
        init = await kept.run(kept.blobs.get, job_key(job.id, INIT))
        sound = await kept.run(_rendition, kept, job.id)
        text = master_playlist(
            film_info(video.info), codec_string(init), "pictures.m3u8", sound, "sound.m3u8"
        )
    except RelensError as error:
        return refused(request, error)
    return _playlist(text)


async def pictures(request: web.Request) -> web.StreamResponse:
    try:
        _, kept = runner(request)
        job = await _cut(kept, job_of(request))
        segments = await kept.run(kept.segments.list, job.id)
        text = playlist(
            [span_of(each) for each in segments], lambda number: f"segments/{number}.m4s", "init.mp4"
        )
    except RelensError as error:
        return refused(request, error)
    return _playlist(text)


async def sound(request: web.Request) -> web.StreamResponse:
    try:
        _, kept = runner(request)
        job = await _cut(kept, job_of(request))
        found = await kept.run(_rendition, kept, job.id)
        if found is None:
            raise NotKept("the film has no sound")
    except RelensError as error:
        return refused(request, error)
    return _playlist(sound_playlist(found, "sound.mp4"))


async def init(request: web.Request) -> web.StreamResponse:
    return await _file(request, INIT)


async def sound_file(request: web.Request) -> web.StreamResponse:
    return await _file(request, SOUND)


async def segment(request: web.Request) -> web.StreamResponse:
    """Rendered before others where it is not there yet, and waited for a while."""
    number = request.match_info["number"]
    try:
        jobs, kept = runner(request)
        job_id = job_of(request)
        if not _NUMBER.fullmatch(number):
            raise NotKept(f"there is no segment {number[:20]!r}")
        found = await kept.run(kept.segments.get, job_id, int(number))
        if found.state != "DONE":
            found = await _rendered(request, jobs, kept, found)
        if found.state != "DONE":
            return problem(
                503, "rendering", "Not rendered yet", f"segment {number} is being rendered",
                "Ask again after Retry-After seconds.", {"Retry-After": "2"},
            )  # fmt: skip
        key = found.work_key or ""
        headers = {**_KEPT, "ETag": f'"{key[:32]}"'}
        try:
            return await send_blob(request, kept, work_blob(key), SEGMENT, headers)
        except NotKept:
            return await _lost(jobs, kept, found)
    except RelensError as error:
        return refused(request, error)


async def _rendered(request: web.Request, jobs: Runner, kept: Kept, segment: Segment) -> Segment:
    """The segment as it is when it is done, or WAIT_S later. Raises Refused where nobody renders it."""
    job = await kept.run(kept.jobs.get, segment.job_id)
    if job.state not in ACTIVE:
        raise Refused(f"segment {segment.index} was not rendered, the job is {job.state}: retry it")
    access = request.app[STATE].streams.access
    place = jobs.waiting.take(access.address_of(request), "again", is_known=access.is_operator(request))
    until_s, want_s = time.monotonic() + WAIT_S, 0.0
    try:
        while segment.state != "DONE" and time.monotonic() < until_s and not jobs.closing:
            if place.gone or request.transport is None:  # another has it, or the player went elsewhere
                break
            if time.monotonic() - want_s > WANT_AGAIN_S:
                want_s = time.monotonic()
                segment = await kept.run(kept.segments.want, segment.job_id, segment.index)
                jobs.nudge()
            else:
                segment = await kept.run(kept.segments.get, segment.job_id, segment.index)
            if segment.state != "DONE":
                await asyncio.sleep(POLL_S)
    finally:
        jobs.waiting.give_back(place)
    return segment


async def _lost(jobs: Runner, kept: Kept, segment: Segment) -> web.Response:
    """Its bytes were deleted: a job that runs renders it again."""
    job = await kept.run(kept.jobs.get, segment.job_id)
    if job.state not in ACTIVE:
        raise NotKept(f"segment {segment.index} is kept no more: take the job's result")
    await kept.run(kept.segments.lost, segment.job_id, segment.index)
    jobs.nudge()
    raise CapacityError(f"segment {segment.index} is rendered again: ask again", 2)


async def _cut(kept: Kept, job_id: str) -> Job:
    """The job once its playlists can be said. Raises CapacityError while it is cut, Refused where it never
    was."""
    job = await kept.run(kept.jobs.get, job_id)
    try:
        await kept.run(kept.blobs.size, job_key(job_id, SOUND))  # what is made last
    except NotKept as error:
        if job.state not in ACTIVE:
            raise Refused(f"there is nothing to play, the job is {job.state}: retry it") from error
        raise CapacityError("the film is still being cut into segments: ask again", 2) from error
    return job


def _rendition(kept: Kept, job_id: str) -> Rendition | None:
    path = kept.blobs.open_local(job_key(job_id, SOUND))
    return read_rendition(path) if path.stat().st_size else None


async def _file(request: web.Request, name: str) -> web.StreamResponse:
    try:
        _, kept = runner(request)
        job = await kept.run(kept.jobs.get, job_of(request))
        headers = {**_KEPT, "ETag": f'"{job.id}-{job.attempt}"'}
        return await send_blob(request, kept, job_key(job.id, name), MP4, headers)
    except RelensError as error:
        return refused(request, error)


def _playlist(text: str) -> web.Response:
    return web.Response(text=text, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-cache"})


_LATER = (404, 409, 503)
ROUTES = (
    Route(
        "GET", "/jobs/{job}/preview.m3u8", preview, "Play a job's film while it is rendered (HLS)",
        (Answer(200, "The playlist to open", MEDIA_TYPE),), (ID,), "", _LATER,
    ),
    Route(
        "GET", "/jobs/{job}/pictures.m3u8", pictures, "The playlist of its pictures",
        (Answer(200, "All segments, those that are still to be rendered among them", MEDIA_TYPE),),
        (ID,), "", _LATER,
    ),
    Route(
        "GET", "/jobs/{job}/sound.m3u8", sound, "The playlist of its sound",
        (Answer(200, "Parts of sound.mp4", MEDIA_TYPE),), (ID,), "", _LATER,
    ),
    Route(
        "GET", "/jobs/{job}/init.mp4", init, "What every segment is played with",
        (Answer(200, "The initialisation segment", MP4), Answer(206, "A part", MP4)),
        (ID,), "", (404, 416, 503),
    ),
    Route(
        "GET", "/jobs/{job}/sound.mp4", sound_file, "The sound of the preview",
        (Answer(200, "All of it", MP4), Answer(206, "The part asked for by Range", MP4)),
        (ID, Parameter("Range", "bytes=FROM-TO", where="header")), "", (404, 416, 503),
    ),
    Route(
        "GET", "/jobs/{job}/segments/{number}.m4s", segment, "A segment, rendered first when asked for",
        (Answer(200, "It, whole", SEGMENT), Answer(206, "A part", SEGMENT)),
        (ID, NUMBER), "", (404, 409, 416, 503),
    ),
)  # fmt: skip
