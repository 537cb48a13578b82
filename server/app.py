"""The aiohttp application: parts made at start and ended at stop, routes, who may call.

Knows no handler's work.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from aiohttp import web

from gpu import threads
from gpu.cuda import probe
from gpu.cuda.report import GpuMachine
from gpu.errors import RelensError
from gpu.media import CPU_ONLY, Media
from server.config import LOOPBACK, Config
from server.film_work import FilmWork
from server.keeping import Keeping
from server.kept.kept import Kept
from server.kept.session_log import SessionLog
from server.loop_delay import LoopDelay
from server.metrics import Metrics
from server.places import Places
from server.problem import problem, problem_of
from server.push.pushes import Pushes
from server.routes.table import ROUTES
from server.sessions import Sessions
from server.srt.ingests import SrtIngests
from server.state import STATE, ServerState
from server.streams.rtc_sessions import RtcSessions
from server.streams.streams import Streams
from server.workers import Workers

log = logging.getLogger(__name__)

THREADS = 8  # opening and closing streams, loading models, reading instructions
EXPOSED = (
    "Location, ETag, Retry-After, Link, Accept-Post, WWW-Authenticate, "
    "Accept-Ranges, Content-Range, Content-Disposition, X-Video-Id, "
    "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, "
    "Upload-Length, Upload-Metadata, Upload-Expires, Upload-Defer-Length"
)
ALLOWED = (
    "Authorization, Content-Type, If-Match, Idempotency-Key, Range, Last-Event-ID, "
    "Tus-Resumable, Upload-Offset, "
    "Upload-Length, Upload-Metadata, Upload-Checksum, Upload-Defer-Length"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def version() -> str:
    return importlib.metadata.version("relens")


def make_app(config: Config) -> web.Application:
    """The application; its parts live from start-up to clean-up. Start-up raises ModelError or DeviceError
    when the default model cannot run."""
    app = web.Application(middlewares=[_guard], client_max_size=config.max_body_bytes)
    app.on_response_prepare.append(_dress)
    for route in ROUTES:
        path = "/{file:.+}" if route.path == "/{file}" else route.path
        if route.method == "GET":
            app.router.add_get(path, route.handler)  # and HEAD
        else:
            app.router.add_route(route.method, path, route.handler)
    app.cleanup_ctx.append(_parts(config))
    return app


def _parts(config: Config) -> Callable[[web.Application], AsyncIterator[None]]:
    async def run(app: web.Application) -> AsyncIterator[None]:
        executor = ThreadPoolExecutor(
            THREADS, thread_name_prefix="relens-open", initializer=threads.name_this
        )
        metrics = Metrics()
        loop_delay = LoopDelay()
        gpus = GpuMachine(problem=CPU_ONLY)
        if config.media_mode != "cpu":
            gpus = await asyncio.get_running_loop().run_in_executor(executor, probe.at_start)
        media = Media(config.media_mode, gpus)
        workers = Workers(config.model, config.threads, executor, media, config.models)
        metrics.on_scrape(lambda: _set_loop_delay(metrics, loop_delay))
        session_log = SessionLog()
        places = Places(
            config.max_sessions,
            metrics.session_refused,
            most_each=config.max_sessions_each,
            gives_way_s=config.gives_way_s,
        )
        sessions = Sessions(config, workers, metrics, executor, places, session_log)
        streams = Streams(config, workers, metrics, executor, places, session_log)
        pushes, srt = Pushes(streams), SrtIngests(streams, config.host)
        film_work = FilmWork(config, workers, metrics)
        open_kept = functools.partial(Kept.open, config.data_dir, config.database_url, config.storage_url)
        keeping = Keeping(open_kept, executor, session_log.take_up, streams.take_up, film_work.take_up)
        metrics.on_scrape(lambda: metrics.kept.set(not keeping.problem))
        app[STATE] = ServerState(
            config,
            version(),
            metrics,
            workers,
            sessions,
            loop_delay,
            gpus,
            media,
            keeping,
            film_work,
            session_log,
            places,
            streams,
            srt,
            rtc := RtcSessions(),
        )
        try:
            await workers.start()
            await keeping.start()
            await streams.start()
            loop_delay.start()
            yield
        finally:
            await keeping.stop()
            await sessions.close()
            await pushes.close()
            await srt.close()
            await streams.close()
            await rtc.close()
            await film_work.close(executor)
            await loop_delay.close()
            await workers.close()
            await session_log.close()
            await keeping.close()
            await asyncio.get_running_loop().run_in_executor(executor, media.close)
            executor.shutdown(wait=False, cancel_futures=True)

    return run


def _set_loop_delay(metrics: Metrics, loop_delay: LoopDelay) -> None:
    for quantile in (0.5, 0.99):
        metrics.loop_delay.labels(str(quantile)).set(loop_delay.quantile_s(quantile))


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Other origins' pages only where allowed; every refusal as problem+json; nothing sniffed."""
    config = request.app[STATE].config
    origin = request.headers.get("Origin")
    foreign = origin is not None and _netloc(origin) != request.host
    allowed = not foreign or "*" in config.allowed_origins or origin in config.allowed_origins
    if _rebound(request, config):
        return problem(
            403,
            "host",
            "Not this server's name",
            f"this server listens on {config.host} alone and was called {request.host[:100]}",
            f"Add http://{request.host[:100]} to allowed_origins where a proxy passes that name on.",
        )
    if request.method == "OPTIONS" and foreign and not (allowed and _routed(request)):
        response: web.StreamResponse = web.Response(status=204 if allowed else 403)
    elif not allowed and request.method not in ("GET", "HEAD"):
        response = problem(
            403,
            "origin",
            "Another site's page",
            f"pages of {str(origin)[:100]} may not use this server",
            "Add the origin to allowed_origins.",
        )
    else:
        response = await _answer(request, handler)
    return response


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, before its first byte: streams are sent while their handler still runs."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    origin = request.headers.get("Origin")
    if origin is not None and _netloc(origin) != request.host:
        response.headers.add("Vary", "Origin")
        allowed_origins = request.app[STATE].config.allowed_origins
        if "*" in allowed_origins or origin in allowed_origins:
            _let_in(response, origin)


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # "http://["
        return None


