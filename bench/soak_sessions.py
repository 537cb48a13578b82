"""Sessions opened and dropped in every state against a real server, and what it holds afterwards.

Knows the ways a peer can leave: by asking, by closing, by silence, by dying.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Any

import aiohttp
import aioice
from aiortc import RTCConfiguration, RTCPeerConnection

from bench.client import ClientConfig
from bench.error import BenchError
from bench.figures import Progress
from bench.held import Held, held_by_counted
from bench.processes import OUT, ClientProcess, Server, serving
from bench.sdp import host_address, ice_credentials
from bench.stream import post_offer

STATES = ("offer", "deleted", "torn", "ice", "dtls", "streaming", "mid-edit", "killed")
_EMPTY_S = 60.0  # until the server has noticed that everyone has left
_FLAGS = (
    "--connect-timeout-s",
    "3",
    "--idle-s",
    "3",
    "--max-sessions",
    "64",
    "--log-level",
    "warning",
)


class Visitors:
    """Opens sessions and leaves them. Its process of light peers may be killed and is then replaced."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self._server, self._http = server, http
        self._streams: ClientProcess | None = None
        self._next = 0

    async def visit(self, state: str) -> None:
        """One session up to `state`, then gone. Raises BenchError where it was refused."""
        await {
            "offer": self._offer,
            "deleted": self._deleted,
            "torn": self._torn,
            "ice": self._ice,
            "dtls": self._dtls,
            "streaming": self._streaming,
            "mid-edit": self._mid_edit,
            "killed": self._killed,
        }[state]()

    async def close(self) -> None:
        if self._streams is not None:
            await self._streams.close()

    async def _bare(self) -> tuple[RTCPeerConnection, str, str]:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.createDataChannel("edits")
        pc.addTransceiver("video", direction="sendrecv")
        await pc.setLocalDescription(await pc.createOffer())
        try:
            return pc, *await post_offer(self._http, self._server.url, pc.localDescription.sdp)
        except BaseException:
            await pc.close()
            raise

    async def _offer(self) -> None:
        pc, _, _ = await self._bare()
        await pc.close()

    async def _deleted(self) -> None:
        pc, _, location = await self._bare()
        await pc.close()
        await self._delete(location)

    async def _torn(self) -> None:
        """The HTTP connection breaks in the middle of the offer."""
        host, _, port = self._server.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /sessions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/sdp\r\n"
        writer.write(head.encode() + b"Content-Length: 5000\r\n\r\nv=0\r\n")
        await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _ice(self) -> None:
        """ICE comes up and nothing follows: no DTLS hello, then silence."""
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.createDataChannel("edits")
        pc.addTransceiver("video", direction="sendrecv")
        offer = await pc.createOffer()
        await pc.setLocalDescription(offer)
        sdp = pc.localDescription.sdp
        await pc.close()
        username, password = ice_credentials(sdp)
        ice = aioice.Connection(ice_controlling=True, local_username=username, local_password=password)
        lines = [line for line in sdp.split("\r\n") if not line.startswith(("a=candidate", "a=end-of"))]
        answer, _ = await post_offer(self._http, self._server.url, "\r\n".join(lines))
        ice.remote_username, ice.remote_password = ice_credentials(answer)
        host, port = host_address(answer)
        try:
            await ice.gather_candidates()
            await ice.add_remote_candidate(aioice.Candidate("1", 1, "udp", 2130706431, host, port, "host"))
            await ice.add_remote_candidate(None)
            await asyncio.wait_for(ice.connect(), 10)
        except (ConnectionError, TimeoutError) as error:
            raise BenchError(f"ICE alone did not connect: {error!r}") from error
        finally:
            await ice.close()

    async def _stream(self, silent: bool = False) -> tuple[int, str]:
        if self._streams is None:
            self._streams = await ClientProcess.start(
                ClientConfig(320, 240, 24.0, max_s=1200), module="bench.load"
            )
        key, self._next = self._next, self._next + 1
        await self._streams.do("offer", id=key, silent=silent)
        offer = (await self._streams.expect("offer", 30, id=key))["sdp"]
        answer, location = await post_offer(self._http, self._server.url, offer)
        await self._streams.do("answer", id=key, sdp=answer)
        await self._streams.expect("open", 20, id=key)
        return key, location

    async def _leave(self, key: int) -> None:
        assert self._streams is not None
        await self._streams.do("end", id=key)
        await self._streams.expect("gone", 10, id=key)

    async def _dtls(self) -> None:
        key, _ = await self._stream(silent=True)
        await self._leave(key)

    async def _streaming(self) -> None:
        key, _ = await self._stream()
        await asyncio.sleep(0.5)
        await self._leave(key)

    async def _mid_edit(self) -> None:
        key, location = await self._stream()
        assert self._streams is not None
        for revision in range(1, 6):
            message = {"type": "edit", "revision": revision, "prompt": "make it night"}
            await self._streams.do("send", id=key, message=message)
        await asyncio.sleep(0.2)
        await self._delete(location)
        await self._leave(key)

    async def _killed(self) -> None:
        await self._stream()
        await asyncio.sleep(0.3)
        assert self._streams is not None
        self._streams.kill()
        await self._streams.close()
        self._streams = None

    async def _delete(self, location: str) -> None:
        async with self._http.delete(location) as answer:
            if answer.status >= 400:
                raise BenchError(f"DELETE {location} answered {answer.status}")


