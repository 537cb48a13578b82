"""VP9 over RTP (RFC 9628): flexible and non-flexible mode are read, one layer with picture ids written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gpu.errors import FrameError
from gpu.types import Codec

from .base import PAYLOAD_MAX, even_cuts

_I, _P, _L, _F, _B, _E, _V = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02
_DESCRIPTOR_BYTES = 3  # of what we write: flags and a 15-bit picture id
_MAX_FRAMES = 8  # of a superframe (VP9 bitstream, annex B)
_MOST_REFERENCES = 3


@dataclass(frozen=True, slots=True)
class _Descriptor:
    starts: bool  # a layer's frame begins here
    ends: bool
    inter: bool  # refers to earlier pictures
    spatial: int
    body: int  # where the frame's bytes begin


class Vp9Format:
    """Layers of one picture come up together, as a superframe, so that a decoder sees the highest."""

    codec: Codec = "vp9"

    def __init__(self, payload_max: int = PAYLOAD_MAX) -> None:
        self._max = payload_max
        self._picture = 0

    def pack(self, unit: bytes) -> list[bytes]:
        if not unit:
            raise FrameError("an empty VP9 frame")
        picture = (0x8000 | self._picture).to_bytes(2, "big")
        self._picture = (self._picture + 1) & 0x7FFF
        inter = 0 if _is_keyframe(unit) else _P
        return [
            bytes((_I | inter | (_B if a == 0 else 0) | (_E if b == len(unit) else 0),)) + picture + unit[a:b]
            for a, b in pairwise(even_cuts(len(unit), self._max - _DESCRIPTOR_BYTES))
        ]

    def unpack(self, payloads: Sequence[bytes]) -> tuple[bytes, bool]:
        frames: list[bytes] = []
        parts: list[bytes] = []
        ended = True
        for payload in payloads:
            descriptor = _descriptor(payload)
            if descriptor.starts != ended:
                raise FrameError("a VP9 frame without its first packet, or without its last")
            parts.append(payload[descriptor.body :])
            ended = descriptor.ends
            if ended:
                frames.append(b"".join(parts))
                parts.clear()
        if not ended or not frames or not all(frames):
            raise FrameError("a VP9 frame without its end")
        if len(frames) > _MAX_FRAMES:
            raise FrameError(f"a VP9 picture of {len(frames)} layers; at most {_MAX_FRAMES} are taken")
        return _superframe(frames), _is_keyframe(frames[0])

    def starts_keyframe(self, payload: bytes) -> bool:
        try:
            found = _descriptor(payload)
        except FrameError:
            return False
        return found.starts and not found.inter and not found.spatial and _is_keyframe(payload[found.body :])


def _is_keyframe(unit: bytes) -> bool:
    """By the uncompressed header: marker, profile, show_existing_frame, frame_type (VP9 bitstream §6.2)."""
    first = unit[0] if unit else 0
    if first >> 6 != 2:
        return False
    return not first & 0x06 if first & 0x30 == 0x30 else not first & 0x0C


def _superframe(frames: list[bytes]) -> bytes:
    """Frames of one picture behind each other with the index that tells their sizes (annex B)."""
    if len(frames) == 1:
        return frames[0]
    width = max((len(frame).bit_length() + 7) // 8 for frame in frames)
    if width > 4:
        raise FrameError("a VP9 layer beyond 4 GB")
    marker = bytes((0xC0 | (width - 1) << 3 | (len(frames) - 1),))
    sizes = b"".join(len(frame).to_bytes(width, "little") for frame in frames)
    return b"".join(frames) + marker + sizes + marker


def _descriptor(payload: bytes) -> _Descriptor:
    """Raises FrameError for one that is cut short or refers to too much."""
    try:
        flags, at, spatial = payload[0], 1, 0
        if flags & _I:
            at += 2 if payload[at] & 0x80 else 1
        if flags & _L:
            spatial = payload[at] >> 1 & 7
            at += 1 if flags & _F else 2  # TL0PICIDX in non-flexible mode
        if flags & _F and flags & _P:
            for _ in range(_MOST_REFERENCES):
                at += 1
                if not payload[at - 1] & 1:
                    break
            else:
                raise FrameError("a VP9 picture of more than three references")
        if flags & _V:
            at = _after_structure(payload, at)
    except IndexError:
        raise FrameError("a VP9 descriptor cut short") from None
    if at > len(payload):
        raise FrameError("a VP9 descriptor cut short")
    return _Descriptor(bool(flags & _B), bool(flags & _E), bool(flags & _P), spatial, at)


def _after_structure(payload: bytes, at: int) -> int:
    """Past the scalability structure (RFC 9628 §4.2.1), which the bitstream says again."""
    head, at = payload[at], at + 1
    if head & 0x10:
        at += 4 * ((head >> 5) + 1)
    if head & 0x08:
        pictures, at = payload[at], at + 1
        for _ in range(pictures):
            at += 1 + (payload[at] >> 2 & 3)
    return at
