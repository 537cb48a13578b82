"""H.264 and HEVC between FLV's form (lengths, and a record of parameter sets) and Annex-B. Knows no stream.

Records: AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1), HEVCDecoderConfigurationRecord (§8.3.3.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpu.errors import FrameError
from server.peer.payload.base import START_CODE, split_annex_b

_AVC_SPS, _AVC_PPS, _AVC_IDR, _AVC_DELIMITER, _AVC_FILLER = 7, 8, 5, 9, 12  # H.264 §7.4.1
_HEVC_SETS, _HEVC_DELIMITER, _HEVC_FILLER = (32, 33, 34), 35, 38  # H.265 §7.4.2.2
_HEVC_KEYS = range(16, 22)
_MAX_NALS = 1024  # of an access unit: beyond what encoders make, below what would hold up the loop
_HIGH_PROFILES = (100, 110, 122, 144)  # their records have a tail, §5.3.3.1.2
_LENGTH_BYTES = 4  # of each NAL unit we send


@dataclass(frozen=True, slots=True)
class NalConfig:
    """What a sequence header says: how NAL units are measured, and the parameter sets as Annex-B."""

    hevc: bool
    length_bytes: int
    parameter_sets: bytes


def read_avc_record(record: bytes) -> NalConfig:
    """Raises FrameError."""
    cursor = _Cursor(record, "AVC sequence header")
    if cursor.take(1) != b"\x01":
        raise FrameError(f"an AVC sequence header of version {record[0]}, not 1")
    cursor.take(3)
    length_bytes = (cursor.number(1) & 3) + 1
    sets = [cursor.take(cursor.number(2)) for _ in range(cursor.number(1) & 31)]
    sets += [cursor.take(cursor.number(2)) for _ in range(cursor.number(1))]
    return _config(False, length_bytes, sets)


def read_hevc_record(record: bytes) -> NalConfig:
    """Raises FrameError."""
    cursor = _Cursor(record, "HEVC sequence header")
    cursor.take(21)
    length_bytes = (cursor.number(1) & 3) + 1
    sets: list[bytes] = []
    for _ in range(cursor.number(1)):
        kind = cursor.number(1) & 63
        units = [cursor.take(cursor.number(2)) for _ in range(cursor.number(2))]
        sets += units if kind in _HEVC_SETS else []
        if len(sets) > _MAX_NALS:
            raise FrameError("an HEVC sequence header of too many parameter sets")
    return _config(True, length_bytes, sets)


def _config(hevc: bool, length_bytes: int, sets: list[bytes]) -> NalConfig:
    if length_bytes == 3 or not all(sets):
        raise FrameError("a sequence header with an empty parameter set, or lengths of three bytes")
    return NalConfig(hevc, length_bytes, b"".join(START_CODE + unit for unit in sets))


def to_annex_b(config: NalConfig, unit: bytes, is_keyframe: bool) -> tuple[bytes, bool]:
    """One access unit with lengths -> (with start codes, is a keyframe).

    A keyframe gets its parameter sets, unless it brings its own. Raises FrameError for lengths that do
    not fit, or no NAL unit at all."""
    parts: list[bytes] = []
    brings_sets = False
    for nal in _measured(config, unit):
        kind = nal[0] >> 1 & 63 if config.hevc else nal[0] & 31
        if kind in ((_HEVC_DELIMITER, _HEVC_FILLER) if config.hevc else (_AVC_DELIMITER, _AVC_FILLER)):
            continue
        brings_sets = brings_sets or (kind in _HEVC_SETS if config.hevc else kind == _AVC_SPS)
        is_keyframe = is_keyframe or (kind in _HEVC_KEYS if config.hevc else kind == _AVC_IDR)
        parts += (START_CODE, nal)
    if not parts:
        raise FrameError("a picture without NAL units")
    if is_keyframe and not brings_sets:
        parts.insert(0, config.parameter_sets)
    return b"".join(parts), is_keyframe


def _measured(config: NalConfig, unit: bytes) -> Iterator[bytes]:
    at, found = 0, 0
    while at < len(unit):
        body_at = at + config.length_bytes
        size = int.from_bytes(unit[at:body_at], "big")
        at = body_at + size
        found += 1
        if at > len(unit) or found > _MAX_NALS:
            raise FrameError(f"a picture whose NAL units do not add up to its {len(unit)} bytes")
        if size:
            yield unit[body_at:at]


def to_lengths(unit: bytes) -> tuple[bytes, bytes]:
    """H.264 in Annex-B -> (with lengths and without its parameter sets, the record of these or b"")."""
    parts: list[bytes | memoryview] = []
    sps: list[bytes] = []
    pps: list[bytes] = []
    for nal in split_annex_b(unit):
        kind = nal[0] & 31
        if kind in (_AVC_SPS, _AVC_PPS):
            (sps if kind == _AVC_SPS else pps).append(bytes(nal))
        elif kind != _AVC_DELIMITER:
            parts += (len(nal).to_bytes(_LENGTH_BYTES, "big"), nal)
    return b"".join(parts), _avc_record(sps, pps)


def _avc_record(sps: list[bytes], pps: list[bytes]) -> bytes:
    if not sps or not pps or len(sps[0]) < 4:
        return b""
    head = bytes((1, *sps[0][1:4], 0xFC | _LENGTH_BYTES - 1))
    record = head + bytes((0xE0 | len(sps),)) + b"".join(len(s).to_bytes(2, "big") + s for s in sps)
    record += bytes((len(pps),)) + b"".join(len(s).to_bytes(2, "big") + s for s in pps)
    # 4:2:0, 8 bits of both: what relens encodes.
    return record + (b"\xfd\xf8\xf8\x00" if sps[0][1] in _HIGH_PROFILES else b"")


class _Cursor:
    """Reads a record from its begin; FrameError where it breaks off."""

    def __init__(self, record: bytes, what: str) -> None:
        self._record, self._what, self._at = record, what, 0

    def take(self, count: int) -> bytes:
        self._at += count
        if self._at > len(self._record):
            raise FrameError(f"an {self._what} that breaks off after {len(self._record)} bytes")
        return self._record[self._at - count : self._at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")
