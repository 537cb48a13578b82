"""Which stream an RTMP address names, and with which key. Knows names, not whether there is such a stream.

Encoders cut rtmp://host/live/cam?key=... differently into application and stream name, and OBS's "server" and
"stream key" may hold the query in either: all of them are taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from server.errors import ProtocolError
from server.streams.types import NAME

APP = "live"
_MAX_CHARS = 1000
_MAX_FIELDS = 16  # of a query
_SERVER = re.compile(
    r"rtmps?://([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(:\d{1,5})?(?=/)", re.ASCII | re.IGNORECASE
)
_UNKNOWN = "rtmp://HOST:PORT"


@dataclass(frozen=True, slots=True)
class Address:
    stream: str
    key: str = field(default="", repr=False)
    takeover: bool = False
    server: str = field(default=_UNKNOWN, compare=False)  # as the peer wrote it, for what it is told


def check_app(app: str, tc_url: str) -> None:
    """Raises ProtocolError for an application that is not here."""
    first = app.partition("?")[0].strip("/").partition("/")[0]
    if first != APP:
        raise ProtocolError(
            f"there is no application {first[:60]!r}: the server is {server_of(tc_url)}/{APP}"
        )


def read_address(app: str, tc_url: str, name: str) -> Address:
    """`app` and `tc_url` as connect says them, `name` as publish or play does. Raises ProtocolError."""
    path, query = "", ""
    for part in (app, name):
        head, _, tail = part[:_MAX_CHARS].partition("?")
        path, query = f"{path}/{head}", f"{tail}&{query}"  # the name's query counts first
    query += tc_url[:_MAX_CHARS].partition("?")[2]
    said = _fields(query)
    parts = [part for part in path.split("/") if part]
    stream = unquote(parts[-1]) if len(parts) > 1 else ""
    server = server_of(tc_url)
    if len(parts) != 2 or not NAME.fullmatch(stream):
        raise ProtocolError(  # not what it says: that may be a key in the wrong place, and this is logged
            f"the address names no stream: write {server}/{APP}/STREAM?key=KEY, "
            f"in OBS the server {server}/{APP} and the stream key STREAM?key=KEY"
        )
    takeover = said.get("takeover", "0") in ("1", "true", "yes")
    return Address(stream, said.get("key", ""), takeover, server)


def server_of(tc_url: str) -> str:
    """Scheme, host and port as the peer wrote them: a proxy's or a container's port is not ours to know."""
    found = _SERVER.match(tc_url)
    return found[0] if found else _UNKNOWN


def _fields(query: str) -> dict[str, str]:
    """The first value of each. A plus is a plus: keys are copied, not typed into forms."""
    found: dict[str, str] = {}
    for part in query.split("&", _MAX_FIELDS)[:_MAX_FIELDS]:
        name, _, value = part.partition("=")
        if value:
            found.setdefault(unquote(name), unquote(value))
    return found
