"""The yardstick: a plain aiortc echo behind the same door (`POST /sessions`). `python -m bench.echo PORT`.

Decodes in aiortc, sends the decoded frames back through aiortc's own encoder, as its examples do. No edit.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid

from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay


class Echo:
    def __init__(self) -> None:
        self._peers: dict[str, RTCPeerConnection] = {}
        self._relay = MediaRelay()

    async def open(self, request: web.Request) -> web.Response:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))

        @pc.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            pc.addTrack(self._relay.subscribe(track))

        await pc.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        key = uuid.uuid4().hex
        self._peers[key] = pc
        return web.Response(
            status=201,
            text=pc.localDescription.sdp,
            content_type="application/sdp",
            headers={"Location": f"/sessions/{key}"},
        )

    async def end(self, request: web.Request) -> web.Response:
        pc = self._peers.pop(request.match_info["key"], None)
        if pc is None:
            return web.Response(status=404)
        await pc.close()
        return web.Response(status=200)

    async def close(self, _: web.Application) -> None:
        await asyncio.gather(*(pc.close() for pc in self._peers.values()))


async def ready(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def main(port: int) -> None:
    import uvloop

    echo, app = Echo(), web.Application()
    app.router.add_post("/sessions", echo.open)
    app.router.add_delete("/sessions/{key}", echo.end)
    app.router.add_get("/readyz", ready)
    app.on_shutdown.append(echo.close)
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=port, loop=loop, print=lambda _: None, handle_signals=True)


if __name__ == "__main__":
    signal.alarm(int(sys.argv[2]) if len(sys.argv) > 2 else 900)
    main(int(sys.argv[1]))
