"""H.264 over RTP (RFC 6184, packetization-mode 1): single NAL units, STAP-A and FU-A."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from gpu.errors import FrameError
from gpu.types import Codec

from .base import PAYLOAD_MAX, START_CODE, even_cuts, split_annex_b

_STAP_A, _FU_A = 24, 28
_IDR, _SPS = 5, 7


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
        body = nal[1:]
        for a, b in pairwise(even_cuts(len(body), PAYLOAD_MAX - 2)):
            header = kind | (0x80 if a == 0 else 0) | (0x40 if b == len(body) else 0)
            out.append(bytes((indicator, header)) + body[a:b])

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
                    parts += (START_CODE, bytes([payload[0] & 0xE0 | payload[1] & 0x1F]))
                    key = key or payload[1] & 0x1F == _IDR
                parts.append(payload[2:])
                open_fragment = not end
                continue
            if open_fragment:
                raise FrameError("an FU-A without its end")
            if kind == _STAP_A:
                for nal in _stap_a(payload):
                    parts += (START_CODE, nal)
                    key = key or nal[0] & 0x1F == _IDR
            elif 1 <= kind < _STAP_A:
                parts += (START_CODE, payload)
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
