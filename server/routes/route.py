"""What a route is: its handler and what OpenAPI says of it, declared in one place. Data only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

SDP = "application/sdp"
SDP_FRAGMENT = "application/trickle-ice-sdpfrag"  # RFC 8840 §9
JSON = "application/json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is a msgspec struct, or None for text or nothing."""

    status: int
    meaning: str
    content_type: str = ""
    body: Any = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query or path parameter. `kind` is its JSON type."""

    name: str
    meaning: str
    where: str = "query"
    kind: str = "string"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `problems` are the statuses it refuses with."""

    method: str
    path: str
    handler: Handler
    summary: str
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    takes: str = ""  # the request body's media type
    problems: tuple[int, ...] = ()
    body: Any = None  # of the request: a msgspec struct, or None for text or bytes