def _routed(request: web.Request) -> bool:
    """Whether a handler of ours answers this method of this path."""
    return request.match_info.http_exception is None


def _rebound(request: web.Request, config: Config) -> bool:
    """Called by a foreign name on an address that only this machine reaches: a site's DNS points here."""
    if config.host not in LOOPBACK or "*" in config.allowed_origins:
        return False
    named = _netloc(f"http://{request.host}")
    host = urlsplit(f"http://{named}").hostname if named else None
    known = {_netloc(origin) for origin in config.allowed_origins}
    return host not in LOOPBACK and request.host not in known


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        if refusal.status < 400:
            raise
        return _http_problem(refusal)
    except RelensError as error:
        return problem_of(error)
    except ConnectionResetError:  # the client hung up while it sent: nobody hears this answer
        return problem(400, "http", "The request broke off", "its body did not come whole", "Send it again.")
    except Exception:  # a defect of ours must not show its insides, nor end the server
        log.exception("%s %s failed", request.method, request.path)
        request.app[STATE].metrics.error("internal")
        return problem(
            500, "internal", "The server failed", "this is a defect of relens", "Look into its log."
        )


def _http_problem(refusal: web.HTTPException) -> web.Response:
    keep = {name: refusal.headers[name] for name in ("Allow",) if name in refusal.headers}
    remedies = {
        405: "Allow lists the methods.",
        413: "Send a smaller body.",
        415: "Send the named Content-Type.",
    }
    return problem(
        refusal.status,
        "http",
        refusal.reason,
        refusal.text or refusal.reason,
        remedies.get(refusal.status, ""),
        keep,
    )


def _let_in(response: web.StreamResponse, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = EXPOSED
    response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, PUT, PATCH, DELETE"
    response.headers["Access-Control-Allow-Headers"] = ALLOWED
    response.headers["Access-Control-Max-Age"] = "600"
