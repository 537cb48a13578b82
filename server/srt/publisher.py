"""What feeds a stream by SRT: messages of the child to encoded frames on one clock. Knows no process."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from gpu.stats import RateMeter
from gpu.types import Codec, EncodedFrame
from server.errors import ProtocolError
from server.peer.types import EncodedAudio
from server.push.wire import KEYFRAME, Message, Say
from server.sound.aac_to_opus import AacToOpus
from server.sound.types import not_taken
from server.streams.stream import Stream
from server.streams.types import PublisherFacts, PublisherKind

log = logging.getLogger(__name__)

_MOST_HELD = 300  # frames since the last keyframe, while the stream is being opened: SRT asks for none


class SrtPublisher:
    """Loop thread only."""

    def __init__(self, stream: Stream, codec: Codec, audio: str, on_end: Callable[[str, str], None]) -> None:
        """`audio`: as the facts name it. `on_end(code, message)` is called when the stream wants no more."""
        self._stream, self._codec, self._audio, self._on_end = stream, codec, audio, on_end
        self._said = ""
        self._opus: AacToOpus | None = None
        self._held: deque[EncodedFrame] | None = deque()
        self._pictures, self._bytes = RateMeter(), RateMeter()
        self._began_s = time.monotonic()

    @property
    def kind(self) -> PublisherKind:
        return "srt"

    @property
    def codec(self) -> Codec:
        return self._codec

    def take(self, message: Message) -> None:
        """VIDEO, AUDIO, CONFIG and NO_SOUND of the child."""
        now_ns = time.monotonic_ns()
        self._bytes.saw(now_ns, len(message.body))
        if message.kind == Say.VIDEO:
            self._pictures.saw(now_ns)
            keyframe = bool(message.flags & KEYFRAME)
            self._give(EncodedFrame(message.body, message.pts, keyframe, self._codec, now_ns))
        elif message.kind == Say.CONFIG:
            self._configure(message.body)
        elif message.kind == Say.NO_SOUND:
            self.leave_out("aac", message.body.decode("utf-8", "replace"))
        elif message.kind == Say.AUDIO and self._opus is not None:
            self._opus.push(message.body, message.pts)

    def leave_out(self, codec: str, why: str) -> None:
        """Its sound cannot be taken: the pictures go on."""
        self._close_sound()
        self._audio = not_taken(codec)
        if why != self._said:
            self._said = why
            log.warning("stream %s goes on without sound: %s", self._stream.name, why)

    def flow(self) -> None:
        """The stream is open: it gets what was held for it, and everything from now on."""
        held, self._held = self._held, None
        for frame in held or ():
            self._stream.on_video(self, frame)

    def close(self) -> None:
        """Idempotent; the stream hears of it from who calls."""
        self._close_sound()
        self._held = None

    # -- Publisher

    def request_keyframe(self) -> None:
        """SRT has no way to ask: the next one comes when the encoder makes it."""

    def end(self, code: str, message: str) -> None:
        self._on_end(code, message)

    def facts(self) -> PublisherFacts:
        now_ns = time.monotonic_ns()
        hopeless = self._opus is not None and self._opus.hopeless
        return PublisherFacts(
            kind=self.kind,
            codec=self._codec,
            audio=not_taken("aac") if hopeless else self._audio,
            software="",  # neither is told by FFmpeg
            address="",
            age_s=round(time.monotonic() - self._began_s, 1),
            fps=self._pictures.rate(now_ns)[0],
            bitrate_bps=self._bytes.rate(now_ns)[1],
        )

    def _configure(self, config: bytes) -> None:
        self._close_sound()
        try:
            self._opus = AacToOpus(config, self._on_opus)
        except ProtocolError as error:
            self.leave_out("aac", str(error))
        else:
            self._audio = "aac"

    def _give(self, frame: EncodedFrame) -> None:
        if self._held is None:
            self._stream.on_video(self, frame)
            return
        if frame.is_keyframe:
            self._held.clear()
        elif not self._held or len(self._held) >= _MOST_HELD:
            self._held.clear()  # what would follow a hole is of no use
            return
        self._held.append(frame)

    def _on_opus(self, packet: EncodedAudio) -> None:
        if self._held is None:
            self._stream.on_audio(self, packet)

    def _close_sound(self) -> None:
        if self._opus is not None:
            self._opus.close()
            self._opus = None


def checked_codec(name: object, taken: tuple[Codec, ...]) -> Codec:
    """Of what the child says. Raises ProtocolError."""
    for codec in taken:
        if codec == name:
            return codec
    raise ProtocolError(f"SRT brings {name}: send {' or '.join(taken)} with AAC")
