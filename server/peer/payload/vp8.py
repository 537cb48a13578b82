"""VP8 over RTP (RFC 7741)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gpu.errors import FrameError
from gpu.types import Codec

from .base import PAYLOAD_MAX, even_cuts


class Vp8Format:
    """A descriptor with a running 15-bit picture id on what is sent; any descriptor on what is received."""

    codec: Codec = "vp8"

    def __init__(self) -> None:
        self._picture = 0

    def pack(self, unit: bytes) -> list[bytes]:
        if not unit:
            raise FrameError("an empty VP8 frame")
        picture = (0x8000 | self._picture).to_bytes(2, "big")
        self._picture = (self._picture + 1) & 0x7FFF
        return [
            (b"\x90\x80" if a == 0 else b"\x80\x80") + picture + unit[a:b]
            for a, b in pairwise(even_cuts(len(unit), PAYLOAD_MAX - 4))
        ]

    def unpack(self, payloads: Sequence[bytes]) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        for i, payload in enumerate(payloads):
            starts, at = _vp8_descriptor(payload)
            if starts != (i == 0):
                raise FrameError("a VP8 frame without its first packet")
            parts.append(payload[at:])
        unit = b"".join(parts)
        if not unit:
            raise FrameError("an empty VP8 frame")
        return unit, not unit[0] & 1

    def starts_keyframe(self, payload: bytes) -> bool:
        try:
            starts, at = _vp8_descriptor(payload)
        except FrameError:
            return False
        return starts and at < len(payload) and not payload[at] & 1


def _vp8_descriptor(payload: bytes) -> tuple[bool, int]:
    """-> (the frame begins here, where its bytes begin)."""
    try:
        first, at = payload[0], 1
        if first & 0x80:
            flags, at = payload[1], 2
            if flags & 0x80:
                at += 2 if payload[at] & 0x80 else 1
            at += bool(flags & 0x40) + bool(flags & 0x30)
    except IndexError:
        raise FrameError("a VP8 descriptor cut short") from None
    if at > len(payload):
        raise FrameError("a VP8 descriptor cut short")
    return bool(first & 0x10) and not first & 0x0F, at
