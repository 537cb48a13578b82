"""A WHEP client that watches a stream: the stream's own frames to its Peer, its wishes back. Knows no HTTP.

Nothing is encoded for one viewer. What its network does not bear is dropped by its Peer down to a keyframe.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from gpu.errors import FrameError
from gpu.types import EncodedFrame
from server.peer import EncodedAudio, PeerConfig, PeerState
from server.streams.keyframe_wishes import KeyframeWishes
from server.streams.opened import OUT
from server.streams.rtc_session import RtcSession
from server.streams.stream import Stream
from server.streams.types import ViewerKind


class WhepViewer(RtcSession):
    """One viewer, from its offer on. `watch` opens it; where that raises, the caller ends it."""

    def __init__(self, stream: Stream, config: PeerConfig) -> None:
        ceiling_bps = max(config.max_bitrate_bps, stream.settings.bitrate_bps)
        super().__init__(
            stream.name,
            replace(
                config,
                codecs=(),
                send_codecs=(OUT,),
                takes=False,
                whole=True,
                start_bitrate_bps=ceiling_bps,  # as the stream is encoded at first
                max_bitrate_bps=ceiling_bps,
            ),
        )
        self._stream = stream
        self._ceiling_bps = ceiling_bps
        self._wishes = KeyframeWishes()
        self._wish: asyncio.TimerHandle | None = None

    @property
    def kind(self) -> ViewerKind:
        return "whep"

    async def watch(self, offer: str) -> str:
        """-> the answer. Raises ProtocolError, NotLive and CapacityError."""
        answer = await self._peer.accept(offer)
        await self._stream.add_viewer(self, ready=False)  # it is not connected yet
        return answer

    def _leave(self, code: str, message: str) -> None:
        if self._wish is not None:
            self._wish.cancel()
            self._wish = None
        self._stream.remove_viewer(self)

    # -- Viewer

    def send_video(self, frame: EncodedFrame) -> None:
        try:
            self._peer.send_video(frame)
        except FrameError:
            self.on_keyframe_needed()

    def send_audio(self, packet: EncodedAudio) -> None:
        self._peer.send_audio(packet)

    # -- PeerListener

    def on_keyframe_needed(self) -> None:
        if self._wish is not None or self.ending:
            return
        wait_s = self._wishes.wait_s(time.monotonic())
        if wait_s > 0:
            self._wish = asyncio.get_running_loop().call_later(wait_s, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        self._wish = None
        self._wishes.grant(time.monotonic())
        self._stream.want_keyframe(self)

    def on_bitrate(self, bps: int) -> None:
        self._stream.viewer_rate(self, bps)

    def on_state(self, state: PeerState) -> None:
        if state is PeerState.CONNECTED and not self._connected:
            self._stream.viewer_rate(self, self._ceiling_bps)  # until its network says otherwise
        super().on_state(state)
