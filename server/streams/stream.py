"""One stream: what one publisher sends is edited and encoded once, and goes to many viewers.

The sibling of Session. Knows neither HTTP nor how its publisher and its viewers speak. It outlives both: a
publisher that comes back within `linger_s`, or takes over, goes on with the same pipeline, viewers and clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Literal

from gpu.editor import EditRefused
from gpu.errors import FrameError, RelensError
from gpu.types import Codec, Edit, EncodedFrame, Reading
from server import protocol
from server.errors import NotLive, PeerLost, Taken
from server.peer.types import EncodedAudio
from server.session_parts import CLOSE_TIMEOUT_S
from server.streams.changes import Changes
from server.streams.editing import Editing
from server.streams.feed import Feed
from server.streams.opened import Opened, Shared, ceiling_bps, open_for
from server.streams.showing import Showing
from server.streams.timebase import Timebase
from server.streams.types import (
    Publisher,
    StreamEdit,
    StreamFacts,
    StreamSettings,
    StreamState,
    TargetFacts,
    Viewer,
    ViewerKind,
)

log = logging.getLogger(__name__)

TICK_S = 1.0  # limits are checked

Change = Literal["state", "edit", "applied", "refused", "publisher", "viewers", "settings"]
NO_LATENCY = protocol.Latency(p50_ms=0.0, p95_ms=0.0)


class Stream:
    """Loop thread only. Made and ended by Streams."""

    def __init__(self, name: str, settings: StreamSettings, shared: Shared, edit: Edit | None = None) -> None:
        """`edit`: in force when it was kept; None: what the settings say."""
        self.name = name
        self.settings = settings
        self.target_facts: Callable[[], tuple[TargetFacts, ...]] = lambda: ()  # of who pushes it on
        self._shared = shared
        self._feed: Feed | None = None
        self._opened: Opened | None = None
        self._opening = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._over = False
        self._showing = Showing(
            shared.config, shared.metrics, shared.viewer_room, lambda: self._changes.tell("viewers")
        )
        self._showing.set_ceiling(ceiling_bps(shared.config, settings))
        self._timebase = Timebase()
        self._linger: asyncio.TimerHandle | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._editing = Editing(
            _first_edit(settings), edit, self._read, lambda edit: shared.keep_edit(name, edit)
        )
        self._degraded = ""
        self._changes: Changes[Change] = Changes()

    # -- the publisher

    @property
    def state(self) -> StreamState:
        if self._opened is None:
            return "idle"
        return "live" if self._feed is not None else "waiting"

    @property
    def publisher(self) -> Publisher | None:
        return self._feed.publisher if self._feed is not None else None

    async def publish(self, publisher: Publisher, codec: Codec, *, takeover: bool = False) -> None:
        """`publisher` feeds this stream from now on, in `codec` to begin with.

        Raises Taken where somebody publishes and not `takeover`, CapacityError, PeerLost where it left or was
        taken over meanwhile, and what opening a pipeline raises."""
        before = self._feed
        self.check_free(takeover or self.publisher is publisher)
        feed = self._feed = Feed(publisher, self._timebase)
        self._stop_linger()
        if before is not None and before.publisher is not publisher:
            log.info("stream %s: its publisher is taken over", self.name)
            self._shared.metrics.publishers_ended.labels("taken-over").inc()
            before.end("taken-over", "another publisher took this stream over")
        try:
            async with self._opening:
                if self._opened is None:
                    await self._open(codec)
        except BaseException:
            if self._feed is feed:
                self._feed = None
            raise
        finally:
            if self._feed is None:
                self._start_linger()
        if self._feed is not feed:
            raise PeerLost("the publisher left, or was taken over, before its stream was open: publish again")
        log.info("stream %s: published by %s", self.name, publisher.kind)
        self._changes.tell("publisher")
        self._changes.tell("state")
        feed.begin()

    def check_free(self, takeover: bool) -> None:
        """Before anything is made for `publish`: raises Taken, CapacityError and NotLive as that would."""
        if self._feed is not None and not takeover:
            raise Taken(
                f"somebody publishes to {self.name} already: end that first, publish to another stream, or "
                "add takeover=1 to take its place"
            )
        self._shared.places.admit()
        self._check_there()

    def unpublish(self, publisher: Publisher, code: str, message: str) -> None:
        """It is gone. Viewers are kept for `linger_s`, in case that it comes back."""
        if publisher is not self.publisher:
            return
        log.info("stream %s: its publisher is gone: %s (%s)", self.name, message, code)
        self._shared.metrics.publishers_ended.labels(code).inc()
        self._feed = None
        self._showing.hush()
        self._start_linger()
        if self._opened is not None:
            self._changes.tell("publisher")
            self._changes.tell("state")

    def kick(self, code: str, message: str) -> bool:
        """End the publisher; False where there is none."""
        feed = self._feed
        if feed is None:
            return False
        self.unpublish(feed.publisher, code, message)
        feed.end(code, message)
        return True

    def on_video(self, publisher: Publisher, frame: EncodedFrame) -> None:
        """An encoded frame of the publisher's; of another's it is dropped."""
        if self._feed is None or publisher is not self._feed.publisher or self._opened is None:
            return
        self._shared.metrics.frames_in.inc()
        placed = self._feed.video(frame)
        if placed is not None:
            self._opened.pipeline.push(placed)

    def on_audio(self, publisher: Publisher, packet: EncodedAudio) -> None:
        """A packet of Opus of the publisher's; of another's it is dropped."""
        if self._feed is None or publisher is not self._feed.publisher or self._opened is None:
            return
        placed = self._feed.audio(packet)
        if placed is not None:
            self._showing.audio(placed)

    # -- its viewers

    async def add_viewer(self, viewer: Viewer, *, ready: bool = True) -> None:
        """From now on it is sent everything, from a keyframe on; `ready` False: from when it first wants one.

        Raises NotLive, CapacityError."""
        self.check_live()
        self._showing.add(viewer, ready)

    def check_live(self) -> None:
        """Raises NotLive where nobody can watch now."""
        self._check_there()
        if self._opened is None:
            raise NotLive(f"nobody publishes to {self.name} now: try again in a moment")

    def remove_viewer(self, viewer: Viewer) -> None:
        """It is gone; idempotent."""
        self._showing.remove(viewer)

    def want_keyframe(self, viewer: Viewer) -> None:
        """It needs a keyframe to go on."""
        self._showing.want_keyframe(viewer)

    def viewer_rate(self, viewer: Viewer, bps: int) -> None:
        """What its network bears. The encoder follows the viewer that is best off."""
        self._showing.rate(viewer, bps)

    @property
    def viewers(self) -> int:
        """People: targets are none."""
        return sum(kind != "push" for kind in self._showing.kinds())

    def viewer_kinds(self) -> list[ViewerKind]:
        """One for each viewer, targets among them."""
        return self._showing.kinds()

    # -- the edit

    def edit(self, edit: Edit) -> protocol.Received:
        """Put an edit in force and say what it was taken for; it is numbered here. Raises as the model."""
        received = self._editing.take(edit)
        self._changes.tell("edit")
        return received

    def edit_facts(self) -> StreamEdit:
        return self._editing.facts()

    @property
    def applied_pts(self) -> int:
        """Of the first picture under the newest edit that is seen: 90 kHz, unwrapped; -1: none."""
        return self._editing.applied_pts

    @property
    def refusal(self) -> str:
        """Why the model would not put the newest edit in force after all; "": it did, or may yet."""
        return self._editing.refusal

    async def applied(self, revision: int, timeout_s: float) -> bool:
        """Whether a viewer can see `revision`; waits for it up to `timeout_s`."""
        return await self._editing.seen(revision, timeout_s)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """`callback` hears of every change, at once; what is returned ends that."""
        return self._changes.subscribe(callback)

    # -- for Streams

    def set_settings(self, settings: StreamSettings) -> None:
        """Of the model, from the next opening on; of all else, at once."""
        self.settings = settings
        self._editing.set_first(_first_edit(settings))
        self._showing.set_ceiling(ceiling_bps(self._shared.config, settings))
        self._changes.tell("settings")

    async def end(self, code: str, message: str) -> None:
        """For good: publisher and viewers are ended, nothing is taken any more."""
        self._over = True
        self.kick(code, message)
        with contextlib.suppress(TimeoutError):  # what opens later than that closes by itself
            async with asyncio.timeout(CLOSE_TIMEOUT_S), self._opening:
                pass
        self._close(code, message)
        await self._closed()

    def facts(self) -> StreamFacts:
        """All of it: who may see what is for `sight`."""
        opened = self._opened
        stats = opened.stats() if opened is not None else None
        worker = self._shared.workers.loaded(self._model_name)
        return StreamFacts(
            name=self.name,
            state=self.state,
            edit=self.edit_facts(),
            publisher=self._feed.publisher.facts() if self._feed else None,
            viewers=self.viewers,
            age_s=round(time.monotonic() - self._feed.began_s, 1) if opened and self._feed else 0.0,
            width=stats.width if stats else 0,
            height=stats.height if stats else 0,
            fps_out=stats.fps_out if stats else 0.0,
            bitrate_out_bps=stats.bitrate_out_bps if stats else 0,
            latency=opened.meter.latency() if opened else NO_LATENCY,
            targets=self.target_facts(),
            model=opened.model.spec.name if opened else self._model_name,
            device=opened.model.device if opened else worker.model.device if worker else "",
            degraded=self._degraded,
        )

    # -- BridgeListener

    def on_edited(self, frame: EncodedFrame) -> None:
        self._showing.video(frame)

    def on_applied(self, revision: int, pts: int) -> None:
        if self._opened is not None:
            self._opened.recording.applied(revision, pts)
        self._editing.on_applied(revision, pts)
        self._changes.tell("applied")

    def on_source_keyframe_needed(self) -> None:
        if self._feed is not None:
            self._feed.ask_keyframe()

    def on_degraded(self, level: int, message: str) -> None:
        self._degraded = message if level else ""
        self._changes.tell("state")

    def on_error(self, exc: RelensError) -> None:
        self._shared.metrics.error(type(exc).__name__)
        if isinstance(exc, EditRefused):
            self._editing.on_refused(exc)
            self._changes.tell("refused")
        elif not isinstance(exc, FrameError):
            self.kick("stream-failed", str(exc))
            self._close("stream-failed", str(exc))

    def on_frames_lost(self, count: int) -> None:
        self._showing.lost(count)

    # -- inside

    def _check_there(self) -> None:
        if self._over:
            raise NotLive(f"the stream {self.name} is not there any more")

    async def _open(self, codec: Codec) -> None:
        await self._closed()
        opened = await open_for(self._shared, self.name, self.settings, codec, self)
        self._opened = opened
        if self._over:
            self._close("deleted", "the stream was deleted")
            self._check_there()
        self._editing.begin(opened)
        self._showing.begin(opened)
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name=f"stream-{self.name}")

    def _close(self, code: str, message: str) -> None:
        """Back to idle: the viewers are ended, the pipeline is closed behind our back."""
        self._stop_linger()
        self._showing.end(code, message)
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        opened, self._opened = self._opened, None
        self._editing.end()
        if opened is None:
            return
        opened.place.leaving = lambda: True
        self._closing = asyncio.get_running_loop().create_task(opened.close(code), name=f"close-{self.name}")
        self._degraded = ""
        self._changes.tell("viewers")
        self._changes.tell("state")

    async def _closed(self) -> None:
        """What was open before is closed. Who waits no longer stops waiting, not the closing."""
        if self._closing is not None:
            await asyncio.wait([self._closing])

    def _read(self, prompt: str) -> Reading | None:
        """While nothing is open: by the model that will be, where it is loaded."""
        worker = self._shared.workers.loaded(self._model_name)
        return worker.model.read(prompt) if worker is not None else None

    @property
    def _model_name(self) -> str:
        return self.settings.model or self._shared.workers.default

    def _start_linger(self) -> None:
        self._stop_linger()
        if self._opened is not None:
            self._linger = asyncio.get_running_loop().call_later(
                self._shared.config.linger_s, self._close, "stream-ended", "the publisher ended the stream"
            )

    def _stop_linger(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._feed is None or self._opened is None:
                continue
            self._shared.metrics.observe(self._opened.stats())
            if self._feed.idle_s > self._shared.config.idle_s:
                self.kick("idle", f"no video came for {self._shared.config.idle_s:g} s: publish again")


def _first_edit(settings: StreamSettings) -> Edit:
    return Edit(prompt=settings.prompt, strength=settings.strength)
