"""Pushes one stream to one target: one connection after another, and longer and longer waits between them.

What the target did to a connection is told in words; how it is spoken to is not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from gpu.stats import RateMeter
from gpu.types import EncodedFrame
from server.backoff import Backoff
from server.peer.types import EncodedAudio
from server.push import ffmpeg
from server.push.address import Address, BadTarget, read_address, shown_host
from server.push.connection import Connection, End, Feed, Patience, Sound
from server.sound.types import AacFrame
from server.streams.types import Target, TargetFacts, TargetState, ViewerKind

log = logging.getLogger(__name__)


class Pusher:
    """One target of one stream, from `start` to `close`. Loop thread only; a Viewer of its stream."""

    kind: ViewerKind = "push"

    def __init__(self, target: Target, feed: Feed, sound: Sound, patience: Patience | None = None) -> None:
        self.target = target
        self.patience = patience or Patience()
        self._feed, self._sound = feed, sound
        self._task: asyncio.Task[None] | None = None
        self._state: TargetState = "connecting"
        self._message = ""
        self._since_s = time.monotonic()
        self._backoff = Backoff(self.patience.first_s, self.patience.most_s, self.patience.good_s)
        self._rate = RateMeter()
        self._try: Connection | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"push-{self._feed.name}")

    async def close(self) -> None:
        """Idempotent; bounded: the target hears the end where it listens."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def facts(self) -> TargetFacts:
        return TargetFacts(
            name=self.target.name,
            host=shown_host(self.target.url),
            state=self._state,
            message=self._message,
            since_s=round(time.monotonic() - self._since_s, 1),
            bitrate_bps=self._rate.rate(time.monotonic_ns())[1] if self._state == "pushing" else 0,
            retries=self._backoff.failures,
        )

    @property
    def pid(self) -> int:
        """Of the child; 0: none now."""
        return self._try.child.pid if self._try is not None else 0

    @property
    def waiting_bytes(self) -> int:
        """What waits in the server for this target."""
        return self._try.child.waiting_bytes if self._try is not None else 0

    @property
    def dropped(self) -> int:
        """Frames that this connection was too slow for."""
        return self._try.backlog.dropped if self._try is not None else 0

    # a Viewer

    def send_video(self, frame: EncodedFrame) -> None:
        if self._try is not None:
            self._try.video(frame)

    def send_audio(self, packet: EncodedAudio) -> None:
        if self._try is not None and self._try.flowing:
            self._sound.audio(packet)

    def send_aac(self, frame: AacFrame) -> None:
        if self._try is not None:
            self._try.aac(frame)

    def end(self, code: str, message: str) -> None:
        """The stream is over; `close` follows."""
        if self._try is not None:
            self._try.over(End("not-live", message))

    # inside

    def _set(self, state: TargetState, message: str) -> None:
        if (state, message) != (self._state, self._message):
            self._state, self._message, self._since_s = state, message, time.monotonic()
            shown = f"{self._feed.name} to {self.target.name} ({shown_host(self.target.url)})"
            log.log(logging.INFO if state in ("connecting", "pushing") else logging.WARNING,
                    "push of %s: %s %s", shown, state, message)  # fmt: skip

    async def _run(self) -> None:
        try:
            address = read_address(self.target.url)
        except BadTarget as error:
            self._set("refused", str(error))
            return
        while True:
            if not self._backoff.failures:
                self._set("connecting", "")
            try:
                end = await self._once(address)
            except Exception:  # a defect of ours: this target alone waits and tries again
                log.exception("push of %s failed", self._feed.name)
                end = End("defect", "a defect of relens ended it: say so, with the log")
            refused = end.code == "refused"
            wait_s = self._backoff.failed(end.good_s, refused)
            self._set("refused" if refused else "backing-off", end.message)
            await asyncio.sleep(wait_s)

    async def _once(self, address: Address) -> End:
        """One connection, from its begin to its end."""
        program = ""
        if address.scheme == "srt":
            found = await asyncio.to_thread(ffmpeg.find)
            if found.why:
                return End("refused", f"SRT cannot be sent from here: {found.why}; {ffmpeg.NO_SRT}")
            program = found.path
        one = self._try = Connection(self._feed, self, self._sound, self.patience, self._rate)
        try:
            end = await one.run(address, program, self._connected)
        finally:
            self._try = None
            self._feed.remove_viewer(self)
            await one.child.finish(self.patience.ending_s if one.flowing else 0.0)
        if end.code == "defect":
            log.warning("push of %s: its process ended with %s", self._feed.name, one.child.exit_words())
        return end

    def _connected(self) -> None:
        self._set("pushing", "")
