"""One RTMP connection, from its first byte to its last: who it is, what it may, how long it may be silent.

Knows the streams and their keys; not what the bytes mean (Connection), nor what media is made of.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from gpu.errors import RelensError
from gpu.types import Codec
from server.errors import NoKey, NotLive, ProtocolError
from server.rtmp.aac_fan import AacFan
from server.rtmp.address import APP, Address
from server.rtmp.connection import Connection, Phase
from server.rtmp.events import Described, Ended, Event, Media, PlayAsked, PublishAsked
from server.rtmp.handshake import speaks_http
from server.rtmp.limits import RtmpLimits
from server.rtmp.pacing import Pacing
from server.rtmp.publisher import RtmpPublisher
from server.rtmp.viewer import RtmpViewer
from server.streams.stream import Stream
from server.streams.streams import Streams

log = logging.getLogger(__name__)

_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks RTMP. The page and the API are on the other port.\n"
)
_Begin: TypeAlias = Callable[[Stream, Address], Awaitable[None]]
_DISCARD_BYTES = 4 << 20  # of what a peer still sends while it is hung up on
_GOODBYES = ("stream-ended", "going-away", "deleted")  # ends that are nobody's fault


class RtmpPeer:
    """Made by RtmpServer for each connection; `run` is its task."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        streams: Streams,
        codecs: tuple[Codec, ...],
        limits: RtmpLimits,
        fan_of: Callable[[str], AacFan],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._streams, self._codecs, self._limits, self._fan_of = streams, codecs, limits, fan_of
        peer = writer.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._connection = Connection(limits.publisher)
        self._pacing = Pacing(limits.rate_bytes, limits.rate_messages, limits.burst_s)
        self._clock: asyncio.Timeout | None = None
        self._late = ("", "")  # code and words, when the clock runs out
        self._over: tuple[str, str] | None = None
        self._publisher: RtmpPublisher | None = None
        self._viewer: RtmpViewer | None = None
        self._stream: Stream | None = None

    @property
    def is_stranger(self) -> bool:
        """It neither publishes nor plays."""
        return self._stream is None

    async def run(self) -> None:
        """Until either side ends it; never raises but when cancelled."""
        code, message = "internal", "the server stops"
        try:
            code, message = await self._talk()
        except RelensError as error:
            code, message = getattr(error, "code", "failed"), str(error)
            self._connection.fail(message)
        except OSError as error:
            code, message = "peer-lost", f"the connection broke: {error}"
        except asyncio.CancelledError:
            raise
        except Exception:  # a defect of ours ends this connection and no other
            log.exception("RTMP from %s failed", self.address)
            message = "this is a defect of relens: look into its log"
            self._connection.fail(message)
        finally:
            log.info("RTMP from %s is over: %s (%s)", self.address, message, code)
            self._leave(code, message)
            await self._hang_up()

    def end(self, code: str, message: str) -> None:
        """Begin to end it; idempotent."""
        if self._over is None:
            self._over = (code, message)
            self._wait(0, code, message)

    # -- Outlet

    @property
    def unsent_bytes(self) -> int:
        return int(self._writer.transport.get_write_buffer_size())

    def send(self, kind: int, time_ms: int, payload: bytes) -> None:
        if self._over is None and not self._writer.transport.is_closing():
            self._writer.write(self._connection.media(kind, time_ms, payload))

    # -- inside

    async def _talk(self) -> tuple[str, str]:
        """-> why it ended, as code and words."""
        if self._over is not None:
            return self._over
        try:
            async with asyncio.timeout(None) as self._clock:
                self._wait(self._limits.handshake_s, "slow", "no RTMP handshake")
                while data := await self._reader.read(self._limits.read_bytes):
                    await self._hear(data)
                    if self._connection.phase is Phase.ENDED:
                        return "ended", "it stopped"
                return "ended", "it hung up"
        except TimeoutError:
            code, message = self._over or self._late
            if code in _GOODBYES and self._viewer is not None:
                self._connection.finish(message)
            else:
                self._connection.fail(message)
            return code, message
        finally:
            self._clock = None

    async def _hear(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        before = self._connection.phase
        if before is Phase.HANDSHAKE and speaks_http(data):
            self._writer.write(_HTTP_ANSWER)
        heard = self._connection.heard
        for event in self._connection.push(data):
            await self._do(event)
            self._answer()
        self._answer()
        if before is Phase.HANDSHAKE and self._connection.phase in (Phase.STRANGER, Phase.CONNECTED):
            self._wait(self._limits.ask_s, "slow", "neither publish nor play")
        wait_s = self._pacing.spend(len(data), self._connection.heard - heard, loop.time())
        await asyncio.sleep(wait_s)  # even 0: the others have their turn

    async def _do(self, event: Event) -> None:
        if isinstance(event, Media):
            if self._publisher is not None:
                self._wait(self._limits.idle_s, "idle", "no media")
                self._publisher.take(event)
        elif isinstance(event, PublishAsked):
            await self._begin(event.address, "NetStream.Publish.BadName", self._publish)
        elif isinstance(event, PlayAsked):
            await self._begin(event.address, "NetStream.Play.StreamNotFound", self._play)
        elif isinstance(event, Described):
            if self._publisher is not None:
                self._publisher.software = event.software or self._publisher.software
        elif isinstance(event, Ended):
            self._leave("ended", "the publisher ended the stream")

    async def _begin(self, address: Address, code: str, begin: _Begin) -> None:
        """Raises nothing for what is refused: the peer is told."""
        self._wait(None, "", "")  # opening a stream has a clock of its own
        stream = self._streams.get(address.stream)
        try:
            if stream is None:
                raise NotLive(f"there is no stream {address.stream!r} on this server: make it on the page")
            await begin(stream, address)
        except RelensError as error:
            message = _with_key(address) if isinstance(error, NoKey) else str(error)
            if stream is None:  # its "name" may be a key in the wrong place
                log.info("RTMP from %s is refused: there is no stream of the name it gives", self.address)
            else:
                log.info("RTMP from %s: %s is refused: %s", self.address, stream.name, message)
            self._connection.refuse(code, message)

    async def _publish(self, stream: Stream, address: Address) -> None:
        self._streams.access.publish(stream, address.key, self.address)
        publisher = RtmpPublisher(stream, self._codecs, self.address, self.end)
        publisher.software = self._connection.software
        silent_s = float(getattr(stream.publisher, "silent_s", 0.0))
        takeover = address.takeover or silent_s > self._limits.silent_s
        await stream.publish(publisher, "h264", takeover=takeover)  # or what its sequence header says
        self._stream, self._publisher = stream, publisher
        self._connection.accept()
        self._wait(self._limits.idle_s, "idle", "no media")

    async def _play(self, stream: Stream, address: Address) -> None:
        self._streams.access.view(stream, address.key, self.address)
        viewer = RtmpViewer(stream, self, self._fan_of(stream.name), self._limits)
        try:
            await stream.add_viewer(viewer)
        except BaseException:
            viewer.close()
            raise
        self._stream, self._viewer = stream, viewer
        self._connection.accept()
        self._answer()
        viewer.begin()

    def _leave(self, code: str, message: str) -> None:
        """The stream is told; idempotent."""
        if self._publisher is not None and self._stream is not None:
            self._publisher.close()
            self._stream.unpublish(self._publisher, code, message)
        if self._viewer is not None:
            self._viewer.close()
        self._publisher = self._viewer = None

    def _answer(self) -> None:
        out = self._connection.take()
        if not out:
            return
        self._writer.write(out)
        spare = self._limits.send_bytes if self._viewer is not None else 0
        if self.unsent_bytes > spare + self._limits.reply_bytes:
            raise ProtocolError("it does not read its answers")

    def _wait(self, seconds: float | None, code: str, words: str) -> None:
        """The clock runs out after `seconds`, None: never."""
        if self._over is not None and seconds != 0:
            return
        self._late = (code, f"{words} within {seconds:g} s" if seconds else words)
        if self._clock is not None and not self._clock.expired():
            loop = asyncio.get_running_loop()
            self._clock.reschedule(None if seconds is None else loop.time() + seconds)

    async def _hang_up(self) -> None:
        """The last words are let arrive, then it is over whatever the peer does."""
        try:
            self._writer.write(self._connection.take())
            async with asyncio.timeout(self._limits.hang_up_s):
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                left = _DISCARD_BYTES
                while left > 0 and (data := await self._reader.read(self._limits.read_bytes)):
                    left -= len(data)
        except (TimeoutError, OSError, RuntimeError):
            pass
        finally:
            self._writer.transport.abort()
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self._limits.hang_up_s):
                    await self._writer.wait_closed()


def _with_key(address: Address) -> str:
    stream = address.stream
    return (
        f"the key of {stream} is missing or wrong: write {address.server}/{APP}/{stream}?key=KEY, "
        f"in OBS the stream key {stream}?key=KEY"
    )
