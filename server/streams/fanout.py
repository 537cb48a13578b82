"""Who watches one stream: each frame goes to all of them, as it is. Knows no pipeline and no protocol.

A viewer begins at a keyframe: at the last one, where that is a moment ago, else at one that is asked for.
Requests are coalesced, so that many viewers cost no more keyframes than one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpu.types import CLOCK_HZ, EncodedFrame
from server.peer.types import EncodedAudio
from server.streams.gop import GopCache
from server.streams.types import Viewer, ViewerKind

log = logging.getLogger(__name__)

KEYFRAME_EVERY_S = 0.5  # on request, at most
PUSH_KEYFRAME_TICKS = 2 * CLOCK_HZ  # platforms cut at keyframes and refuse streams that have few
CANNOT_ASK = ("push", "rtmp")  # players, too: OBS with no network buffer throws its first keyframe away


@dataclass(slots=True)
class _Watching:
    ready: bool  # it takes frames
    begun: bool = False  # it has had a keyframe
    bps: int = 0  # its estimate; 0: none


class Fanout:
    """Loop thread only."""

    def __init__(
        self,
        force_keyframe: Callable[[], None],
        failed: Callable[[Viewer], None],
        sent: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`failed` hears of a viewer that threw, after it was removed; `sent`, how many frames were."""
        self._force, self._failed, self._count = force_keyframe, failed, sent
        self._viewers: dict[Viewer, _Watching] = {}
        self._gop = GopCache()
        self._forced_s = -KEYFRAME_EVERY_S
        self._timer: asyncio.TimerHandle | None = None
        self._keyframe_pts = 0
        self._newest: int | None = None  # pts
        self._broken = False  # frames were left out, and no keyframe came since

    def __len__(self) -> int:
        return len(self._viewers)

    def __contains__(self, viewer: Viewer) -> bool:
        return viewer in self._viewers

    def kinds(self) -> list[ViewerKind]:
        """One for each viewer."""
        return [viewer.kind for viewer in self._viewers]

    def add(self, viewer: Viewer, ready: bool = True) -> None:
        """`ready` False: it is sent nothing until it wants a keyframe."""
        watching = self._viewers[viewer] = _Watching(ready)
        if ready:
            self._begin(viewer, watching)

    def remove(self, viewer: Viewer) -> bool:
        """Whether it was there."""
        return self._viewers.pop(viewer, None) is not None

    def video(self, frame: EncodedFrame) -> None:
        """A frame that is not later than the one before is left out, and what depends on it."""
        late = self._newest is not None and frame.pts <= self._newest
        if late or (self._broken and not frame.is_keyframe):
            self._broken = True
            self.lost()
            return
        self._broken, self._newest = False, frame.pts
        self._gop.add(frame)
        if frame.is_keyframe:
            self._keyframe_pts = frame.pts
            self._stop_timer()
        pushed = False
        for viewer, watching in list(self._viewers.items()):
            pushed = pushed or viewer.kind in CANNOT_ASK
            watching.begun = watching.begun or (frame.is_keyframe and watching.ready)
            if watching.begun:
                self._send(viewer, (frame,))
        if pushed and frame.pts - self._keyframe_pts >= PUSH_KEYFRAME_TICKS:
            self._want()

    def audio(self, packet: EncodedAudio) -> None:
        for viewer, watching in list(self._viewers.items()):
            if not watching.begun:
                continue
            try:
                viewer.send_audio(packet)
            except Exception:
                self._drop(viewer)

    def want_keyframe(self, viewer: Viewer) -> None:
        watching = self._viewers.get(viewer)
        if watching is None:
            return
        if watching.ready:
            self._want()
        else:
            watching.ready = True
            self._begin(viewer, watching)

    def lost(self) -> None:
        """Frames were lost before they came here; what comes begins with a keyframe."""
        self._gop.clear()
        self._want()

    def rate(self, viewer: Viewer, bps: int) -> None:
        if (watching := self._viewers.get(viewer)) is not None:
            watching.bps = bps

    def best_bps(self) -> int | None:
        """The estimate of the viewer that is best off; None where somebody is bound by none, or
        nobody has one yet."""
        if any(not watching.bps and viewer.kind != "whep" for viewer, watching in self._viewers.items()):
            return None
        return max((watching.bps for watching in self._viewers.values()), default=0) or None

    def close(self, code: str, message: str) -> None:
        """End every viewer."""
        self._stop_timer()
        self._gop.clear()
        viewers, self._viewers = list(self._viewers), {}
        for viewer in viewers:
            end(viewer, code, message)

    def _begin(self, viewer: Viewer, watching: _Watching) -> None:
        """With what there is since the last keyframe, or else with the next."""
        frames = self._gop.frames()
        if frames:
            watching.begun = True
            self._send(viewer, frames)
        else:
            self._want()

    def _send(self, viewer: Viewer, frames: Sequence[EncodedFrame]) -> None:
        try:
            for frame in frames:
                viewer.send_video(frame)
        except Exception:
            self._drop(viewer)
        else:
            self._count(len(frames))

    def _drop(self, viewer: Viewer) -> None:
        """A defect of one viewer is that viewer's end, and nobody else's."""
        log.exception("a viewer by %s failed and is let go", viewer.kind)
        if self.remove(viewer):
            end(viewer, "viewer-failed", "a defect of relens ended this viewer: connect again")
            self._failed(viewer)

    def _want(self) -> None:
        if self._timer is not None:
            return
        wait_s = self._forced_s + KEYFRAME_EVERY_S - time.monotonic()
        if wait_s > 0:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        self._timer = None
        self._forced_s = time.monotonic()
        self._force()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def end(one: Viewer, code: str, message: str) -> None:
    """End it; that it cannot be ended is its own affair."""
    try:
        one.end(code, message)
    except Exception:
        log.exception("a viewer by %s could not be ended", one.kind)
