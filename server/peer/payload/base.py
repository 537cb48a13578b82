"""What an RTP payload format is: access units to payloads and back. Knows no codec and no packet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from gpu.types import Codec

PAYLOAD_MAX = 1200  # leaves room for RTP, extensions, SRTP, TURN and IPv6 in 1280
START_CODE = b"\x00\x00\x00\x01"


class PayloadFormat(Protocol):
    """How one codec's access units are cut into RTP payloads."""

    codec: Codec

    def pack(self, unit: bytes) -> list[bytes]:
        """Raises FrameError for what holds no picture."""
        ...

    def unpack(self, payloads: Sequence[bytes]) -> tuple[bytes, bool]:
        """All payloads of one frame, in order -> (access unit, is a keyframe). Raises FrameError."""
        ...

    def starts_keyframe(self, payload: bytes) -> bool:
        """Surely the first packet that a keyframe needs (one without parameter sets is not told)."""
        ...


def split_annex_b(unit: bytes) -> Iterator[memoryview]:
    """The NAL units between start codes of three or four bytes; empty ones left out."""
    view = memoryview(unit)
    at = unit.find(b"\x00\x00\x01")
    while at >= 0:
        begin = at + 3
        at = unit.find(b"\x00\x00\x01", begin)
        end = len(unit) if at < 0 else at
        while end > begin and unit[end - 1] == 0:  # trailing zeros, and the first byte of a long start code
            end -= 1
        if end > begin:
            yield view[begin:end]


def even_cuts(size: int, most: int) -> list[int]:
    """Where to cut `size` bytes into pieces of at most `most`, alike: no tiny last one is paced alone."""
    count = -(-size // most)
    return [i * size // count for i in range(count + 1)]
