"""Encoders and players of others: FFmpeg publishes with B-frames and AAC, and plays; libav sends HEVC."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from server.rtmp.server import RtmpServer
from tests.server import lip_sync
from tests.server.rtmp.rtmp_client import rtmp_server
from tests.server.streams.stream_parts import KEY, Server, Watcher, until

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs FFmpeg: apt-get install ffmpeg"),
]
FADES_AND_BEEPS = (
    "-f", "lavfi", "-i", f"color=black:s=160x120:r=30,{lip_sync.PICTURES}",
    "-f", "lavfi", "-i", f"aevalsrc='{lip_sync.SOUND}':s=44100",
)  # fmt: skip
PICTURES = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=30")
LIKE_OBS = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "30", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-ac", "2", "-b:a", "96k")
HEVC_CHILD = """
import sys, time
from fractions import Fraction
import av, numpy as np
out = av.open(sys.argv[1], "w", format="flv")
stream = out.add_stream("libx265", rate=30)
stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
stream.codec_context.options = {"preset": "ultrafast", "tune": "zerolatency",
                                "x265-params": "log-level=0:pools=none:frame-threads=1:keyint=15"}
for number in range(60):
    ramp = np.roll(np.tile(np.arange(160, dtype=np.uint8), (96, 1)), 3 * number, 1)
    frame = av.VideoFrame.from_ndarray(np.stack([ramp] * 3, 2), "rgb24")
    frame.pts, frame.time_base = number, Fraction(1, 30)
    for packet in stream.encode(frame):
        out.mux(packet)
    time.sleep(1 / 30)
for packet in stream.encode(None):
    out.mux(packet)
out.close()
"""


@asynccontextmanager
async def child(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def ffmpeg(*arguments: str):  # type: ignore[no-untyped-def]  # what `child` gives
    return child("ffmpeg", "-hide_banner", "-loglevel", "error", *arguments)


def url(rtmp: RtmpServer, query: str = f"?key={KEY}") -> str:
    return f"rtmp://127.0.0.1:{rtmp.port}/live/cam{query}"


def facts_of(served: Server) -> tuple[str, str]:
    stream = served.streams.get("cam")
    assert stream is not None
    publisher = stream.facts().publisher
    return (publisher.codec, publisher.audio) if publisher is not None else ("", "")


async def test_ffmpeg_publishes_with_b_frames_and_another_ffmpeg_plays(tmp_path: Path) -> None:
    """Picture and sound in step to the end: OBS to us, decoded, encoded, and played."""
    async with rtmp_server() as (served, rtmp):
        stream, watcher = await served.stream("cam"), Watcher()
        publish = ffmpeg("-re", *FADES_AND_BEEPS, *LIKE_OBS, *AAC, "-f", "flv", url(rtmp))
        async with publish:
            await until(lambda: stream.state == "live")
            await stream.add_viewer(watcher)
            await until(lambda: len(watcher.frames) > 30 and len(watcher.sounds) > 30, 30)
            assert facts_of(served) == ("h264", "aac")
            times = [frame.pts for frame in watcher.frames]
            assert all(after > before for before, after in pairwise(times)), "out of order"
            heard = [packet.pts for packet in watcher.sounds]
            assert all(after > before for before, after in pairwise(heard))
            assert abs(times[-1] / 90_000 - heard[-1] / 48_000) < 2, "one clock"
            played = "stream=codec_name,width,height,sample_rate,channels"
            probe = child(
                "ffprobe", "-v", "error", "-show_entries", played, "-of", "csv=p=0", "-read_intervals", "%+1",
                url(rtmp, ""),
            )  # fmt: skip
            async with probe as process:
                out, _ = await asyncio.wait_for(process.communicate(), 40)
            assert sorted(out.decode().split()) == ["aac,48000,2", "h264,160,120"]
            recorded = tmp_path / "played.flv"
            async with ffmpeg("-i", url(rtmp, ""), "-t", "4", "-c", "copy", str(recorded)) as process:
                out, _ = await asyncio.wait_for(process.communicate(), 40)
    apart = lip_sync.recorded(recorded)
    assert len(apart) >= 2, out.decode()
    assert max(map(abs, apart)) <= 0.02, apart


@pytest.mark.parametrize("query", ["", "?key=wrong"])
async def test_ffmpeg_is_told_that_its_key_is_wrong(query: str) -> None:
    async with rtmp_server() as (_, rtmp):
        publish = ffmpeg(*PICTURES, "-t", "1", *LIKE_OBS, "-f", "flv", url(rtmp, query))
        async with publish as process:
            out, _ = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode != 0
        assert "Server error: the key of cam is missing or wrong" in out.decode()


async def test_libav_publishes_hevc_by_enhanced_rtmp() -> None:
    async with rtmp_server() as (served, rtmp):
        stream, watcher = await served.stream("cam"), Watcher()
        async with child(sys.executable, "-c", HEVC_CHILD, url(rtmp)) as process:
            await until(lambda: stream.state == "live" or process.returncode is not None, 40)
            await stream.add_viewer(watcher)
            await until(lambda: stream.facts().width == 160 or process.returncode is not None, 40)
            assert stream.facts().width == 160
            out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, out.decode()
        await until(lambda: len(watcher.frames) > 5)


async def test_libav_is_told_that_hevc_is_not_taken() -> None:
    async with rtmp_server(codecs=("h264",)) as (_, rtmp):
        async with child(sys.executable, "-c", HEVC_CHILD, url(rtmp)) as process:
            out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode != 0, out.decode()
