"""A WHIP client that feeds a stream: what its Peer receives, on one clock. Knows no HTTP.

As OBS does it: an offer without candidates, none that come later, one codec, and no keyframe on request.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass, replace

from gpu.types import EncodedFrame
from server.peer import EncodedAudio, PeerConfig
from server.streams.rtc_session import RtcSession
from server.streams.stream import Stream
from server.streams.types import PublisherFacts, PublisherKind

HOLE_TIMEOUT_S = (
    0.4  # OBS makes no keyframe when asked: to wait for a lost packet is cheaper than to give it up
)
SILENT_S = 3.0  # without a picture for so long, it gives its place to whoever comes with the key
_PRODUCT = re.compile(r"(?:OBS-Studio|GStreamer|Firefox|Edg|Chrome|Safari)/[\w.+-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the address without its port, and what it calls itself."""

    address: str
    user_agent: str = ""

    @property
    def software(self) -> str:
        """ "OBS-Studio/32.0.1" of all that browsers and those who look like them say."""
        known = _PRODUCT.search(self.user_agent)
        first = self.user_agent.partition(" ")[0]
        return known[0] if known else first[:60] if first.isprintable() else ""


class WhipPublisher(RtcSession):
    """One publisher, from its offer on. `publish` opens it; where that raises, the caller ends it."""

    def __init__(self, stream: Stream, config: PeerConfig, caller: Caller) -> None:
        super().__init__(stream.name, replace(config, gives=False, whole=True, hole_timeout_s=HOLE_TIMEOUT_S))
        self._stream = stream
        self._caller = caller
        self._frames: deque[float] = deque(maxlen=256)  # arrived, monotonic seconds
        self._media_s = self.started_s
        self._sound = False

    @property
    def kind(self) -> PublisherKind:
        return "whip"

    @property
    def silent_s(self) -> float:
        """Since its last picture, or its coming."""
        return time.monotonic() - self._media_s

    async def publish(self, offer: str, takeover: bool) -> str:
        """-> the answer. Raises ProtocolError, and what Stream.publish raises."""
        answer = await self._peer.accept(offer)
        codec = self._peer.codec_in
        assert codec is not None  # an offer without was refused
        await self._stream.publish(self, codec, takeover=takeover)
        return answer

    def _leave(self, code: str, message: str) -> None:
        self._stream.unpublish(self, code, message)

    # -- Publisher

    def request_keyframe(self) -> None:
        self._peer.request_keyframe()

    def facts(self) -> PublisherFacts:
        now_s = time.monotonic()
        recent = sum(at > now_s - 1 for at in self._frames)
        return PublisherFacts(
            kind=self.kind,
            codec=self._peer.codec_in or "h264",
            audio="opus" if self._sound else "",
            software=self._caller.software,
            address=self._caller.address,
            age_s=round(now_s - self.started_s, 1),
            fps=float(recent),
            bitrate_bps=self._peer.stats().bitrate_in_bps,
        )

    # -- PeerListener

    def on_video(self, frame: EncodedFrame) -> None:
        self._media_s = time.monotonic()
        self._frames.append(self._media_s)
        self._stream.on_video(self, frame)

    def on_audio(self, packet: EncodedAudio) -> None:
        self._sound = True
        self._stream.on_audio(self, packet)
