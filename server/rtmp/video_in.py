"""A publisher's video messages to encoded frames. Knows one stream's sequence headers, not who sends them."""

from __future__ import annotations

from gpu.errors import FrameError
from gpu.types import CLOCK_HZ, Codec, EncodedFrame
from server.errors import ProtocolError
from server.rtmp.nal import NalConfig, read_avc_record, read_hevc_record, to_annex_b
from server.rtmp.obu import read_av1_record, to_unit
from server.rtmp.video_tag import VideoTag, read_video_tag

_TICKS_PER_MS = CLOCK_HZ // 1000


class VideoIn:
    """`codecs`: what is taken. The size or the codec may change with a new sequence header."""

    def __init__(self, codecs: tuple[Codec, ...]) -> None:
        self._codecs = codecs
        self._nal: NalConfig | None = None
        self._sequence: bytes | None = None  # of AV1
        self.codec: Codec | None = None  # as the sequence header said

    def take(self, time_ms: int, payload: bytes, arrived_ns: int = 0) -> EncodedFrame | None:
        """`time_ms`: the message's timestamp, unwrapped. None for what is no picture.

        Raises FrameError where this picture is lost, ProtocolError where the stream cannot be taken."""
        tag = read_video_tag(payload)
        if tag is None:
            return None
        if tag.codec not in self._codecs:
            taken = " or ".join(codec.upper() for codec in self._codecs)
            raise ProtocolError(f"{tag.codec.upper()} video is not taken here: set the encoder to {taken}")
        if tag.kind == "config":
            self._configure(tag)
            return None
        if not tag.body:
            return None
        if tag.codec != self.codec:
            raise FrameError(f"a picture of {tag.codec} before its sequence header")
        data, is_keyframe = self._unit(tag)
        pts = (time_ms + tag.composition_ms) * _TICKS_PER_MS
        return EncodedFrame(data, pts, is_keyframe, tag.codec, arrived_ns)

    def _configure(self, tag: VideoTag) -> None:
        if tag.codec == "h264":
            self._nal = read_avc_record(tag.body)
        elif tag.codec == "hevc":
            self._nal = read_hevc_record(tag.body)
        elif tag.codec == "av1":
            self._sequence = read_av1_record(tag.body)
        self.codec = tag.codec  # VP8 and VP9 say everything in their frames

    def _unit(self, tag: VideoTag) -> tuple[bytes, bool]:
        if tag.codec in ("h264", "hevc"):
            if self._nal is None:
                raise FrameError("a picture before its sequence header")
            return to_annex_b(self._nal, tag.body, tag.is_keyframe)
        if tag.codec == "av1":
            return to_unit(self._sequence or b"", tag.body, tag.is_keyframe), tag.is_keyframe
        return tag.body, tag.is_keyframe
