"""What leaves of a stream: edited pictures and the sound of their time, to all who watch, as they bear it.

Knows no publisher, and of the pipeline what an encoder can be told.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gpu.types import EncodedFrame
from server.config import Config
from server.errors import CapacityError
from server.hold_back import HoldBack
from server.metrics import Metrics
from server.peer.types import EncodedAudio
from server.streams.fanout import Fanout
from server.streams.opened import Opened
from server.streams.types import Viewer, ViewerKind
from server.turned_away import TurnedAway


class Showing:
    """Loop thread only."""

    def __init__(
        self, config: Config, metrics: Metrics, room: Callable[[], bool], changed: Callable[[], None]
    ) -> None:
        """`room`: whether one more may watch; `changed` hears that there are more viewers, or fewer."""
        self._config, self._metrics = config, metrics
        self._room, self._changed = room, changed
        self._turned_away = TurnedAway("viewers", "max_viewers", config.max_viewers)
        self._opened: Opened | None = None
        self._ceiling_bps = 0
        self._fanout = Fanout(self._force_keyframe, lambda _: self._viewers_changed(), metrics.fanned_out.inc)
        self._audio = HoldBack(self._fanout.audio)

    def kinds(self) -> list[ViewerKind]:
        """One for each viewer."""
        return self._fanout.kinds()

    def begin(self, opened: Opened) -> None:
        """There is a pipeline."""
        self._opened = opened
        self._aim()

    def end(self, code: str, message: str) -> None:
        """There is none any more; everybody who watches is ended."""
        self._opened = None
        self._fanout.close(code, message)
        self.hush()
        if self._audio.dropped:
            self._metrics.dropped("audio", self._audio.dropped)
            self._audio.dropped = 0

    def hush(self) -> None:
        """Sound that is held back is forgotten: its publisher is gone."""
        self._audio.clear()

    def add(self, viewer: Viewer, ready: bool) -> None:
        """Idempotent. `ready`: see Fanout.add. Raises CapacityError, but for targets: who comes to watch must
        not end what the operator pushes."""
        if viewer in self._fanout:
            return
        if viewer.kind != "push" and not self._room():
            self._turned_away.one_more()
            raise CapacityError(
                f"all places for viewers of this server are taken (max_viewers: {self._config.max_viewers})"
            )
        self._fanout.add(viewer, ready)
        self._viewers_changed()

    def remove(self, viewer: Viewer) -> None:
        """Idempotent."""
        if self._fanout.remove(viewer):
            self._viewers_changed()

    def want_keyframe(self, viewer: Viewer) -> None:
        self._fanout.want_keyframe(viewer)

    def rate(self, viewer: Viewer, bps: int) -> None:
        """What its network bears. The encoder follows the viewer that is best off."""
        self._fanout.rate(viewer, bps)
        self._aim()

    def set_ceiling(self, bps: int) -> None:
        """What no viewer is sent more than."""
        self._ceiling_bps = bps
        self._aim()

    def video(self, frame: EncodedFrame) -> None:
        """An edited picture."""
        if self._opened is None:
            return
        self._opened.recording.shown(frame.pts)
        self._fanout.video(frame)
        self._audio.video_left(frame.pts)
        self._metrics.frames_out.inc()
        if frame.arrived_ns:
            latency_s = (time.monotonic_ns() - frame.arrived_ns) / 1e9
            self._opened.meter.frame_out(latency_s)
            self._metrics.added_latency.observe(latency_s)

    def audio(self, packet: EncodedAudio) -> None:
        """Sound, before its picture is edited."""
        self._audio.push(packet)

    def lost(self, frames: int) -> None:
        """Edited pictures that never came here."""
        self._metrics.dropped("loop", frames)
        self._fanout.lost()

    def _viewers_changed(self) -> None:
        self._aim()
        self._changed()

    def _aim(self) -> None:
        if self._opened is not None:
            best = self._fanout.best_bps()
            self._opened.pipeline.set_bitrate(min(best or self._ceiling_bps, self._ceiling_bps))

    def _force_keyframe(self) -> None:
        if self._opened is not None:
            self._opened.pipeline.force_keyframe()
