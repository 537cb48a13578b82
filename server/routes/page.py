"""The built page, the two small ones for OBS, their files: how long each may be kept. Knows no session."""

from __future__ import annotations

import re
from pathlib import Path

from aiohttp import web

from server.problem import problem
from server.routes.route import Answer, Parameter, Route
from server.state import STATE
from server.streams.types import NAME

# Content-hashed names never change what they hold; web/scripts/build.mjs writes name.HASH.ext.
HASHED = re.compile(r"[.-][A-Z0-9]{8}\.(js|css|map|webp|woff2)(\.map)?$")
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"  # kept, but asked about: a new build shows at once
CSP = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # style attributes of the divider
        "img-src 'self' blob: data:",
        "media-src 'self' blob: mediastream:",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
PAGE_HEADERS = {
    "Content-Security-Policy": CSP,
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self)",
    "Referrer-Policy": "no-referrer",
}
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>relens</title>
<style>body{background:#111;color:#eee;font:18px/1.5 system-ui;max-width:34em;margin:15vh auto;padding:0 1em}
code{background:#333;padding:.1em .4em;border-radius:4px}</style>
<h1>The page is not built yet</h1>
<p>The server runs, but its page is missing. In the folder of relens, run <code>make setup</code>,
then load this page again. The API answers meanwhile:
<a style="color:#9cf" href="/openapi.json">openapi.json</a>.</p>
"""


def _html(request: web.Request, name: str) -> web.StreamResponse:
    found = request.app[STATE].config.web_path / name
    if not found.is_file():
        headers = {**PAGE_HEADERS, "Cache-Control": "no-store"}
        return web.Response(status=503, text=NOT_BUILT, content_type="text/html", headers=headers)
    return web.FileResponse(found, headers={**PAGE_HEADERS, "Cache-Control": ASK_AGAIN})


async def page(request: web.Request) -> web.StreamResponse:
    return _html(request, "index.html")


async def watch_page(request: web.Request) -> web.StreamResponse:
    return _of_stream(request, "watch.html")


async def dock_page(request: web.Request) -> web.StreamResponse:
    return _of_stream(request, "dock.html")


def _of_stream(request: web.Request, name: str) -> web.StreamResponse:
    """A stream that is not there yet has its pages: they wait for it."""
    stream = request.match_info["stream"]
    if not NAME.fullmatch(stream):
        return problem(
            404,
            "not-found",
            "Not found",
            f"{stream[:80]!r} is no stream's name",
            "A stream's name has small letters, digits, - and _ only.",
        )
    return _html(request, name)


async def page_file(request: web.Request) -> web.StreamResponse:
    root = request.app[STATE].config.web_path
    found = _inside(root, request.match_info["file"])
    if found is None:
        return problem(
            404, "not-found", "Not found", "there is no such page or file", "GET /openapi.json lists the API."
        )
    headers = {"Cache-Control": FOREVER if HASHED.search(found.name) else ASK_AGAIN}
    if found.suffix == ".webp":
        headers["Content-Type"] = "image/webp"  # Python's own table has it from 3.13 on
    return web.FileResponse(found, headers=headers)


def _inside(root: Path, name: str) -> Path | None:
    """The file `name` of `root`, or None where there is none or it lies elsewhere."""
    try:
        found = (root / name).resolve()
        return found if found.is_relative_to(root.resolve()) and found.is_file() else None
    except (OSError, ValueError):  # a name too long, or with a NUL
        return None


PAGE_ANSWERS = (Answer(200, "HTML", "text/html"), Answer(503, "Not built", "text/html"))
STREAM = Parameter("stream", "The stream's name", where="path", required=True)

ROUTES = (
    Route("GET", "/", page, "The page", PAGE_ANSWERS),
    Route(
        "GET",
        "/watch/{stream}",
        watch_page,
        "The edited stream alone on a transparent ground, for OBS's browser source: it reconnects for ever",
        PAGE_ANSWERS,
        (
            STREAM,
            Parameter("sound", "1: with its sound"),
            Parameter("hold", "1: the last picture stays while the stream is away"),
            Parameter("key", "The view key, where the stream has one"),
        ),
        problems=(404,),
    ),
    Route(
        "GET",
        "/dock/{stream}",
        dock_page,
        "The instruction and presets of a stream in a narrow page, for OBS's custom browser docks",
        PAGE_ANSWERS,
        (STREAM, Parameter("key", "The stream's key, given once: the page keeps it in its browser")),
        problems=(404,),
    ),
    Route(
        "GET",
        "/{file}",
        page_file,
        "A file of the page, the sample clip among them",
        (
            Answer(200, "The file", "application/octet-stream"),
            Answer(206, "A part of it", "application/octet-stream"),
        ),
        (Parameter("file", "Its path", where="path", required=True),),
        problems=(404,),
    ),
)
