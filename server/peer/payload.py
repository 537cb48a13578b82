"""RTP payload formats: access units to payloads and back. H.264 (RFC 6184, mode 1) and VP8 (RFC 7741)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from gpu.errors import FrameError
from gpu.types import Codec

PAYLOAD_MAX = 1200  # leaves room for RTP, extensions, SRTP, TURN and IPv6 in 1280
_STAP_A, _FU_A = 24, 28
_IDR, _SPS = 5, 7
_START = b"\x00\x00\x00\x01"


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
        """Surely the first packet that a keyframe needs (an H.264 one without SPS is not told)."""
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


class H264Format:
    """Single NAL units, STAP-A and FU-A."""

    codec: Codec = "h264"

    def pack(self, unit: bytes) -> list[bytes]:
        out: list[bytes] = []
        group: list[memoryview] = []
        size = 1
        for nal in split_annex_b(unit):
            if nal[0] & 0x1F == 9:  # access unit delimiters say nothing the marker bit does not
                continue
            if len(nal) + 2 + size > PAYLOAD_MAX:
                self._flush(group, out)
                size = 1
            if len(nal) > PAYLOAD_MAX:
                self._fragment(nal, out)
                continue
            group.append(nal)
            size += len(nal) + 2
        self._flush(group, out)
        if not out:
            raise FrameError("an H.264 access unit without NAL units; hand over Annex-B")
        return out

    @staticmethod
    def _flush(group: list[memoryview], out: list[bytes]) -> None:
        if len(group) == 1:
            out.append(bytes(group[0]))
        elif group:
            head = _STAP_A | max(nal[0] & 0x60 for nal in group)
            out.append(bytes([head]) + b"".join(len(nal).to_bytes(2, "big") + nal for nal in group))
        group.clear()

    @staticmethod
    def _fragment(nal: memoryview, out: list[bytes]) -> None:
        indicator, kind = (nal[0] & 0x60) | _FU_A, nal[0] & 0x1F
        body = len(nal) - 1
        count = -(-body // (PAYLOAD_MAX - 2))
        for i in range(count):  # of even size, so that no tiny last packet is paced on its own
            piece = nal[1 + i * body // count : 1 + (i + 1) * body // count]
            header = kind | (0x80 if i == 0 else 0) | (0x40 if i == count - 1 else 0)
            out.append(bytes((indicator, header)) + piece)

    def unpack(self, payloads: Sequence[bytes]) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        key = open_fragment = False
        for payload in payloads:
            kind = payload[0] & 0x1F if payload else 0
            if kind == _FU_A:
                if len(payload) < 3:
                    raise FrameError("an FU-A without a fragment")
                start, end = payload[1] & 0x80, payload[1] & 0x40
                if bool(start) == open_fragment:
                    raise FrameError("an FU-A out of sequence")
                if start:
                    parts += (_START, bytes([payload[0] & 0xE0 | payload[1] & 0x1F]))
                    key = key or payload[1] & 0x1F == _IDR
                parts.append(payload[2:])
                open_fragment = not end
                continue
            if open_fragment:
                raise FrameError("an FU-A without its end")
            if kind == _STAP_A:
                for nal in _stap_a(payload):
                    parts += (_START, nal)
                    key = key or nal[0] & 0x1F == _IDR
            elif 1 <= kind < _STAP_A:
                parts += (_START, payload)
                key = key or kind == _IDR
            else:
                raise FrameError(f"H.264 payload of type {kind}; single NAL units, STAP-A and FU-A are taken")
        if open_fragment or not parts:
            raise FrameError("an H.264 frame without its end")
        return b"".join(parts), key

    def starts_keyframe(self, payload: bytes) -> bool:
        kind = payload[0] & 0x1F if payload else 0
        if kind == _STAP_A:
            try:
                return any(nal[0] & 0x1F == _SPS for nal in _stap_a(payload))
            except FrameError:
                return False
        if kind == _FU_A:
            return len(payload) > 2 and bool(payload[1] & 0x80) and payload[1] & 0x1F == _SPS
        return kind == _SPS


def _stap_a(payload: bytes) -> Iterator[bytes]:
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        nal = payload[at + 2 : at + 2 + size]
        if not size or len(nal) != size:
            raise FrameError("a STAP-A with a wrong length")
        yield nal
        at += 2 + size


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
        count = -(-len(unit) // (PAYLOAD_MAX - 4))
        cuts = [i * len(unit) // count for i in range(count + 1)]
        return [
            (b"\x90\x80" if i == 0 else b"\x80\x80") + picture + unit[cuts[i] : cuts[i + 1]]
            for i in range(count)
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


def payload_format(codec: Codec) -> PayloadFormat:
    return H264Format() if codec == "h264" else Vp8Format()
