"""HEVC over RTP (RFC 7798, in decoding order): single NAL units, aggregation packets, fragmentation units."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gpu.errors import FrameError
from gpu.types import Codec

from .base import PAYLOAD_MAX, START_CODE, even_cuts, split_annex_b

_AP, _FU = 48, 49
_VPS, _SPS, _AUD = 32, 33, 35
_IRAP = range(16, 22)  # BLA, IDR and CRA: where decoding can begin (H.265 §7.4.2.2)
_HEADER_BYTES = 2
_MAX_NALS = 4096  # of a frame, fragments too: beyond what encoders make, below what would hold up the loop


class HevcFormat:
    """`parameter_sets`, Annex-B, go before every keyframe received without its own (sprop-… of the offer)."""

    codec: Codec = "hevc"

    def __init__(self, parameter_sets: bytes = b"", payload_max: int = PAYLOAD_MAX) -> None:
        self._parameter_sets = parameter_sets
        self._has_sets = bool(parameter_sets)
        self._max = payload_max

    def pack(self, unit: bytes) -> list[bytes]:
        out: list[bytes] = []
        group: list[memoryview] = []
        size = _HEADER_BYTES
        for nal in split_annex_b(unit):
            if len(nal) <= _HEADER_BYTES or _kind(nal) == _AUD:  # the marker bit says what a delimiter does
                continue
            if len(nal) + 2 + size > self._max:
                self._flush(group, out)
                size = _HEADER_BYTES
            if len(nal) > self._max:
                self._fragment(nal, out)
                continue
            group.append(nal)
            size += len(nal) + 2
        self._flush(group, out)
        if not out:
            raise FrameError("an HEVC access unit without NAL units; hand over Annex-B")
        return out

    @staticmethod
    def _flush(group: list[memoryview], out: list[bytes]) -> None:
        if len(group) == 1:
            out.append(bytes(group[0]))
        elif group:  # the lowest layer and temporal id of all (RFC 7798 §4.4.2)
            layer = min((nal[0] & 1) << 5 | nal[1] >> 3 for nal in group)
            temporal = min(nal[1] & 7 for nal in group)
            head = bytes((_AP << 1 | layer >> 5, (layer & 31) << 3 | temporal))
            out.append(head + b"".join(len(nal).to_bytes(2, "big") + nal for nal in group))
        group.clear()

    def _fragment(self, nal: memoryview, out: list[bytes]) -> None:
        head, kind, body = bytes((nal[0] & 0x81 | _FU << 1, nal[1])), _kind(nal), nal[_HEADER_BYTES:]
        for a, b in pairwise(even_cuts(len(body), self._max - 3)):
            flags = (0x80 if a == 0 else 0) | (0x40 if b == len(body) else 0)
            out.append(head + bytes((flags | kind,)) + body[a:b])

    def unpack(self, payloads: Sequence[bytes]) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        kinds: set[int] = set()
        begins: bool | None = None  # with the first slice of the picture
        open_fragment = False
        for payload in payloads:
            if len(payload) < _HEADER_BYTES:
                raise FrameError("an HEVC payload cut short")
            if _kind(payload) == _FU:
                if len(payload) < 4:
                    raise FrameError("an HEVC fragment without a body")
                start, end = payload[2] & 0x80, payload[2] & 0x40
                if bool(start) == open_fragment:
                    raise FrameError("an HEVC fragment out of sequence")
                open_fragment = not end
                if not start:
                    parts.append(payload[3:])
                    continue
                nals = [_fragmented_header(payload) + payload[3:]]
            elif open_fragment:
                raise FrameError("an HEVC fragment without its end")
            else:
                nals = _nals(payload)
            if len(parts) > 2 * _MAX_NALS:
                raise FrameError(f"an HEVC frame of more than {_MAX_NALS} NAL units and fragments")
            for nal in nals:
                kinds.add(_kind(nal))
                if begins is None and _kind(nal) < _VPS and len(nal) > _HEADER_BYTES:
                    begins = bool(nal[_HEADER_BYTES] & 0x80)  # first_slice_segment_in_pic_flag
                parts += (START_CODE, nal)
        if open_fragment or not parts:
            raise FrameError("an HEVC frame without its end")
        if begins is False:
            raise FrameError("an HEVC frame without its first slice")
        self._has_sets = self._has_sets or _SPS in kinds
        key = self._has_sets and any(kind in _IRAP for kind in kinds)  # of use only with its sets
        if key and _SPS not in kinds:
            parts.insert(0, self._parameter_sets)
        return b"".join(parts), key

    def starts_keyframe(self, payload: bytes) -> bool:
        if len(payload) <= _HEADER_BYTES:
            return False
        if _kind(payload) == _FU:
            return payload[2] & 0xBF == 0x80 | _VPS
        try:
            return any(_kind(nal) == _VPS for nal in _nals(payload))
        except FrameError:
            return False


def _kind(nal: bytes | memoryview) -> int:
    return nal[0] >> 1 & 0x3F


def _fragmented_header(payload: bytes) -> bytes:
    """The NAL unit header a fragment stands for."""
    return bytes((payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]))


def _nals(payload: bytes) -> list[bytes]:
    """The whole NAL units of a payload that is no fragment. Raises FrameError."""
    kind = _kind(payload)
    if kind < _AP:
        return [payload]
    if kind != _AP:
        raise FrameError(f"HEVC payload of type {kind}; single NAL units, AP and FU are taken")
    at = _HEADER_BYTES
    found: list[bytes] = []
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        nal = payload[at + 2 : at + 2 + size]
        if size < _HEADER_BYTES or len(nal) != size:
            raise FrameError("an HEVC aggregation packet with a wrong length")
        found.append(nal)
        at += 2 + size
    return found
