"""What feeds a stream by RTMP: media messages to encoded frames on one clock. Knows no socket."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from gpu.errors import FrameError
from gpu.stats import RateMeter
from gpu.types import Codec
from server.peer.jitter import TimestampUnwrapper
from server.peer.types import EncodedAudio
from server.rtmp.audio_in import AudioIn
from server.rtmp.events import Media
from server.rtmp.video_in import VideoIn
from server.streams.stream import Stream
from server.streams.types import PublisherFacts, PublisherKind

log = logging.getLogger(__name__)

_LOG_EVERY_S = 1.0


class RtmpPublisher:
    """Loop thread only."""

    def __init__(
        self,
        stream: Stream,
        codecs: tuple[Codec, ...],
        address: str,
        on_end: Callable[[str, str], None],
    ) -> None:
        """`codecs`: what is taken. `on_end(code, message)` is called when the stream wants no more."""
        self._stream, self._address, self._on_end = stream, address, on_end
        self._clock = TimestampUnwrapper()  # one for picture and sound
        self._video = VideoIn(codecs)
        self._audio = AudioIn(stream.name, self._on_audio)
        self._pictures, self._bytes = RateMeter(), RateMeter()
        self._began_s = self._media_s = time.monotonic()
        self._logged_s = 0.0
        self.software = ""
        self.lost = 0  # messages that could not be read

    @property
    def kind(self) -> PublisherKind:
        return "rtmp"

    @property
    def silent_s(self) -> float:
        """Since its last message of media, or its coming."""
        return time.monotonic() - self._media_s

    def take(self, media: Media) -> None:
        """Raises ProtocolError where its video cannot be taken."""
        now_ns = time.monotonic_ns()
        self._media_s = now_ns / 1e9
        self._bytes.saw(now_ns, len(media.payload))
        time_ms = self._clock.unwrap(media.timestamp)
        try:
            if media.kind == "audio":
                self._audio.take(time_ms, media.payload, now_ns)
                return
            frame = self._video.take(time_ms, media.payload, now_ns)
        except FrameError as error:
            self._lose(error)
            return
        if frame is not None:
            self._pictures.saw(now_ns)
            self._stream.on_video(self, frame)

    def close(self) -> None:
        """Idempotent; the stream hears of it from who calls."""
        self._audio.close()

    # -- Publisher

    def request_keyframe(self) -> None:
        """RTMP has no way to ask: the next one comes when the encoder makes it."""

    def end(self, code: str, message: str) -> None:
        self._on_end(code, message)

    def facts(self) -> PublisherFacts:
        now_ns = time.monotonic_ns()
        return PublisherFacts(
            kind=self.kind,
            codec=self._video.codec or "h264",
            audio=self._audio.shown,
            software=self.software,
            address=self._address,
            age_s=round(time.monotonic() - self._began_s, 1),
            fps=self._pictures.rate(now_ns)[0],
            bitrate_bps=self._bytes.rate(now_ns)[1],
        )

    def _on_audio(self, packet: EncodedAudio) -> None:
        self._stream.on_audio(self, packet)

    def _lose(self, error: FrameError) -> None:
        self.lost += 1
        now_s = time.monotonic()
        if now_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = now_s
            log.warning("stream %s: %s (%d lost so far)", self._stream.name, error, self.lost)
