"""A hub on this machine that answers as the real one does, with faults to order and a record of what it sent.

Large files are redirected to another host (`localhost`, not `127.0.0.1`), as the real hub does to its CDN.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 1000  # what the real hub keeps in LFS or xet
CHUNK_BYTES = 16 << 10


@dataclass
class Asked:
    """One request. `sent`: bytes of the file that went out, `start`: where in it they began."""

    method: str
    name: str
    authorization: str | None
    start: int = 0
    sent: int = 0
    by_range: bool = False


@dataclass
class LoopbackHub:
    """`files`: by repository and path, "owner/name/path". Faults are by the same names."""

    files: dict[str, bytes]
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)  # status, X-Error-Code
    cut_at: dict[str, list[int]] = field(default_factory=dict)  # close after so many bytes sent, once each
    hold_at: dict[str, int] = field(default_factory=dict)  # send so many, then nothing until `go_on`
    sent_instead: dict[str, bytes] = field(default_factory=dict)  # what the hub says it has stays the same
    ignores_range: bool = False
    cdn_refusal: int = 0  # a status that the other host answers everything with
    asked: list[Asked] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sent(self, name: str) -> int:
        """Bytes of a file that went out, in all."""
        return sum(asked.sent for asked in self.asked if asked.name == name)

    @contextlib.contextmanager
    def serving(self) -> Iterator[LoopbackHub]:
        """Serve from a thread of its own until the block ends."""
        loop, ready = asyncio.new_event_loop(), threading.Event()
        over = asyncio.Event()

        async def serve() -> None:
            app = web.Application()
            app.router.add_route("GET", "/cdn/{name:.+}", self._send)
            app.router.add_route("*", "/{repo:[^/]+/[^/]+}/resolve/{revision}/{path:.+}", self._resolve)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            ready.set()
            await over.wait()
            self.go_on.set()
            await runner.cleanup()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="loopback-hub")
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join(10)
            loop.close()

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        repo, path = request.match_info["repo"], request.match_info["path"]
        name = f"{repo}/{path}"
        if name in self.refusals:
            status, code = self.refusals[name]
            self.asked.append(Asked(request.method, name, request.headers.get("Authorization")))
            return web.Response(status=status, headers={"X-Error-Code": code} if code else {})
        if name not in self.files:
            known = any(other.startswith(f"{repo}/") for other in self.files)
            return web.Response(
                status=404 if known else 401,
                headers={"X-Error-Code": "EntryNotFound" if known else "RepoNotFound"},
            )
        body = self.files[name]
        git = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{git}"', "Accept-Ranges": "bytes"}
        if len(body) >= LARGE_BYTES:
            headers |= {
                "X-Linked-Etag": f'"{hashlib.sha256(body).hexdigest()}"',
                "X-Linked-Size": str(len(body)),
                "Location": f"http://localhost:{self.port}/cdn/{name}",
            }
            self.asked.append(Asked(request.method, name, request.headers.get("Authorization")))
            return web.Response(status=302, headers=headers)
        if request.method == "HEAD":
            self.asked.append(Asked("HEAD", name, request.headers.get("Authorization")))
            return web.Response(headers=headers | {"Content-Length": str(len(body))})
        return await self._send(request, name, headers)

    async def _send(
        self, request: web.Request, name: str = "", headers: dict[str, str] | None = None
    ) -> web.StreamResponse:
        if not name and self.cdn_refusal:
            return web.Response(status=self.cdn_refusal, text="<html>no</html>")
        name = name or request.match_info["name"]
        body = self.sent_instead.get(name, self.files[name])
        asked = Asked("GET", name, request.headers.get("Authorization"))
        self.asked.append(asked)
        wanted = request.headers.get("Range", "")
        asked.by_range = wanted.startswith("bytes=") and not self.ignores_range
        asked.start = int(wanted[6:].split("-")[0]) if asked.by_range else 0
        if asked.start >= len(body) > 0:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
        headers = dict(headers or {})
        if asked.by_range:
            headers["Content-Range"] = f"bytes {asked.start}-{len(body) - 1}/{len(body)}"
        answer = web.StreamResponse(status=206 if asked.by_range else 200, headers=headers)
        answer.content_length = len(body) - asked.start
        await answer.prepare(request)
        cuts, hold = self.cut_at.get(name, []), self.hold_at.get(name)
        end = asked.start + cuts.pop(0) if cuts else len(body)
        for start in range(asked.start, min(end, len(body)), CHUNK_BYTES):
            chunk = body[start : min(start + CHUNK_BYTES, end)]
            await answer.write(chunk)
            asked.sent += len(chunk)
            if hold is not None and asked.sent >= hold and not self.go_on.is_set():
                self.held.set()
                await asyncio.get_running_loop().run_in_executor(None, self.go_on.wait, 30)
        if end < len(body):
            assert request.transport is not None
            request.transport.abort()
            raise ConnectionResetError
        return answer
