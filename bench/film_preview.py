"""`python -m bench film-preview`: how long somebody waits who opens a film's preview, or seeks in it.

The first: from the offer sent to the first decoded picture at an aiortc viewer. The second: from the seek
sent to the first decoded picture of the new place. Server and viewer are two processes on one machine; the
film is the page's sample clip, looped, each picture marked with the second it belongs to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from bench.error import BenchError
from bench.figures import Progress, json_line, percentile, table
from bench.film_edit import CLIP, FPS
from bench.machine import describe
from bench.processes import serving
from gpu.types import U8

BITS, SIDE = 12, 32  # the mark: black and white squares in the upper left, the lowest bit first
WAIT_S = 20.0
LEAD_S = 1  # a picture up to that much behind the place sought still is of it
PIECE_BYTES = 1 << 20


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clip", type=Path, default=CLIP, help="what is looped")
    parser.add_argument("--size", default="640x480", help="of the film")
    parser.add_argument("--seconds", type=int, default=600, help="length of the film")
    parser.add_argument("--rounds", type=int, default=5, help="previews opened, and seeks")
    parser.add_argument("--model", default="passthrough", help="a model's name")


class Viewer:
    """Receives one preview and knows of the newest picture which second of the film it shows."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection()
        self.channel = self.pc.createDataChannel("edits")
        for kind in ("video", "audio"):
            self.pc.addTransceiver(kind, direction="recvonly")
        self.second = -1
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.pc.on("track", self._begin)

    def _begin(self, track: Any) -> None:
        if track.kind == "video":
            self._task = asyncio.ensure_future(self._watch(track))

    async def _watch(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self.second = read_mark(frame.to_ndarray(format="yuv420p")[: frame.height])
                self._changed.set()

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def until(self, so: Callable[[int], bool]) -> None:
        """A picture of such a second has come. Raises BenchError."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not so(self.second):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise BenchError(
                f"no such picture came within {WAIT_S:.0f} s, the last of second {self.second}"
            ) from None

    async def close(self) -> None:
        await self.pc.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def make_film(clip: Path, film: Path, size: tuple[int, int], seconds: int) -> None:
    """The clip looped, and marked, with a tone. x264's usual distance of keyframes: a seek has its work to
    do."""
    if not clip.is_file():
        raise BenchError(f"there is no clip {clip}: name one with --clip")
    with av.open(str(clip)) as source:
        planes: list[Any] = [each.reformat(*size, "yuv420p").to_ndarray() for each in source.decode(video=0)]
    bar = Progress(seconds, "film-preview: the film")
    with av.open(str(film), "w") as out:
        stream: Any = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "24"}
        sound: Any = out.add_stream("aac", rate=48_000, layout="stereo")
        tone = (np.sin(np.arange(48_000) * 440 * 2 * np.pi / 48_000) / 4).astype(np.float32)
        for number, plane in enumerate(islice(cycle(planes), seconds * FPS)):
            write_mark(plane, number // FPS)
            picture = av.VideoFrame.from_ndarray(plane, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            out.mux(stream.encode(picture))
            if number % FPS == 0:
                second: Any = av.AudioFrame.from_ndarray(tone[None].repeat(2, 0), "fltp", "stereo")
                second.sample_rate, second.pts = 48_000, number // FPS * 48_000
                out.mux(sound.encode(second))
            if number % (10 * FPS) == 0:
                bar.show(number // FPS, "seconds")
        out.mux(stream.encode(None))
        out.mux(sound.encode(None))


def write_mark(luma: U8, second: int) -> None:
    for bit in range(BITS):
        luma[:SIDE, bit * SIDE : (bit + 1) * SIDE] = 235 if second >> bit & 1 else 16


def read_mark(luma: U8) -> int:
    quarter = SIDE // 4
    squares = (
        luma[quarter : SIDE - quarter, bit * SIDE + quarter : (bit + 1) * SIDE - quarter]
        for bit in range(BITS)
    )
    return sum(int(float(np.mean(square)) > 125) << bit for bit, square in enumerate(squares))


async def upload(http: aiohttp.ClientSession, url: str, film: Path) -> str:
    """The video's id once it is ready. Raises BenchError."""
    size = film.stat().st_size  # noqa: ASYNC240  # a file of ours, before anything is measured
    headers = {
        "Tus-Resumable": "1.0.0", "Upload-Length": str(size),
        "Content-Type": "application/offset+octet-stream",
    }  # fmt: skip
    with film.open("rb") as file:
        async with http.post(url + "/files", data=file, headers=headers) as reply:
            if reply.status != 201:
                raise BenchError(f"the upload was answered {reply.status}: {await reply.text()}")
            video = reply.headers["X-Video-Id"]
    for _ in range(1200):
        async with http.get(f"{url}/videos/{video}") as reply:
            found = await reply.json()
        if found["state"] == "ready":
            return video
        if found["state"] == "refused":
            raise BenchError(f"the film was refused: {found['problem']}")
        await asyncio.sleep(0.1)
    raise BenchError("the film was not looked into within two minutes")


async def measure(http: aiohttp.ClientSession, url: str, video: str, args: argparse.Namespace) -> Any:
    """Seconds: (until there was an answer, until the first picture, from a seek to its picture)."""
    answers: list[float] = []
    firsts: list[float] = []
    seeks: list[float] = []
    for number in range(args.rounds):
        viewer = Viewer()
        try:
            offer = await viewer.offer()
            at = (number * 97 + 11) % (args.seconds - 10)
            clicked_s = time.perf_counter()
            async with http.post(
                f"{url}/videos/{video}/preview?at={at}&model={args.model}&prompt=",
                data=offer, headers={"Content-Type": "application/sdp"},
            ) as reply:  # fmt: skip
                text = await reply.text()
                if reply.status != 201:
                    raise BenchError(f"the preview was answered {reply.status}: {text}")
                session = reply.headers["Location"]
            answers.append(time.perf_counter() - clicked_s)
            await viewer.pc.setRemoteDescription(RTCSessionDescription(text, "answer"))
            await viewer.until(lambda second: second >= 0)
            firsts.append(time.perf_counter() - clicked_s)
            await asyncio.sleep(1.0)
            to = (at + args.seconds // 2 + 5) % (args.seconds - 10)
            sought_s = time.perf_counter()
            viewer.channel.send(json.dumps({"type": "seek", "at": to}))
            await viewer.until(lambda second, to=to: to - LEAD_S <= second <= to + WAIT_S)  # type: ignore[misc]
            seeks.append(time.perf_counter() - sought_s)
            async with http.delete(url + session):
                pass
        finally:
            await viewer.close()
    return answers, firsts, seeks


async def run(args: argparse.Namespace) -> dict[str, Any]:
    width, height = (int(side) for side in args.size.split("x"))
    if args.seconds < 60 or args.rounds < 1 or width < BITS * SIDE:
        raise BenchError(f"a film of at least 60 s and {BITS * SIDE} pixels of width, and a round")
    with tempfile.TemporaryDirectory(prefix="relens-preview-") as folder:
        film = Path(folder) / "film.mp4"
        await asyncio.to_thread(make_film, args.clip, film, (width, height), args.seconds)
        async with (
            serving(args.model, "--data-dir", str(Path(folder) / "data")) as server,
            aiohttp.ClientSession() as http,
        ):
            began_s = time.perf_counter()
            video = await upload(http, server.url, film)
            ready_s = time.perf_counter() - began_s
            answers, firsts, seeks = await measure(http, server.url, video, args)
    named = {"offer to answer": answers, "offer to picture": firsts, "seek to picture": seeks}
    rows = [
        [name, 1000 * percentile(values, 0.5), 1000 * percentile(values, 0.95)]
        for name, values in named.items()
    ]
    print(f"upload to ready: {ready_s:.1f} s")
    print(table(["of a preview", "p50, ms", "p95, ms"], rows))
    result = {
        "bench": "film_preview", "machine": describe(), "size": args.size, "seconds": args.seconds,
        "model": args.model, "ready_s": ready_s, "samples_s": named,
    }  # fmt: skip
    print(json_line(result))
    return result
