"""One edit session over HTTP and WebRTC, as a distant client does it: a colourful picture in, grey ones back.

    python .ci/edit_once.py http://127.0.0.1:8080

Uses only what `make run` installs. Exits with 1 and a sentence when something of it does not work.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from fractions import Fraction

import aiohttp
import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

LIMIT_S = 60.0
PROMPT = "make it black and white"
GREY = 10.0  # mean distance of chroma from its middle


class Camera(VideoStreamTrack):
    """Coloured stripes of 640x480 that move, 24 a second."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._began = time.monotonic()

    async def recv(self) -> av.VideoFrame:
        self._count += 1
        await asyncio.sleep(max(0.0, self._began + self._count / 24 - time.monotonic()))
        x = np.arange(640) + 4 * self._count
        row = np.stack([127 + 120 * np.sin(x / 40 + phase) for phase in (0, 2, 4)], axis=1).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.tile(row, (480, 1, 1))), "rgb24")
        frame.pts, frame.time_base = self._count * 3750, Fraction(1, 90_000)
        return frame


def colour(frame: av.VideoFrame) -> float:
    """Mean distance of both chroma planes from their middle."""
    picture = frame.to_ndarray(format="yuv420p")
    return float(np.abs(picture[frame.height :].astype(int) - 128).mean())


async def session(base: str) -> str:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    channel = connection.createDataChannel("edits")
    heard: list[dict[str, object]] = []
    colours: list[float] = []
    readers: list[asyncio.Task[None]] = []

    async def read(track: VideoStreamTrack) -> None:
        try:
            while True:
                colours.append(colour(await track.recv()))
        except MediaStreamError:
            return

    channel.on("message", lambda data: heard.append(json.loads(data)))
    connection.on("track", lambda track: readers.append(asyncio.ensure_future(read(track))))
    connection.addTrack(Camera())

    async def until(what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"edit session: {what} did not happen within {LIMIT_S:.0f} s")
            await asyncio.sleep(0.02)

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as http:
        async with http.get(f"{base}/") as page:
            if page.status != 200 or "relens" not in await page.text():
                raise SystemExit(f"the page is not there: {page.status}")
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        async with http.post(
            f"{base}/sessions", data=offer, headers={"Content-Type": "application/sdp"}
        ) as reply:
            if reply.status != 201:
                raise SystemExit(f"POST /sessions: {reply.status} {await reply.text()}")
            place, answer = reply.headers["Location"], await reply.text()
        try:
            await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await until("the first picture", lambda: len(colours) > 12 and channel.readyState == "open")
            before = colours[-1]
            channel.send(json.dumps({"type": "edit", "revision": 1, "prompt": PROMPT, "transitionMs": 200}))
            await until(
                "the receipt `applied`",
                lambda: any(m["type"] == "applied" and m.get("revision") == 1 for m in heard),
            )
            await until("a grey picture", lambda: colours[-1] < GREY)
            if before < 2 * GREY:
                raise SystemExit(f"the unedited picture had no colour to lose ({before:.0f})")
            return f"edit session: ok, colour {before:.0f} -> {colours[-1]:.0f} after {PROMPT!r}"
        finally:
            await http.delete(f"{base}{place}")
            await connection.close()
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


if __name__ == "__main__":
    print(asyncio.run(session(sys.argv[1].rstrip("/"))))
