"""/streams: what streams there are and how they fare, their edit, and what the operator sets of them.

Knows how each is asked for, not how a stream works; how they fare as it goes is stream_events.
"""

from __future__ import annotations

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from gpu.errors import RelensError
from server.errors import ProtocolError
from server.kept.errors import NotKept, Refused
from server.problem import problem, problem_of
from server.routes.route import JSON, Answer, Parameter, Route
from server.routes.sessions import body_of
from server.state import STATE
from server.stream_api import (
    EditAsked,
    EditReceipt,
    SettingsAsked,
    StreamList,
    StreamPresets,
    StreamSetup,
    check_name,
    edit_of,
    presets_of,
    read_body,
    receipt_of,
    settings_of,
)
from server.stream_setup import setup_of
from server.streams.sight import Sight, seen
from server.streams.stream import Stream
from server.streams.streams import Streams, new_key
from server.streams.types import StreamEdit, StreamFacts, StreamPreset, StreamSettings

MOST_STREAMS = 100
APPLIED_S = 10.0  # ?wait=applied waits so long
NAME = Parameter("stream", "The stream's name", where="path", required=True)
KEY = Parameter("key", "Its key or view key, for who cannot send it as a bearer token")


async def list_streams(request: web.Request) -> web.Response:
    try:
        streams = request.app[STATE].streams
        sights = streams.access.sights(request, streams.all())
        shown = [seen(stream.facts(), sight) for stream, sight in zip(streams.all(), sights, strict=True)]
        return json_of(StreamList(streams=shown))
    except RelensError as error:
        return refused(request, error)


async def show_stream(request: web.Request) -> web.Response:
    try:
        stream = stream_of(request)
        return json_of(seen(stream.facts(), sight_of(request, stream)))
    except RelensError as error:
        return refused(request, error)


async def delete_stream(request: web.Request) -> web.Response:
    try:
        stream = _operated(request)
        await request.app[STATE].streams.delete(stream.name)
    except RelensError as error:
        return refused(request, error)
    return web.Response(status=204)


async def show_settings(request: web.Request) -> web.Response:
    try:
        return json_of(_operated(request).settings)
    except RelensError as error:
        return refused(request, error)


async def put_settings(request: web.Request) -> web.Response:
    """Makes the stream where there is none."""
    state = request.app[STATE]
    streams = state.streams
    try:
        streams.access.operator(request)
        name = check_name(request.match_info["stream"])
        asked = read_body(await body_of(request, JSON), SettingsAsked)

        def made(before: StreamSettings | None) -> StreamSettings:
            settings = settings_of(asked, before.key if before else new_key(), state.workers.specs)
            _check_port(streams, name, settings)
            if before is None and len(streams.all()) >= MOST_STREAMS:
                raise Refused(f"there are {MOST_STREAMS} streams already: delete one")
            return settings

        stream, is_new = await streams.change(name, made)
    except RelensError as error:
        return refused(request, error)
    headers = {"Location": f"/streams/{name}"} if is_new else {}
    return json_of(stream.settings, 201 if is_new else 200, headers)


async def renew_key(request: web.Request) -> web.Response:
    """Who publishes stays; who comes needs the new one."""
    try:
        stream = _operated(request)

        def renewed(before: StreamSettings | None) -> StreamSettings:
            if before is None:
                raise NotKept(f"the stream {stream.name} was deleted meanwhile")
            return msgspec.structs.replace(before, key=new_key())

        stream, _ = await request.app[STATE].streams.change(stream.name, renewed)
    except RelensError as error:
        return refused(request, error)
    return json_of(stream.settings)


async def kick_publisher(request: web.Request) -> web.Response:
    try:
        if not _operated(request).kick("kicked", "the operator ended it"):
            raise NotKept("nobody publishes to it now")
    except RelensError as error:
        return refused(request, error)
    return web.Response(status=204)


async def show_setup(request: web.Request) -> web.Response:
    try:
        stream = _operated(request)
    except RelensError as error:
        return refused(request, error)
    state, name = request.app[STATE], stream.name
    called = state.streams.access.proxies.called_as(request)
    return json_of(setup_of(called, name, stream.settings, state.streams.rtmp_port, state.srt.problem(name)))


async def show_edit(request: web.Request) -> web.Response:
    try:
        return json_of(_watched(request).edit_facts())
    except RelensError as error:
        return refused(request, error)


async def put_edit(request: web.Request) -> web.Response:
    """In force at once; whoever asked for one before loses."""
    try:
        stream = stream_of(request)
        request.app[STATE].streams.access.edit(request, stream)
        waits = _waits(request)
        asked = read_body(await body_of(request, JSON), EditAsked)
        if stream_of(request) is not stream:  # its key is not that of another one of the name
            raise NotKept(f"the stream {stream.name} was deleted meanwhile")
        received = stream.edit(edit_of(asked, _presets(request, stream)))
        applied: int | UnsetType | None = UNSET
        if waits:
            applied = None
            if received.understood and stream.state == "live":
                seen = await stream.applied(received.revision, APPLIED_S)
                if stream.refusal and not seen and stream.edit_facts().revision == received.revision:
                    raise Refused(f"the edit was not put in force, the one before stays: {stream.refusal}")
                applied = stream.applied_pts if seen else None
    except RelensError as error:
        return refused(request, error)
    return json_of(receipt_of(received, applied))


async def show_presets(request: web.Request) -> web.Response:
    try:
        return json_of(StreamPresets(presets=_presets(request, _watched(request))))
    except RelensError as error:
        return refused(request, error)