async def open_sessions(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url + "/sessions") as answer:
        body = await answer.json()
    return len(body["sessions"] if isinstance(body, dict) else body)


async def all_gone(http: aiohttp.ClientSession, url: str, timeout_s: float = _EMPTY_S) -> float:
    """Seconds until the server lists no session. Raises BenchError when some stay."""
    began = time.monotonic()
    while time.monotonic() - began < timeout_s:
        if not await open_sessions(http, url):
            return round(time.monotonic() - began, 2)
        await asyncio.sleep(0.2)
    raise BenchError(f"{await open_sessions(http, url)} sessions are still open after {timeout_s:.0f} s")


async def soak_sessions(model: str, sessions: int, warm_rounds: int = 2) -> dict[str, Any]:
    """`sessions` in turns through STATES after `warm_rounds` that do not count; what is held."""
    told = OUT / "held.json"
    OUT.mkdir(parents=True, exist_ok=True)
    told.unlink(missing_ok=True)
    launcher = [sys.executable, "-m", "bench.counted", str(told)]
    by_state = dict.fromkeys(STATES, 0)
    refused: list[str] = []
    trend: list[Held] = []
    async with (
        serving(model, *_FLAGS, launcher=launcher) as server,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http,
    ):
        visitors = Visitors(server, http)
        try:
            for state in STATES * warm_rounds:
                await visitors.visit(state)
            await all_gone(http, server.url)
            before = await _settled(server, told)
            progress = Progress(sessions, "soak sessions")
            for number in range(sessions):
                state = STATES[number % len(STATES)]
                try:
                    await visitors.visit(state)
                    by_state[state] += 1
                except BenchError as error:
                    refused.append(f"{state}: {error}"[:200])
                if number % (5 * len(STATES)) == 5 * len(STATES) - 1:
                    trend.append(await held_by_counted(server.pid, told))
                    progress.show(number + 1, f"rss {trend[-1]['rssMb']:.0f} MB")
        finally:
            await visitors.close()
        gone_s = await all_gone(http, server.url)
        after = await _settled(server, told)
    return {
        "sessions": sum(by_state.values()),
        "byState": by_state,
        "refused": refused[:20],
        "goneAfterS": gone_s,
        "before": before,
        "after": after,
        "trend": trend,
    }


async def _settled(server: Server, told: Any) -> Held:
    """What is held once the last ends had time to finish."""
    await asyncio.sleep(3)
    return await held_by_counted(server.pid, told)
