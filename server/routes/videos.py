"""/videos: films that were uploaded; a simple upload beside the resumable one of /files."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from gpu.errors import RelensError
from gpu.types import CLOCK_HZ
from server.errors import ProtocolError
from server.kept.errors import Refused, Unavailable
from server.kept.kept import Kept
from server.kept.keys import video_key
from server.kept.types import Video
from server.problem import problem, problem_of
from server.routes.route import JSON, Answer, Parameter, Route
from server.state import STATE
from server.uploads.checking import SHEET, SHEET_JSON
from server.uploads.films import Films
from server.uploads.told import film_info
from server.uploads.tus import Creation, TusError

log = logging.getLogger(__name__)

MOST_LISTED = 100
STALL_S = 60.0
_READ_BYTES = 1 << 18
_AROUND_BYTES = 1 << 16  # of a form: other fields, boundaries
_MALFORMED = (ValueError, AssertionError, RuntimeError, LookupError, HttpProcessingError)  # of a form
ID = Parameter("video", "The video, from its list or from X-Video-Id", where="path", required=True)


class VideoBody(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """An uploaded film. Sizes and times are of the picture as it is shown; 0 while it is not `ready`."""

    id: str
    name: str
    bytes: int
    state: str  # uploading, checking, ready or refused
    problem: str  # why it was refused; else ""
    created_at: float  # seconds since 1970
    width: int
    height: int
    fps: float
    frames: int
    duration: float  # seconds
    audio: str  # the sound's codec; "" without sound


class VideoList(msgspec.Struct, frozen=True, kw_only=True):
    videos: list[VideoBody]


class Thumbnails(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Pictures in rows of `columns` in one JPEG; `at`: their times in seconds."""

    columns: int
    width: int
    height: int
    at: list[float]
    image: str = ""  # its address


def films(request: web.Request) -> Films:
    """Raises Unavailable while what they are kept in is away."""
    state = request.app[STATE]
    if state.films is None:
        raise state.keeping.missing("films")
    return state.films


def video_body(video: Video) -> VideoBody:
    info = film_info(video.info) if video.info else None
    shown = info.video if info else None
    return VideoBody(
        id=video.id,
        name=video.name,
        bytes=video.bytes,
        state=video.state,
        problem=video.problem or "",
        created_at=video.created_at,
        width=shown.width if shown else 0,
        height=shown.height if shown else 0,
        fps=round(float(shown.fps), 3) if shown else 0.0,
        frames=shown.frames if shown else 0,
        duration=round(shown.duration / CLOCK_HZ, 3) if shown else 0.0,
        audio=info.audio.codec if info and info.audio else "",
    )


async def list_videos(request: web.Request) -> web.Response:
    try:
        films(request).expect()
        kept = films(request).kept
        before = request.query.get("before")
        found = await kept.run(kept.videos.list, MOST_LISTED, _time(before) if before else None)
    except RelensError as error:
        return problem_of(error)
    return _json(VideoList(videos=[video_body(video) for video in found]))


async def show_video(request: web.Request) -> web.Response:
    try:
        kept = films(request).kept
        return _json(video_body(await kept.run(kept.videos.get, request.match_info["video"])))
    except RelensError as error:
        return problem_of(error)


async def send_video(request: web.Request) -> web.Response:
    """One part named `file`. What comes is kept even when the rest does not: /files goes on with it."""
    try:
        held = films(request)
        held.let_in()
        receiver = held.receiver
        about = request.content_length or 0  # with a little around the film
        if about > receiver.most_bytes + _AROUND_BYTES:
            raise TusError(
                413, f"{about} bytes are too many: this server takes at most {receiver.most_bytes}"
            )
        part = await _file_part(request)
        upload = await receiver.create(Creation(None, {"filename": part.filename or ""}, "", True))
        try:
            upload = await receiver.write(upload, 0, _chunks(part))
            if not upload.offset:
                raise ProtocolError("the part `file` is empty: send the film's bytes")
            upload = await receiver.end(upload)
        except BaseException:
            await asyncio.shield(receiver.drop(upload.id))
            raise
        kept = films(request).kept
        body = video_body(await kept.run(kept.videos.get, upload.video_id))
    except TusError as error:
        if error.status == 413:
            return problem(413, "upload", "Too large", str(error))
        return problem_of(Refused(str(error)))
    except RelensError as error:
        return problem_of(error)
    return _json(body, {"Location": f"/videos/{body.id}"}, 201)


