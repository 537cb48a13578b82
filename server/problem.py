"""Refusals as application/problem+json (RFC 9457) with the remedy. Knows errors, not routes."""

from __future__ import annotations

import msgspec
from aiohttp import web

from gpu.errors import DeviceError, ModelError, NoGpu, NoMemory, RelensError
from gpu.film.types import FilmError
from server.errors import CapacityError, NoKey, NotLive, ProtocolError, Taken, TooMany, Unusable
from server.kept.errors import Full, KeptError, NotKept, Refused, StorageFull, Unavailable

CONTENT_TYPE = "application/problem+json"
KEY_REMEDY = "Ask who runs this server for the key, and send it as Authorization: Bearer KEY."
NO_KEY_REMEDY = "Ask who runs this server to set operator_key, or call it from the machine it runs on."


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What was refused, why, and what to do next."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str = ""


def problem(
    status: int, kind: str, title: str, detail: str, remedy: str = "", headers: dict[str, str] | None = None
) -> web.Response:
    """`kind` is a short name, stable for clients: "capacity"; it becomes `type` "urn:relens:capacity"."""
    body = Problem(type=f"urn:relens:{kind}", title=title, status=status, detail=detail, remedy=remedy)
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type=CONTENT_TYPE, headers=headers
    )


def problem_of(error: RelensError) -> web.Response:
    """The answer to a request that raised `error`."""
    detail = error.told if isinstance(error, KeptError) else str(error)
    match error:
        case CapacityError():
            kind = "going-away" if error.code == "going-away" else "capacity"
            retry = {"Retry-After": str(error.retry_after_s)}
            return problem(503, kind, "No room", detail, error.remedy, retry)
        case Unusable():
            return problem(422, "unusable", "Nothing we can answer", detail)
        case ProtocolError():
            return problem(400, "protocol", "Not an offer or candidate we take", detail)
        case Taken():
            return problem(409, "taken", "Somebody publishes here", detail)
        case NotLive():
            retry = {"Retry-After": str(error.retry_after_s)}
            return problem(409, "not-live", "Not live now", detail, "Try again after Retry-After.", retry)
        case NoKey():
            if not error.challenge:
                return problem(403, "key", "Not for you", detail, NO_KEY_REMEDY)
            return problem(401, "key", "A key is needed", detail, KEY_REMEDY, {"WWW-Authenticate": "Bearer"})
        case TooMany():
            retry = {"Retry-After": str(error.retry_after_s)}
            return problem(429, "too-many", "Too many tries", detail, "Try again later.", retry)
        case NotKept():
            return problem(404, "gone", "There is none", detail)
        case Refused():
            return problem(409, "refused", "Not as things are", detail)
        case StorageFull():
            return problem(507, "storage", "The disk is full", detail, "Free some, or try again later.")
        case Full():
            return problem(413, "quota", "No room for it", detail, "Delete videos, or raise quota_bytes.")
        case Unavailable():
            retry = {"Retry-After": str(error.retry_after_s)}
            return problem(
                503, "storage", "Not reachable now", detail, "Try again after Retry-After seconds.", retry
            )
        case KeptError():
            return problem(400, "kept", "This cannot be kept", detail)
        case FilmError():
            return problem(422, "film", "Not with this film", detail)
        case ModelError():
            return problem(
                400, "model", "The model cannot do this", detail, "GET /models lists what there is."
            )
        case NoGpu():
            return problem(
                503, "device", "No GPU for this model", detail, "GET /models lists models that need none."
            )
        case NoMemory():
            return problem(
                503, "memory", "No memory for another stream", detail, headers={"Retry-After": "5"}
            )
        case DeviceError():
            return problem(
                500, "device", "The device cannot be used", detail, "Run relens doctor on the server."
            )
        case _:
            return problem(500, "internal", "Refused", detail)
