"""/files: resumable uploads of films by tus 1.0 (server/uploads/tus.py). A finished one is a video."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from gpu.errors import RelensError
from server.kept.types import Upload
from server.problem import problem, problem_of
from server.routes.route import Answer, Parameter, Route
from server.routes.videos import films
from server.uploads import tus
from server.uploads.tus import OFFSET_STREAM, TusError

STALL_S = 60.0  # without a byte of a body: what came counts, the client asks again
_READ_BYTES = 1 << 18
ID = Parameter("upload", "The upload, from Location", where="path", required=True)
RESUMABLE = Parameter("Tus-Resumable", "1.0.0", where="header", required=True)
Handler = Callable[[web.Request], Awaitable[web.Response]]


def _speaks(handler: Handler) -> Handler:
    """Every answer names the protocol; every refusal is problem+json with its status."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.Response:
        try:
            tus.check_version(request.headers)
            reply = await handler(request)
        except TusError as error:
            reply = _refusal(error)
            if error.status == 412:
                reply.headers["Tus-Version"] = tus.VERSION
        except RelensError as error:
            reply = problem_of(error)
        reply.headers["Tus-Resumable"] = tus.VERSION
        reply.headers["Cache-Control"] = "no-store"
        return reply

    return answer


def _refusal(error: TusError) -> web.Response:
    titles = {
        409: "Another offset", 412: "Another version of tus", 413: "Too large", 415: "Not a stream of bytes",
        423: "Being written", 460: "Checksum mismatch",
    }  # fmt: skip
    return problem(error.status, "upload", titles.get(error.status, "Not as tus says it"), str(error))


async def options(request: web.Request) -> web.Response:
    """What is spoken, and how large a film may be: before a byte is sent."""
    headers = {
        "Tus-Resumable": tus.VERSION,
        "Tus-Version": tus.VERSION,
        "Tus-Extension": tus.EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(tus.CHECKSUMS),
        "Tus-Max-Size": str(films(request).receiver.most_bytes),
    }
    return web.Response(status=204, headers=headers)


@_speaks
async def create(request: web.Request) -> web.Response:
    held = films(request)
    held.let_in()
    receiver = held.receiver
    creation = tus.read_creation(request.headers, receiver.most_bytes)
    if request.body_exists and not creation.begins and request.content_length:
        raise TusError(415, f"a body that begins the upload must be {OFFSET_STREAM}")
    checksum = tus.read_checksum(request.headers)
    upload = await receiver.create(creation)
    if creation.begins and request.body_exists:
        try:
            upload = await receiver.write(upload, 0, _chunks(request), checksum)
        except BaseException:  # nobody heard where it is: nobody can go on with it
            await asyncio.shield(receiver.drop(upload.id))
            raise
    headers = {"Location": f"/files/{upload.id}", "X-Video-Id": upload.video_id, **_where(upload)}
    return web.Response(status=201, headers=headers)


@_speaks
async def head(request: web.Request) -> web.Response:
    upload = await films(request).receiver.find(request.match_info["upload"])
    headers = {"X-Video-Id": upload.video_id, **_where(upload)}
    if upload.length is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(upload.length)
    if upload.metadata.get(""):
        headers["Upload-Metadata"] = upload.metadata[""]
    return web.Response(status=200, headers=headers)


@_speaks
async def patch(request: web.Request) -> web.Response:
    receiver = films(request).receiver
    if request.headers.get("Content-Type", "") != OFFSET_STREAM:
        raise TusError(415, f"Content-Type must be {OFFSET_STREAM}")
    offset = tus.read_offset(request.headers)
    checksum = tus.read_checksum(request.headers)
    said = request.headers.get("Upload-Length")
    length = tus.read_length(said, receiver.most_bytes) if said is not None else None
    upload = await receiver.find(request.match_info["upload"])
    upload = await receiver.write(upload, offset, _chunks(request), checksum, length)
    return web.Response(status=204, headers={"X-Video-Id": upload.video_id, **_where(upload)})


@_speaks
async def terminate(request: web.Request) -> web.Response:
    await films(request).receiver.give_up(request.match_info["upload"])
    return web.Response(status=204)


def _where(upload: Upload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.offset), "Upload-Expires": tus.http_date(upload.expires_at)}


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Ends where nothing comes for a while: what came counts."""
    while True:
        try:
            async with asyncio.timeout(STALL_S):
                data = await request.content.read(_READ_BYTES)
        except TimeoutError:
            return
        if not data:
            return
        yield data


_PROBLEMS = (400, 403, 404, 409, 412, 413, 415, 423, 460, 503, 507)
_FINDING = (404, 409, 412, 423, 503, 507)  # one that is whole is kept first, where it was not
_LOCATION = ("Location", "Tus-Resumable", "Upload-Offset", "Upload-Expires", "X-Video-Id")

ROUTES = (
    Route(
        "OPTIONS", "/files", options, "What of tus is spoken, and how large a film may be",
        (Answer(204, "In headers", headers=("Tus-Version", "Tus-Extension", "Tus-Max-Size")),),
    ),
    Route(
        "POST", "/files", create, "A new resumable upload of a film (tus 1.0)",
        (Answer(201, "Location is the upload, X-Video-Id the video it becomes", headers=_LOCATION),),
        (
            RESUMABLE,
            Parameter("Upload-Length", "Bytes of the whole", where="header", kind="integer"),
            Parameter("Upload-Defer-Length", "1: said later", where="header"),
            Parameter("Upload-Metadata", "filename, in base64", where="header"),
            Parameter("Upload-Checksum", "Of this body: sha1, sha256 or md5, and base64", where="header"),
        ),
        OFFSET_STREAM, _PROBLEMS,
    ),
    Route(
        "HEAD", "/files/{upload}", head, "How far an upload is",
        (Answer(200, "In headers", headers=("Upload-Offset", "Upload-Length", "Upload-Expires")),),
        (ID, RESUMABLE), "", _FINDING,
    ),
    Route(
        "PATCH", "/files/{upload}", patch, "More bytes of an upload",
        (Answer(204, "Taken", headers=("Upload-Offset", "Upload-Expires")),),
        (
            ID, RESUMABLE,
            Parameter("Upload-Offset", "Where they go", where="header", kind="integer", required=True),
            Parameter("Upload-Length", "Of the whole, where it was not said", where="header", kind="integer"),
            Parameter("Upload-Checksum", "Of this body: sha1, sha256 or md5, and base64", where="header"),
        ),
        OFFSET_STREAM, _PROBLEMS,
    ),
    Route(
        "DELETE", "/files/{upload}", terminate, "Give an upload up",
        (Answer(204, "Gone"),), (ID, RESUMABLE), "", (403, 404, 412, 423, 503),
    ),
)  # fmt: skip
