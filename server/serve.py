"""Runs the server: listens, says where, drains on SIGTERM, ends. Knows no route."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

from aiohttp import web

from server.app import make_app, version
from server.config import LOOPBACK, Config
from server.door import Door
from server.errors import ConfigError
from server.handshakes import Handshakes
from server.rtmp.address import APP
from server.rtmp.server import RtmpServer
from server.state import STATE

log = logging.getLogger(__name__)

HTTP_SHUTDOWN_S = 2.0  # for requests still running after the sessions ended
HTTP_IDLE_S = (
    90.0  # a connection without a request, or with one whose head does not end; aiohttp's own is an hour
)
OPEN_FILES = 65_536  # sockets are files: as many as the system lets us have, up to this


async def serve(config: Config, say: Callable[[str], None] = print) -> None:
    """Run until SIGTERM or SIGINT; a second one skips the drain.

    Raises ConfigError (address, certificate), ModelError or DeviceError before anything is served."""
    tls = tls_context(config)
    allow_open_files()
    app = make_app(config)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=HTTP_SHUTDOWN_S,
        keepalive_timeout=HTTP_IDLE_S,
    )
    await runner.setup()
    try:
        stop, now = asyncio.Event(), asyncio.Event()
        async with _http(config, app, runner, tls) as port:
            with _signals(stop, now):
                _announce(config, app, port, say)
                async with _rtmp(config, app, say):
                    await stop.wait()
                    say("relens is going down: letting sessions finish (again to end at once)")
                    await _drain(app, now)
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _http(
    config: Config, app: web.Application, runner: web.AppRunner, tls: ssl.SSLContext | None
) -> AsyncIterator[int]:
    """The port it listens on. Raises ConfigError where it cannot."""
    server = runner.server
    assert server is not None, "the runner is set up"
    door = Door(app[STATE].streams.access.proxies.trusts)
    door.watch(server)
    plain: asyncio.Server | None = None
    handshakes = Handshakes(door, server, tls) if tls is not None else None
    try:
        if handshakes is not None:
            port = await handshakes.listen(config.host, config.port)
        else:
            plain = await asyncio.get_running_loop().create_server(server, config.host, config.port)
            port = int(plain.sockets[0].getsockname()[1])
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {config.host} port {config.port} ({_reason(error)}): " + listen_remedy(error)
        ) from error
    try:
        yield port
    finally:
        if plain is not None:
            plain.close()
        if handshakes is not None:
            await handshakes.close()


@contextlib.asynccontextmanager
async def _rtmp(config: Config, app: web.Application, say: Callable[[str], None]) -> AsyncIterator[None]:
    """RTMP beside the page, and none where its port is 0 or taken: everything else goes on."""
    rtmp = RtmpServer(config.host, config.rtmp_port, app[STATE].streams, config.video_codecs)
    if config.rtmp_port:
        try:
            await rtmp.start()
            app[STATE].streams.rtmp_port = rtmp.port
            say(f"RTMP: rtmp://{_shown_host(config)}:{rtmp.port}/{APP}")
        except OSError as error:
            say(
                f"No RTMP: cannot listen on {config.host} port {config.rtmp_port} ({_reason(error)}); "
                "another one: --rtmp-port, none: --rtmp-port 0"
            )
    try:
        yield
    finally:
        await rtmp.close()


async def _drain(app: web.Application, now: asyncio.Event) -> None:
    """Drain, but no longer than until `now` is set; clean-up ends what is left."""
    drain = asyncio.create_task(app[STATE].sessions.drain())
    cut = asyncio.create_task(now.wait())
    await asyncio.wait([drain, cut], return_when=asyncio.FIRST_COMPLETED)
    for task in (drain, cut):
        task.cancel()
    await asyncio.gather(drain, cut, return_exceptions=True)


@contextlib.contextmanager
def _signals(stop: asyncio.Event, now: asyncio.Event):  # type: ignore[no-untyped-def]  # a generator of nothing
    loop = asyncio.get_running_loop()

    def heard() -> None:
        (now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _announce(config: Config, app: web.Application, port: int, say: Callable[[str], None]) -> None:
    scheme = "https" if config.tls_cert else "http"
    shown = _shown_host(config)
    workers = app[STATE].workers
    worker = workers.loaded(workers.default)
    device = worker.model.device if worker is not None else "?"
    say(f"relens {version()} is ready: {scheme}://{shown}:{port}/  model {workers.default} on {device}")
    if worker is not None and worker.model.spec.note:
        say(f"{workers.default}: {worker.model.spec.note}")
    if workers.why:
        say(f"{workers.default} was measured to suit this machine: {workers.why}. Another: --model NAME")
    for gpu in app[STATE].gpus.gpus:
        say(f"GPU {gpu.index}: {gpu.words}")
    say(f"Paths: {_paths(config, app)}")
    if not (config.web_path / "index.html").is_file():
        say(f"There is no page in {config.web_path}: run `make setup`, or give --web-dir; the API works")
    if names := named_elsewhere(config):
        say(
            f"No operator_key, and {', '.join(names)} leads here: behind a proxy on this machine that adds "
            "no X-Forwarded-For, whoever comes may change streams. Set operator_key"
        )
    if config.host in LOOPBACK and config.tls_cert:
        say("Only this machine can open it. For the network: --host 0.0.0.0")
    elif config.host in LOOPBACK:
        say(
            "Only this machine can open it. For the network: --host 0.0.0.0 --tls-cert CERT.pem "
            "--tls-key KEY.pem (browsers give a camera only to HTTPS or localhost)"
        )
    elif not config.tls_cert:
        say(
            "No TLS: from other machines browsers play the sample but refuse the camera; "
            "add --tls-cert and --tls-key"
        )


def named_elsewhere(config: Config) -> list[str]:
    """Names by which others than this machine may call a server whose operators are known by being here."""
    if config.operator_key:
        return []
    hosts = {_host_of(origin) for origin in config.allowed_origins}
    return sorted(hosts - {"", *LOOPBACK})


def _host_of(origin: str) -> str:
    """ "" for what names none: `*`, "http://["."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _shown_host(config: Config) -> str:
    host = f"[{config.host}]" if ":" in config.host else config.host
    return "localhost" if config.host in ("0.0.0.0", "::") else host


def _paths(config: Config, app: web.Application) -> str:
    """Which path a stream takes through each model, and why; models of one path together."""
    models: dict[str, list[str]] = {}
    for spec in app[STATE].workers.specs:
        way = app[STATE].media.route(spec, "", config.video_codecs[0])
        models.setdefault(way.words, []).append(spec.name)
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in models.items())


def _reason(error: OSError) -> str:
    """asyncio's own text repeats the address; a resolver's number is not the system's."""
    if isinstance(error, socket.gaierror):
        return str(error.strerror or error)
    return os.strerror(error.errno) if error.errno else str(error)


def listen_remedy(error: OSError) -> str:
    """What to do about an address that cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return "another program uses it; choose another with --port, or 0 for a free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "ports below 1024 need rights; choose another with --port"
    return "give --host an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all"


def allow_open_files() -> None:
    """Many systems give a program 1024 at first and let it have more: idle connections could use those up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def tls_context(config: Config) -> ssl.SSLContext | None:
    if not config.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"tls_cert {config.tls_cert} and tls_key {config.tls_key} do not work together ({error}): "
            "give a PEM certificate and the key that belongs to it"
        ) from error
    return context
