"""AAC as MPEG-TS has it, each frame with an ADTS head, made raw frames and a config. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from server.errors import ProtocolError

_HEAD, _HEAD_CRC = 7, 9  # bytes (ISO/IEC 13818-7 §6.2)
_MOST_RATES = 13  # indexes of the table in ISO/IEC 14496-3 §1.6.3.4


def frames(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """-> (AudioSpecificConfig, raw frame) of each frame. Raises ProtocolError for what is no ADTS."""
    at = 0
    while at < len(data):
        head = data[at : at + _HEAD]
        if len(head) < _HEAD or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            raise ProtocolError("the AAC has no ADTS heads: send MPEG-TS with AAC as ADTS")
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        skipped = _HEAD if head[1] & 1 else _HEAD_CRC
        rate, channels = head[2] >> 2 & 15, (head[2] & 1) << 2 | head[3] >> 6
        if size <= skipped or at + size > len(data) or rate >= _MOST_RATES or head[6] & 3:
            raise ProtocolError("an AAC frame's head contradicts it: send AAC-LC, one block a frame")
        kind = (head[2] >> 6) + 1
        yield (kind << 11 | rate << 7 | channels << 3).to_bytes(2, "big"), data[at + skipped : at + size]
        at += size
