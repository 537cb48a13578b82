"""A blob as an answer: whole, or the part asked for (RFC 9110 §14), a piece at a time. Knows no jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from server.kept.errors import KeptError
from server.kept.kept import Kept
from server.problem import problem

PIECE_BYTES = 1 << 20
STALL_S = 60.0  # without the client taking a piece


async def send_blob(
    request: web.Request, kept: Kept, key: str, content_type: str, headers: Mapping[str, str]
) -> web.StreamResponse:
    """`headers` has the blob's ETag. Raises NotKept, Unavailable before anything is sent."""
    size = await kept.run(kept.blobs.size, key)
    etag = headers["ETag"]
    if etag in _tags(request.headers.get("If-None-Match", "")):
        return web.Response(status=304, headers=headers)
    start, end, status = 0, size, 200
    if request.headers.get("If-Range", etag) == etag:
        try:
            asked = request.http_range
        except ValueError:  # of several parts, or malformed: may be answered whole
            asked = slice(None, None, 1)
        if asked.start is not None or asked.stop is not None:
            start, end, _ = asked.indices(size)
            status = 206
            if start >= end:
                return problem(
                    416, "range", "There is no such part", f"it has {size} bytes", "Ask for less.",
                    {"Content-Range": f"bytes */{size}"},
                )  # fmt: skip
    response = web.StreamResponse(status=status, headers={**headers, "Accept-Ranges": "bytes"})
    response.content_type, response.content_length = content_type, end - start
    if status == 206:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    first = b""
    if request.method != "HEAD" and start < end:  # what cannot be read is refused as long as it can be
        first = await kept.run(kept.blobs.range, key, start, min(end, start + PIECE_BYTES))
    await response.prepare(request)
    if request.method != "HEAD":
        await _write(response, kept, key, first, start, end)
    return response


async def _write(
    response: web.StreamResponse, kept: Kept, key: str, piece: bytes, start: int, end: int
) -> None:
    try:
        while piece:
            async with asyncio.timeout(STALL_S):
                await response.write(piece)
            start += len(piece)
            piece = b""
            if start < end:
                piece = await kept.run(kept.blobs.range, key, start, min(end, start + PIECE_BYTES))
        await response.write_eof()
    except (KeptError, TimeoutError, ConnectionError):
        response.force_close()  # shorter than was said: the client sees it, and asks for the rest


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
