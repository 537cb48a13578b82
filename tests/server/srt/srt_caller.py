"""FFmpeg as a real SRT caller, with pictures and sound as OBS sends them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.server import lip_sync
from tests.server.push.platforms import FFMPEG

_PICTURES = ["-re", "-f", "lavfi", "-i", f"color=black:160x120:25,{lip_sync.PICTURES}"]
_SOUND = ["-re", "-f", "lavfi", "-i", f"aevalsrc='{lip_sync.SOUND}':s=48000"]
_X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25"]


@contextlib.asynccontextmanager
async def caller(
    port: int, passphrase: str, kind: str = "mpegts"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Calls until it is taken, or ends by itself where it is refused."""
    url = f"srt://127.0.0.1:{port}?mode=caller&connect_timeout=3000"
    process = await asyncio.create_subprocess_exec(
        FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", *_PICTURES, *_SOUND, *_X264,
        "-pix_fmt", "yuv420p", "-c:a", "aac", "-t", "60", "-f", kind,
        "-passphrase", passphrase, url, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
