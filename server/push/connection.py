"""One connection to a target: its child process, and what is sent to it. Ends once, with a reason.

Knows neither FLV nor the network: a target that hangs, lies or is gone is a child that is ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gpu.stats import RateMeter
from gpu.types import EncodedFrame
from server.errors import CapacityError, NotLive
from server.peer.types import EncodedAudio
from server.push.address import Address
from server.push.backlog import Backlog
from server.push.process import MediaChild
from server.push.wire import KEYFRAME, Message, Say, packed, packed_json
from server.sound.types import AacFrame
from server.streams.types import Viewer

ENTRY = "server.push.child"
_WRITTEN_TICKS = 45_000  # less behind is written: progress is told ten times a second


class Feed(Protocol):
    """What is pushed: a Stream, as far as a pusher knows it."""

    @property
    def name(self) -> str: ...
    async def add_viewer(self, viewer: Viewer) -> None: ...
    def remove_viewer(self, viewer: Viewer) -> None: ...
    def want_keyframe(self, viewer: Viewer) -> None: ...


class Sound(Protocol):
    """Takes the sound of the stream, and gives it back as AAC by Pusher.send_aac."""

    def audio(self, packet: EncodedAudio) -> None: ...
    def video(self, pts: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a target may take, and how long it is left alone. Seconds."""

    starting_s: float = 30.0  # for the child to load its libraries
    opening_s: float = 15.0
    writing_s: float = 10.0  # without progress, while there is something to write
    first_s: float = 1.0
    most_s: float = 60.0
    good_s: float = 60.0  # of pushing, after which the next failure counts as the first
    ending_s: float = 2.0
    tick_s: float = 0.25


@dataclass(frozen=True, slots=True)
class End:
    """How a try ended."""

    code: str  # "refused", "unreachable", "hung", "defect", "not-live", "full"
    message: str
    good_s: float = 0.0


class Connection:
    """Loop thread only."""

    def __init__(self, feed: Feed, viewer: Viewer, sound: Sound, patience: Patience, rate: RateMeter) -> None:
        self.child = MediaChild(self._on_message, self._on_gone)
        self.backlog = Backlog()
        self.flowing = False  # connected, and a keyframe was sent since
        self._feed, self._viewer, self._sound, self._rate = feed, viewer, sound, rate
        self._patience = patience
        self._host = ""
        self._connected: Callable[[], None] = lambda: None
        self._done: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._ready = asyncio.Event()
        self._opening_s = 0.0  # when the first keyframe was sent; 0: not yet
        self._good_s = 0.0  # when it was connected; 0: not yet
        self._progress_s = 0.0

    async def run(self, address: Address, program: str, connected: Callable[[], None]) -> End:
        """Until it ends. `program`: FFmpeg's path, for SRT. `connected` is called once, at most."""
        self._host, self._connected = f"{address.host}:{address.port}", connected
        try:
            await self.child.start(ENTRY)
        except OSError as error:
            return End("defect", f"no process to push with ({error.strerror}): free some memory")
        try:
            async with asyncio.timeout(self._patience.starting_s):
                await self._ready.wait()
        except TimeoutError:
            return End("hung", "the process that pushes did not start: free some memory, see `relens doctor`")
        if self._done.done():
            return self._done.result()
        self.child.send(
            packed_json(
                Say.OPEN, scheme=address.scheme, host=address.host, port=address.port, url=address.url,
                options=address.options, ffmpeg=program,
            )
        )  # fmt: skip
        try:
            await self._feed.add_viewer(self._viewer)
        except NotLive as error:
            return End("not-live", str(error))
        except CapacityError as error:
            return End("full", str(error))
        while not self._done.done():
            await asyncio.wait([self._done], timeout=self._patience.tick_s)
            self._watch()
        return self._done.result()

    def over(self, end: End) -> None:
        if not self._done.done():
            self._done.set_result(end)
        self._ready.set()

    def video(self, frame: EncodedFrame) -> None:
        if self._done.done():
            return
        if frame.codec != "h264":
            self.over(End("refused", f"platforms take H.264, the stream is {frame.codec}: set its codec"))
            return
        if not self._opening_s:  # the first keyframe is what the target is opened with
            if frame.is_keyframe:
                self._opening_s = time.monotonic()
                self._send_video(frame)
            return
        if not self._good_s:
            return  # not connected: what would be sent now were late
        if not self.flowing:
            if not frame.is_keyframe:
                return
            self.flowing = True
            self.backlog.begin(frame.pts)
            self.child.send(packed(Say.RESUME))
        elif not self.backlog.video(frame.pts, frame.is_keyframe, self.child.waiting_bytes):
            if self.backlog.wants_keyframe:  # not sooner: keyframes cost all viewers
                self._feed.want_keyframe(self._viewer)
            return
        self._send_video(frame)
        self._sound.video(frame.pts)

    def aac(self, frame: AacFrame) -> None:
        if self.flowing and not self.backlog.dropping and not self._done.done():
            self._rate.saw(time.monotonic_ns(), len(frame.data))
            self.child.send(packed(Say.AUDIO, frame.pts_48k, frame.data))

    def _send_video(self, frame: EncodedFrame) -> None:
        if self.child.waiting_bytes == 0 and self.backlog.behind_ticks == 0:
            self._progress_s = time.monotonic()  # from now on there is something to write
        self._rate.saw(time.monotonic_ns(), len(frame.data))
        self.child.send(packed(Say.VIDEO, frame.pts, frame.data, KEYFRAME if frame.is_keyframe else 0))

    def _on_message(self, message: Message) -> None:
        if message.kind == Say.READY:
            self._ready.set()
        elif message.kind == Say.CONNECTED:
            self._good_s = self._progress_s = time.monotonic()
            self._connected()
            self._feed.want_keyframe(self._viewer)
        elif message.kind == Say.PROGRESS:
            self._progress_s = time.monotonic()
            self.backlog.written(message.pts)
        elif message.kind == Say.FAILED:
            said = message.json()
            self.over(
                End(str(said["code"]), self._words(str(said["code"]), str(said["message"])), self._good())
            )

    def _words(self, code: str, message: str) -> str:
        if code == "refused":
            return f"{self._host} refuses: {message}. Check the target's URL and key"
        if code == "unreachable" and self._good_s and self._good() < self._patience.opening_s:
            return f"{self._host}: {message}, soon after it began: check the key, and who else uses it"
        return f"{self._host}: {message}"

    def _on_gone(self) -> None:
        self.over(End("defect", "the process that pushes ended; a new one takes over", self._good()))

    def _watch(self) -> None:
        now_s = time.monotonic()
        if self._done.done() or not self._opening_s:
            return
        if not self._good_s:
            if now_s - self._opening_s > self._patience.opening_s:
                self.over(
                    End("hung", f"{self._host} does not answer: check its address, or whether it is down")
                )
        elif self.child.waiting_bytes == 0 and self.backlog.behind_ticks < _WRITTEN_TICKS:
            self._progress_s = now_s
        elif now_s - self._progress_s > self._patience.writing_s:
            self.over(
                End("hung", f"{self._host} takes nothing any more: a new connection is tried", self._good())
            )

    def _good(self) -> float:
        return time.monotonic() - self._good_s if self._good_s else 0.0
