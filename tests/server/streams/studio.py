"""A server, its stream `live`, and everybody who comes to it; requests held to a table."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from server.problem import CONTENT_TYPE as PROBLEM
from server.streams.stream import Stream
from tests.server.streams.whip_clients import SDP, Obs, Player, Trickler
from tests.server.visitor import Served, serving


class Studio:
    """Closes who came."""

    def __init__(self, served: Served) -> None:
        self.served = served
        stream = served.state.streams.get("live")
        assert stream is not None
        self.stream: Stream = stream
        self.key = stream.settings.key
        self.whip, self.whep = f"{served.base}/whip/live", f"{served.base}/whep/live"
        self._clients: list[Any] = []

    def obs(self, query: str = "", **how: Any) -> Obs:
        self._clients.append(Obs(self.whip + query, self.served.http, self.key, **how))
        return self._clients[-1]

    def trickler(self) -> Trickler:
        self._clients.append(Trickler(self.whip, self.served.http, self.key))
        return self._clients[-1]

    def player(self, query: str = "", **how: Any) -> Player:
        self._clients.append(Player(self.whep + query, self.served.http, **how))
        return self._clients[-1]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@contextlib.asynccontextmanager
async def studio(**settings: Any) -> AsyncIterator[Studio]:
    async with serving(**settings) as served:
        made = Studio(served)
        try:
            yield made
        finally:
            await made.close()


@dataclass(frozen=True)
class Row:
    """A request and what must be answered. `shown`: headers with their values; None: there must be none."""

    what: str
    method: str
    path: str
    status: int
    body: str | bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str | None] = field(default_factory=dict)
    says: str = ""  # to be found in the body


async def hold(http: aiohttp.ClientSession, base: str, rows: list[Row]) -> None:
    """Ask all of them, in order; what was answered otherwise is listed at the end."""
    wrong: list[str] = []
    for row in rows:
        skip = ("Content-Type",) if not row.body and "Content-Type" not in row.headers else ()
        async with http.request(
            row.method, base + row.path, data=row.body or None, headers=row.headers, skip_auto_headers=skip,
            allow_redirects=False,
        ) as reply:  # fmt: skip
            text = await reply.text()
            told = f"{row.what}: {reply.status} {dict(reply.headers)} {text[:300]}"
            refused = reply.status >= 400
            if reply.status != row.status or row.says not in text:
                wrong.append(told)
            elif refused and row.method != "HEAD" and reply.content_type != PROBLEM:
                wrong.append(f"no problem: {told}")
            elif any(reply.headers.get(name) != value for name, value in row.shown.items()):
                wrong.append(f"headers: {told}")
    assert not wrong, "\n\n".join(wrong)


def post(what: str, path: str, status: int, body: str | bytes = b"", says: str = "", **headers: str) -> Row:
    return Row(what, "POST", path, status, body, {"Content-Type": SDP, **headers}, says=says)
