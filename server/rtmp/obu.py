"""AV1 between FLV's form and relens' own: sizes, sequence headers, delimiters (AV1 §5.3). Knows no stream.

The record of a sequence header: AV1CodecConfigurationRecord ("AV1 Codec ISO Media File Format Binding" §2.3).
"""

from __future__ import annotations

from gpu.errors import FrameError
from server.peer.payload.av1 import leb128, sent_obus

_RECORD_BYTES = 4
_MARKER_AND_VERSION = 0x81
_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6  # AV1 §6.2.2
_HAS_EXTENSION, _HAS_SIZE = 0x04, 0x02
_MAX_OBUS = 1024  # of a unit: beyond what encoders make, below what would hold up the loop


def read_av1_record(record: bytes) -> bytes:
    """-> the sequence header it holds, with its size, or b"". Raises FrameError."""
    if len(record) < _RECORD_BYTES or record[0] != _MARKER_AND_VERSION:
        raise FrameError(f"an AV1 sequence header of {len(record)} bytes that is no record of version 1")
    return _tidy(record[_RECORD_BYTES:])[0]


def to_unit(sequence: bytes, unit: bytes, is_keyframe: bool) -> bytes:
    """A temporal unit as EncodedFrame has it; a keyframe begins with `sequence` unless it brings its own.

    Raises FrameError for what is none."""
    data, kinds = _tidy(unit)
    if not kinds & {_FRAME_HEADER, _FRAME}:
        raise FrameError("an AV1 temporal unit without a frame")
    return sequence + data if is_keyframe and _SEQUENCE not in kinds else data


def _tidy(unit: bytes) -> tuple[bytes, set[int]]:
    """-> (its OBUs with sizes and without delimiters, their types)."""
    parts: list[bytes] = []
    kinds: set[int] = set()
    for obu in sent_obus(unit):
        at = 2 if obu[0] & _HAS_EXTENSION else 1
        parts += (bytes((obu[0] | _HAS_SIZE,)), obu[1:at], leb128(len(obu) - at), obu[at:])
        kinds.add(obu[0] >> 3 & 15)
        if len(parts) > 4 * _MAX_OBUS:
            raise FrameError(f"an AV1 temporal unit of more than {_MAX_OBUS} OBUs")
    return b"".join(parts), kinds