async def delete_video(request: web.Request) -> web.Response:
    video_id = request.match_info["video"]
    try:
        held = films(request)
        kept = held.kept
        if (await kept.run(kept.videos.get, video_id)).state == "uploading":
            await held.receiver.forget(video_id)
        else:
            await _delete(kept, video_id)
    except TusError as error:
        return problem_of(Refused(str(error)))
    except RelensError as error:
        return problem_of(error)
    return web.Response(status=204)


async def _delete(kept: Kept, video_id: str) -> None:
    keys = await kept.run(kept.videos.delete, video_id)
    for key in (*keys, video_key(video_id, SHEET), video_key(video_id, SHEET_JSON)):
        try:
            await kept.run(kept.blobs.delete, key)
        except Unavailable as error:  # the film is gone; its bytes go with the next `relens gc`
            log.warning("bytes of a deleted film are left to `relens gc`: %s", error)


async def thumbnails(request: web.Request) -> web.Response:
    video_id = request.match_info["video"]
    try:
        kept = films(request).kept
        await kept.run(kept.videos.get, video_id)  # what is no id is no key either
        about = await kept.run(kept.blobs.get, video_key(video_id, SHEET_JSON))
    except RelensError as error:
        return problem_of(error)
    made = msgspec.json.decode(about, type=Thumbnails)
    return _json(msgspec.structs.replace(made, image=f"/videos/{video_id}/thumbnails.jpg"))


async def thumbnails_jpeg(request: web.Request) -> web.Response:
    try:
        kept = films(request).kept
        video = await kept.run(kept.videos.get, request.match_info["video"])
        data = await kept.run(kept.blobs.get, video_key(video.id, SHEET))
    except RelensError as error:
        return problem_of(error)
    headers = {"Cache-Control": "private, max-age=86400, immutable"}
    return web.Response(body=data, content_type="image/jpeg", headers=headers)


async def _file_part(request: web.Request) -> BodyPartReader:
    """The part `file`; fields before it are passed over. Raises ProtocolError."""
    if not request.content_type.startswith("multipart/"):
        raise web.HTTPUnsupportedMediaType(
            text=f"Content-Type must be multipart/form-data, not {request.content_type}"
        )
    try:
        async with asyncio.timeout(STALL_S):
            reader = await request.multipart()
            for _ in range(20):
                part = await reader.next()
                if part is None:
                    break
                if isinstance(part, BodyPartReader) and part.name == "file":
                    return part
    except (*_MALFORMED, TimeoutError) as error:
        raise ProtocolError(f"the body is no multipart/form-data ({error})") from error
    raise ProtocolError("there is no part named `file`: send the film as that")


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(STALL_S):
                data = await part.read_chunk(_READ_BYTES)
        except TimeoutError as error:
            raise ProtocolError(f"nothing came for {STALL_S:.0f} s: send the film again") from error
        except _MALFORMED as error:
            raise ProtocolError(f"the form breaks off ({error}): send the film again") from error
        if not data:
            return
        yield data


def _time(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ProtocolError(f"before is {text[:20]!r}: seconds since 1970")
    return seconds


def _json(body: msgspec.Struct, headers: dict[str, str] | None = None, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


ROUTES = (
    Route(
        "GET", "/videos", list_videos, "The films that were uploaded, newest first",
        (Answer(200, "At most 100", JSON, VideoList),),
        (Parameter("before", "Those created before (seconds since 1970): the next page", kind="number"),),
        "", (400, 503),
    ),
    Route(
        "POST", "/videos", send_video, "Upload a film in one go, as the part `file`",
        (Answer(201, "It is being looked into; Location is the video", JSON, VideoBody, ("Location",)),),
        (), "multipart/form-data", (400, 403, 409, 413, 415, 503, 507),
    ),
    Route(
        "GET", "/videos/{video}", show_video, "A film, and whether it can be edited",
        (Answer(200, "What is known of it", JSON, VideoBody),), (ID,), "", (404, 503),
    ),
    Route(
        "DELETE", "/videos/{video}", delete_video, "Delete a film and what was rendered of it",
        (Answer(204, "Gone"),), (ID,), "", (403, 404, 409, 503),
    ),
    Route(
        "GET", "/videos/{video}/thumbnails", thumbnails, "Small pictures of a film, evenly over it",
        (Answer(200, "Where they are in the picture", JSON, Thumbnails),), (ID,), "", (404, 503),
    ),
    Route(
        "GET", "/videos/{video}/thumbnails.jpg", thumbnails_jpeg, "The picture they are in",
        (Answer(200, "All of them", "image/jpeg"),), (ID,), "", (404, 503),
    ),
)  # fmt: skip