def stream_of(request: web.Request) -> Stream:
    """The stream in the path. Raises NotKept."""
    name = request.match_info["stream"]
    stream = request.app[STATE].streams.get(name)
    if stream is None:
        raise NotKept(f"there is no stream {name[:70]!r}: GET /streams lists those there are")
    return stream


def sight_of(request: web.Request, stream: Stream) -> Sight:
    """How much of it who asks may see. Raises TooMany."""
    return request.app[STATE].streams.access.sight(request, stream)


def refused(request: web.Request, error: RelensError) -> web.Response:
    request.app[STATE].metrics.error(type(error).__name__)
    if isinstance(error, ProtocolError):
        return problem(400, "request", "Not a request we take", str(error))
    return problem_of(error)


def json_of(body: msgspec.Struct, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type=JSON,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _operated(request: web.Request) -> Stream:
    """The stream in the path, for the operator alone. Raises NoKey, TooMany, NotKept."""
    request.app[STATE].streams.access.operator(request)
    return stream_of(request)


def _watched(request: web.Request) -> Stream:
    """The stream in the path, for who may watch it. Raises NoKey, TooMany, NotKept."""
    stream = stream_of(request)
    request.app[STATE].streams.access.watch(request, stream)
    return stream


def _presets(request: web.Request, stream: Stream) -> list[StreamPreset]:
    workers = request.app[STATE].workers
    return presets_of(stream.settings, workers.specs, workers.default)


def _waits(request: web.Request) -> bool:
    wait = request.query.get("wait", "")
    if wait not in ("", "applied"):
        raise ProtocolError(f"wait is {wait[:20]!r}: applied, or leave it out")
    return bool(wait)


def _check_port(streams: Streams, name: str, settings: StreamSettings) -> None:
    """Raises Refused where another stream's SRT listener has the port."""
    for stream in streams.all():
        taken = stream.settings.srt.port if stream.settings.srt and stream.name != name else None
        if settings.srt is not None and settings.srt.port == taken:
            raise Refused(f"SRT port {taken} is the stream {stream.name}'s: take another")


GUEST, VIEWER, OPERATOR = (404, 429), (401, 404, 429), (401, 403, 404, 429)
SEEN = (
    "What is true of it now. The operator sees all; who shows its key, all but the publisher's address; who "
    "may watch, no targets either; who would need its view key, name and state, and `needsKey`"
)
ROUTES = (
    Route(
        "GET", "/streams", list_streams, "Who publishes, who watches, latency, bitrate",
        (Answer(200, "All, each as far as the key that is shown opens it", JSON, StreamList),),
        (KEY,), "", (429,),
    ),
    Route(
        "GET", "/streams/{stream}", show_stream, "One stream",
        (Answer(200, SEEN, JSON, StreamFacts),), (NAME, KEY), "", GUEST,
    ),
    Route(
        "DELETE", "/streams/{stream}", delete_stream, "End and forget a stream (operator)",
        (Answer(204, "Publisher and viewers are ended"),), (NAME,), "", (*OPERATOR, 503),
    ),
    Route(
        "GET", "/streams/{stream}/settings", show_settings, "A stream's settings, keys and all (operator)",
        (Answer(200, "As they were put", JSON, StreamSettings),), (NAME,), "", OPERATOR,
    ),
    Route(
        "PUT", "/streams/{stream}/settings", put_settings,
        "Set all of a stream, or make one: what is left out, but for the key, is as at first (operator)",
        (
            Answer(200, "They are in force; what is live stays live", JSON, StreamSettings),
            Answer(201, "The stream is made", JSON, StreamSettings, ("Location",)),
        ),
        (NAME,), JSON, (400, 401, 403, 408, 409, 413, 415, 429, 503), SettingsAsked,
    ),
    Route(
        "POST", "/streams/{stream}/key", renew_key, "A new key; who publishes stays (operator)",
        (Answer(200, "The settings with it", JSON, StreamSettings),), (NAME,), "", (*OPERATOR, 503),
    ),
    Route(
        "DELETE", "/streams/{stream}/publisher", kick_publisher, "End who publishes (operator)",
        (Answer(204, "It is ended; viewers are kept for linger_s"),), (NAME,), "", OPERATOR,
    ),
    Route(
        "GET", "/streams/{stream}/setup", show_setup, "What to copy into OBS and its like (operator)",
        (Answer(200, "With the host name that was called", JSON, StreamSetup),), (NAME,), "", OPERATOR,
    ),
    Route(
        "GET", "/streams/{stream}/edit", show_edit,
        "The edit asked for last, and whether it is seen (who may watch)",
        (Answer(200, "With its receipt", JSON, StreamEdit),), (NAME, KEY), "", VIEWER,
    ),
    Route(
        "PUT", "/streams/{stream}/edit", put_edit, "Edit by instruction or preset (operator, or its key)",
        (Answer(200, "What it was taken for; not understood: nothing changes", JSON, EditReceipt),),
        (NAME, Parameter("wait", "`applied`: answer when the picture shows it, at most 10 s later")),
        JSON, (400, 401, 403, 404, 408, 409, 413, 415, 429, 500, 503), EditAsked,
    ),
    Route(
        "GET", "/streams/{stream}/presets", show_presets, "The edits at its numbers (who may watch)",
        (Answer(200, "Its own, or the first of its model's", JSON, StreamPresets),), (NAME, KEY), "", VIEWER,
    ),
)  # fmt: skip
