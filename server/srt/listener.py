"""One stream's SRT listener: a child process a caller, begun anew when it is gone. Loop thread only.

FFmpeg listens for one caller at a time: a second one is not answered while the first is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from gpu.errors import RelensError
from gpu.types import Codec
from server.errors import ProtocolError, SessionError, Taken
from server.push import ffmpeg
from server.push.process import MediaChild
from server.push.wire import Message, Say, packed_json
from server.srt.listen import BETWEEN, SILENT_S, command, script
from server.srt.publisher import SrtPublisher, checked_codec
from server.streams.stream import Stream
from server.streams.types import SrtIn

log = logging.getLogger(__name__)

ENTRY = "server.srt.child"
_MEDIA = (Say.VIDEO, Say.AUDIO, Say.CONFIG, Say.NO_SOUND)
_DEFECT = "a defect of relens: look into its log; it listens again in a while"
CODECS: tuple[Codec, ...] = ("h264", "hevc")
_FIRST_S, _MOST_S = 0.2, 30.0  # between two listeners; ever longer ones where it cannot listen, or we fail
_LISTENS_S = 3.0  # a child that lived so long listens
_REFUSED_S = 2.0  # after a caller that was not taken


class SrtListener:
    """From `start` to `close`."""

    def __init__(self, stream: Stream, settings: SrtIn, host: str, silent_s: float = SILENT_S) -> None:
        """`host`: the address to listen on. `silent_s`: a caller that sends nothing for so long is gone."""
        self.settings = settings
        self.problem = ""  # why nobody can publish here, or the last who called; "" while it listens
        self._stream, self._host, self._silent_s = stream, host, silent_s
        self._task: asyncio.Task[None] | None = None
        self._caller: _Caller | None = None
        self._sound = True  # False: of a caller whose sound FFmpeg cannot pass on, when it calls again

    @property
    def pid(self) -> int:
        """The child's; 0: none now."""
        return self._caller.child.pid if self._caller is not None else 0

    def start(self) -> None:
        name = f"srt-{self._stream.name}"
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def close(self) -> None:
        """Idempotent; bounded."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        found = await asyncio.to_thread(ffmpeg.find)
        if found.why:
            self._say(f"{found.why}: {ffmpeg.NO_SRT}")
            return
        delay_s = _FIRST_S
        while True:
            one = self._caller = _Caller(self._stream, self._host, self.settings, self._silent_s, self._sound)
            began_s = time.monotonic()
            try:
                await self._listen(one, found.path)
            except Exception:  # a defect of ours: this listener alone waits and tries again
                log.exception("stream %s: its SRT listener failed", self._stream.name)
                one.failed, one.why = True, _DEFECT
            self._say(one.why)
            self._sound = not one.sound_fails and (self._sound or one.called)
            if one.failed or (not one.called and time.monotonic() - began_s < _LISTENS_S):
                delay_s = min(2 * delay_s, _MOST_S)
            else:
                delay_s = _REFUSED_S if one.why or one.refused else _FIRST_S
            await asyncio.sleep(delay_s)

    async def _listen(self, one: _Caller, program: str) -> None:
        listens = asyncio.get_running_loop().call_later(_LISTENS_S, self._say, "")
        try:
            await one.run(program)
        finally:
            listens.cancel()
            self._caller = None
            try:
                one.leave()
            finally:
                await one.child.end()

    def _say(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("stream %s cannot be published to by SRT: %s", self._stream.name, problem)
        self.problem = problem


class _Caller:
    """One child, from its listening to the end of the one that called."""

    def __init__(self, stream: Stream, host: str, settings: SrtIn, silent_s: float, sound: bool) -> None:
        """`sound` False: it is left out, whatever it is."""
        self.child = MediaChild(self._on_message, self._on_gone)
        self.sound_fails = False  # FFmpeg cannot pass it on
        self.called = self.refused = self.failed = False  # it sent media; it was not taken; a defect of ours
        self.why = ""  # nobody published, in words
        self._stream, self._host, self._settings, self._silent_s = stream, host, settings, silent_s
        self._sound = sound
        self._clock: asyncio.Timeout | None = None  # runs while somebody publishes
        self._publisher: SrtPublisher | None = None
        self._published = False  # the stream took it
        self._opening: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    async def run(self, program: str) -> None:
        try:
            await self.child.start(ENTRY)
        except OSError as error:
            self.why = f"no process to listen with ({error.strerror}): free some memory"
            return
        self.child.send(order(program, self._host, self._settings, self._silent_s, self._sound))
        try:
            async with asyncio.timeout(None) as self._clock:
                await self._over.wait()  # as long as it takes until somebody calls; `close` cancels
        except TimeoutError:
            self._fell_silent()
        finally:
            self._clock = None
        if self._opening is not None:
            self._opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening

    def leave(self) -> None:
        """Idempotent."""
        publisher, self._publisher = self._publisher, None
        if self._opening is not None:
            self._opening.cancel()
        if publisher is not None:
            publisher.close()
            self._stream.unpublish(publisher, "publisher-gone", "the SRT caller is gone")

    def _on_message(self, message: Message) -> None:
        try:
            if message.kind == Say.HEAD:
                self._begin(message)
            elif message.kind in _MEDIA and self._publisher is not None:
                self._wait()
                self._publisher.take(message)
            elif message.kind == Say.NOTE:
                log.warning("stream %s, SRT: %s", self._stream.name, message.body.decode("utf-8", "replace"))
            elif message.kind == Say.FAILED:
                self._failed(str(message.json().get("message")))
        except (ProtocolError, ValueError) as error:
            self._refuse(str(error))

    def _begin(self, message: Message) -> None:
        self.called = True
        said = message.json()
        codec = checked_codec(said.get("video"), CODECS)
        publisher = self._publisher = SrtPublisher(
            self._stream, codec, str(said.get("audio", "")), self._on_end
        )
        if left_out := str(said.get("not_taken", "")) if self._sound else "unknown":
            publisher.leave_out(left_out, f"{left_out} sound is not taken: set the encoder to AAC")
        self._wait()
        self._opening = asyncio.get_running_loop().create_task(self._publish(publisher), name="srt-publish")

    async def _publish(self, publisher: SrtPublisher) -> None:
        try:
            await self._stream.publish(publisher, publisher.codec)
        except Taken:  # by SRT nobody can say that they take over
            self._refuse("somebody publishes there already: end that first")
            return
        except (SessionError, RelensError) as error:
            self._refuse(str(error))
            return
        except Exception:  # a defect of ours
            log.exception("stream %s: an SRT caller cannot publish", self._stream.name)
            self.failed, self.why = True, _DEFECT
            self._over.set()
            return
        self._published = True
        publisher.flow()

    def _wait(self) -> None:
        """The clock begins anew."""
        if self._clock is not None and not self._clock.expired():
            self._clock.reschedule(asyncio.get_running_loop().time() + self._silent_s)

    def _refuse(self, why: str) -> None:
        self.refused = True
        log.warning("stream %s: an SRT caller is refused: %s", self._stream.name, why)
        self._over.set()

    def _fell_silent(self) -> None:
        why = f"no media within {self._silent_s:g} s"
        if not self._published:
            self._refuse(why)
            return
        self.refused = True  # others have their turn first
        log.warning("stream %s: its SRT publisher fell silent: %s", self._stream.name, why)
        self._over.set()

    def _failed(self, why: str) -> None:
        if why == "port":
            port = self._settings.port
            self.why = f"port {port} cannot be listened on: is it in use? Set another one"
        elif not self.called and why == "sound":
            self.sound_fails = True
            self.why = (
                "the last caller's sound is not taken, and is left out when it calls again: set it to AAC"
            )
        elif not self.called and why == "silent":
            self.why = f"the last caller sent nothing within {self._silent_s:g} s: start its encoder"
        elif not self.called:
            self.why = "what the last caller sent is no MPEG-TS with H.264 or HEVC: send that"
        self._over.set()

    def _on_end(self, code: str, message: str) -> None:
        """The stream wants no more of it."""
        self.refused = True
        self._over.set()

    def _on_gone(self) -> None:
        if not self._over.is_set():  # without a last word
            self.why = "its process ended by itself: a new one listens in a moment"
        self._over.set()


def order(program: str, host: str, settings: SrtIn, silent_s: float = SILENT_S, sound: bool = True) -> bytes:
    """What a child is told to do."""
    said = script(host, settings, silent_s)
    return packed_json(Say.OPEN, command=command(program, sound), script=said, between=BETWEEN)
