"""FFmpeg as a real SRT caller: with pictures and sound as OBS sends them, or with bytes that it is given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.server import lip_sync
from tests.server.push.platforms import FFMPEG

_PICTURES = ["-re", "-f", "lavfi", "-i", f"color=black:160x120:25,{lip_sync.PICTURES}"]
_SOUND = ["-re", "-f", "lavfi", "-i", f"aevalsrc='{lip_sync.SOUND}':s=48000"]
NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * 184  # of MPEG-TS: means nothing
_X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25"]


@contextlib.asynccontextmanager
async def caller(
    port: int, passphrase: str, kind: str = "mpegts", sound: str = "aac"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Calls until it is taken, or ends by itself where it is refused."""
    url = f"srt://127.0.0.1:{port}?mode=caller&connect_timeout=3000"
    process = await asyncio.create_subprocess_exec(
        FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", *_PICTURES, *_SOUND, *_X264,
        "-pix_fmt", "yuv420p", "-c:a", sound, "-strict", "-2", "-ac", "2", "-t", "60", "-f", kind,
        "-passphrase", passphrase, url, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def connection(port: int, passphrase: str) -> AsyncIterator[asyncio.StreamWriter]:
    """One that is taken and sends what is written to it, nothing else: begins once somebody listens."""
    for _ in range(40):
        process = await asyncio.create_subprocess_exec(
            FFMPEG, "-hide_banner", "-nostats", "-loglevel", "info", "-f", "data", "-i", "pipe:0",
            "-map", "0", "-c", "copy", "-flush_packets", "0", "-f", "data", "-passphrase", passphrase,
            f"srt://127.0.0.1:{port}?mode=caller&connect_timeout=3000&pkt_size=1316",
            stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            process.stdin.write(NULL_PACKET)  # FFmpeg calls nobody before something came in
            async with asyncio.timeout(30):
                while line := await process.stderr.readline():
                    if line.startswith(b"Output #0"):  # it is taken
                        yield process.stdin
                        return
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
    raise AssertionError("nobody listens")
