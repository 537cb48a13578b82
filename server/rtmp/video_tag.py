"""The head of a video message: FLV's (Adobe's "FLV 10.1" §E.4.3) and enhanced RTMP's, versions 1 and 2.

Knows what is announced, not what is inside the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu.errors import FrameError
from gpu.types import Codec
from server.errors import ProtocolError

_EXTENDED = 0x80  # IsExVideoHeader
_KEYFRAME, _COMMAND = 1, 5  # frame types
_AVC = 7  # codec id
_OLD_CODECS = {1: "JPEG", 2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6", 6: "Screen video 2"}
_START, _FRAMES, _FRAMES_AT_ONCE = 0, 1, 3  # packet types; the last: frames that have no composition time
_MULTITRACK, _MODIFIER = 6, 7
_FOURCCS: dict[bytes, Codec] = {
    b"avc1": "h264", b"hvc1": "hevc", b"av01": "av1", b"vp09": "vp9", b"vp08": "vp8",
}  # fmt: skip
_COMPOSED: tuple[Codec, ...] = ("h264", "hevc")  # with composition times


@dataclass(frozen=True, slots=True)
class VideoTag:
    """`config`: a sequence header. `frame`: one access unit as the codec has it in FLV.

    `composition_ms`: from its timestamp to when it is shown."""

    kind: Literal["config", "frame"]
    codec: Codec
    is_keyframe: bool
    composition_ms: int
    body: bytes


def read_video_tag(payload: bytes) -> VideoTag | None:
    """None for what says nothing of pictures (end of sequence, commands, metadata).

    Raises FrameError for a message that breaks off, ProtocolError for a codec or form that is not taken."""
    if not payload:
        return None
    head = payload[0]
    if head & _EXTENDED:
        return _read_enhanced(payload)
    frame_type, codec = head >> 4, head & 15
    if frame_type == _COMMAND:
        return None
    if codec != _AVC:
        name = _OLD_CODECS.get(codec, f"codec {codec}")
        raise ProtocolError(f"{name} video is not taken: set the encoder to H.264")
    if len(payload) < 5:
        raise FrameError("a video message that breaks off in its head")
    if payload[1] > _FRAMES:
        return None
    kind: Literal["config", "frame"] = "frame" if payload[1] == _FRAMES else "config"
    return VideoTag(kind, "h264", frame_type == _KEYFRAME, _signed24(payload[2:5]), payload[5:])


def _read_enhanced(payload: bytes) -> VideoTag | None:
    frame_type, packet_type = payload[0] >> 4 & 7, payload[0] & 15
    at = 1
    while packet_type == _MODIFIER:
        packet_type, at = read_modifier(payload, at)
    if frame_type == _COMMAND or packet_type not in (_START, _FRAMES, _FRAMES_AT_ONCE, _MULTITRACK):
        return None
    if packet_type == _MULTITRACK:
        raise ProtocolError("several video tracks in one stream are not taken: turn multitrack video off")
    fourcc = payload[at : at + 4]
    if len(fourcc) < 4:
        raise FrameError("a video message that breaks off in its head")
    codec = _FOURCCS.get(fourcc)
    if codec is None:
        raise ProtocolError(f"{fourcc!r} video is not taken: set the encoder to H.264")
    at, composition_ms = at + 4, 0
    if packet_type == _FRAMES and codec in _COMPOSED:
        if len(payload) < at + 3:
            raise FrameError("a video message that breaks off in its head")
        composition_ms, at = _signed24(payload[at : at + 3]), at + 3
    kind: Literal["config", "frame"] = "config" if packet_type == _START else "frame"
    return VideoTag(kind, codec, frame_type == _KEYFRAME, composition_ms, payload[at:])


def read_modifier(payload: bytes, at: int) -> tuple[int, int]:
    """-> (the packet type behind a modifier, where the next byte is); what it says (nanoseconds) is left out.

    Raises FrameError."""
    size = payload[at] + 1 if at < len(payload) else 0
    at += 1
    if size == 256:
        size = int.from_bytes(payload[at : at + 2], "big") + 1
        at += 2
    at += size
    if at >= len(payload):
        raise FrameError("a message that breaks off in its modifiers")
    return payload[at] & 15, at + 1


def _signed24(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)
