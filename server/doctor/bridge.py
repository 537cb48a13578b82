"""What OBS and platforms need: RTMP's port, a child that pushes, and an FFmpeg that has SRT."""

from __future__ import annotations

import asyncio
import json
import socket

from server.config import Config
from server.doctor.finding import Finding
from server.push import ffmpeg
from server.push.connection import ENTRY
from server.push.process import MediaChild
from server.push.wire import Message, Say

_START_S = 30.0


def rtmp_port(config: Config) -> list[Finding]:
    """Whether OBS could reach the server by RTMP; without it all else goes on."""
    port = config.rtmp_port
    if not port:
        return []
    name = f"RTMP port {port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            config.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        remedy = "end what listens there (another relens?), or set rtmp_port"
        return [
            Finding(name=name, ok=False, detail=error.strerror or str(error), remedy=remedy, needed=False)
        ]
    return [Finding(name=name, ok=True, detail=f"free on {config.host}")]


def push() -> Finding:
    """Start a child as for a target by RTMP or RTMPS, and hear what holds it."""
    try:
        said = asyncio.run(_ready())
    except (OSError, TimeoutError) as error:
        return Finding(
            name="push by RTMP", ok=False, detail=f"no child starts ({error or type(error).__name__})",
            remedy="free some memory, or look into the log", needed=False,
        )  # fmt: skip
    return Finding(name="push by RTMP", ok=True, detail=f"RTMP and RTMPS, from a child held by {said}")


def srt() -> Finding:
    """Whether SRT can come in and go out."""
    found = ffmpeg.find()
    detail = found.why or f"in and out, by FFmpeg {found.version} at {found.path}"
    return Finding(name="SRT", ok=not found.why, detail=detail, remedy=ffmpeg.NO_SRT, needed=False)


async def _ready() -> str:
    """Raises OSError, TimeoutError."""
    said: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hear(message: Message) -> None:
        if message.kind == Say.READY and not said.done():
            said.set_result("; ".join(json.loads(message.body)["barriers"]))

    def gone() -> None:
        if not said.done():
            said.set_exception(OSError("it ends at once"))

    child = MediaChild(hear, gone)
    try:
        await child.start(ENTRY)
        async with asyncio.timeout(_START_S):
            return await said
    finally:
        await child.end()
