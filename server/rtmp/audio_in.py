"""A publisher's audio messages to Opus packets. Knows one config; without sound it takes a stream goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from server.errors import ProtocolError
from server.peer.types import EncodedAudio
from server.rtmp.audio_tag import AudioCodec, AudioTag, FurtherTrack, NotTaken, read_audio_tags
from server.sound.aac_to_opus import AacToOpus
from server.sound.types import not_taken

log = logging.getLogger(__name__)

_TICKS_PER_MS = 48
_MAX_OPUS_BYTES = 1275 * 6  # RFC 6716 §3.2: at most 120 ms of frames of 1275 bytes


class AudioIn:
    """AAC is made Opus on a thread of its own, Opus is passed on. Loop thread only."""

    def __init__(self, name: str, on_packet: Callable[[EncodedAudio], None]) -> None:
        """`name`: of the stream, for the log."""
        self._name, self._on_packet = name, on_packet
        self._config = b""
        self._aac: AacToOpus | None = None
        self._said = ""
        self._refused = ""  # what comes, and is left out
        self._further = False  # tracks beside the main one come, and are left out
        self.codec: AudioCodec | None = None  # None: no sound that is taken

    @property
    def shown(self) -> str:
        """For the publisher's facts."""
        if self._aac is not None and self._aac.hopeless:
            return not_taken("aac")
        if self.codec is None and self._refused:
            return not_taken(self._refused)
        further = not_taken("further tracks") if self._further else ""
        return ", ".join(filter(None, (self.codec, further)))

    def take(self, time_ms: int, payload: bytes, arrived_ns: int = 0) -> None:
        """`time_ms`: the message's timestamp, unwrapped. Raises FrameError for a message that breaks off."""
        try:
            for tag in read_audio_tags(payload):
                if isinstance(tag, FurtherTrack):
                    self._leave_out(tag)
                else:
                    self._take(tag, time_ms * _TICKS_PER_MS, arrived_ns)
        except ProtocolError as error:
            self.close()
            self._refused = error.sound if isinstance(error, NotTaken) else "aac"
            if str(error) != self._said:
                self._said = str(error)
                log.warning("stream %s goes on without sound: %s", self._name, error)

    def close(self) -> None:
        """Idempotent."""
        if self._aac is not None:
            self._aac.close()
        self._aac, self._config, self.codec = None, b"", None

    def _take(self, tag: AudioTag, pts: int, arrived_ns: int) -> None:
        if tag.kind == "config":
            self._configure(tag.codec, tag.body)
        elif tag.codec == self.codec == "opus":
            if 0 < len(tag.body) <= _MAX_OPUS_BYTES:
                self._on_packet(EncodedAudio(tag.body, pts, arrived_ns))
        elif tag.codec == self.codec and self._aac is not None and tag.body:
            self._aac.push(tag.body, pts)

    def _leave_out(self, track: FurtherTrack) -> None:
        """Said once."""
        if not self._further:
            self._further = True
            log.warning(
                "stream %s: its first audio track is taken, and none beside it (number %d came): send one",
                self._name,
                track.number,
            )

    def _configure(self, codec: AudioCodec, config: bytes) -> None:
        if codec == self.codec and config == self._config:  # some encoders repeat it
            return
        self.close()
        if codec == "aac":
            self._aac = AacToOpus(config, self._on_packet)
        self.codec, self._config, self._refused = codec, config, ""
