"""AV1 over RTP (AOM, "RTP Payload Format for AV1", v1.0): OBUs cut into elements and joined again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpu.errors import FrameError
from gpu.types import Codec

from .base import PAYLOAD_MAX

_Z, _Y, _W, _N = 0x80, 0x40, 0x30, 0x08
_SEQUENCE, _DELIMITER, _FRAME_HEADER, _FRAME, _TILE_LIST, _PADDING = 1, 2, 3, 6, 8, 15  # AV1 §6.2.2
_NOT_SENT = (_DELIMITER, _TILE_LIST, _PADDING)
_HAS_EXTENSION, _HAS_SIZE = 0x04, 0x02
_LENGTH_BYTES = 2  # of an element's leb128, as far as one fits a packet
_MAX_LEB128 = 8
_MAX_OBUS = 1024  # of a unit: far beyond what encoders make, far below what would hold up the loop


class Av1Format:
    """Units as EncodedFrame has them: low-overhead format, without temporal delimiter."""

    codec: Codec = "av1"

    def __init__(self, payload_max: int = PAYLOAD_MAX) -> None:
        self._max = payload_max

    def pack(self, unit: bytes) -> list[bytes]:
        obus = [bytes(obu) for obu in sent_obus(unit)]
        if not any(_kind(obu) in (_FRAME, _FRAME_HEADER) for obu in obus):
            raise FrameError("an AV1 temporal unit without a frame; hand over the low-overhead format")
        begins = any(_kind(obu) == _SEQUENCE for obu in obus)
        # All packets alike: no tiny last one is paced on its own.
        total, most = sum(len(obu) + _LENGTH_BYTES for obu in obus), self._max - 1 - _LENGTH_BYTES
        room = -(-total // -(-total // most))
        out: list[bytes] = []
        packet: list[bytes] = []
        used, continues = 0, False
        for obu in obus:
            at = 0
            while at < len(obu):
                if used + _LENGTH_BYTES >= room:
                    out.append(_packet(packet, continues, at > 0, begins and not out))
                    packet, used, continues = [], 0, at > 0
                piece = obu[at : at + room - used - _LENGTH_BYTES + (0 if packet else _LENGTH_BYTES)]
                packet.append(piece)
                used += len(piece) + _LENGTH_BYTES
                at += len(piece)
        out.append(_packet(packet, continues, False, begins and not out))
        return out

    def unpack(self, payloads: Sequence[bytes]) -> tuple[bytes, bool]:
        obus: list[bytearray] = []
        open_obu = False
        for payload in payloads:
            elements = _elements(payload)
            if bool(payload[0] & _Z) != open_obu:
                raise FrameError("an AV1 fragment without its other part")
            if open_obu:
                obus[-1] += elements.pop(0)
            obus += map(bytearray, elements)
            if len(obus) > _MAX_OBUS:
                raise FrameError(f"an AV1 temporal unit of more than {_MAX_OBUS} OBUs")
            open_obu = bool(payload[0] & _Y)
        if open_obu:
            raise FrameError("an AV1 temporal unit without its end")
        parts: list[bytes] = []
        sequence = framed = key = False
        for obu in obus:
            kind, head, body = _read(bytes(obu))
            if kind in _NOT_SENT:
                continue
            if kind in (_FRAME, _FRAME_HEADER) and not framed:
                framed, key = True, sequence and _is_key(body)
            sequence = sequence or kind == _SEQUENCE
            parts += (head, leb128(len(body)), body)
        if not framed:
            raise FrameError("an AV1 temporal unit without a frame")
        return b"".join(parts), key

    def starts_keyframe(self, payload: bytes) -> bool:
        return len(payload) > 1 and payload[0] & (_Z | _N) == _N


def _kind(obu: bytes) -> int:
    return obu[0] >> 3 & 15


def _is_key(frame: bytes) -> bool:
    """show_existing_frame and frame_type of a frame header (AV1 §5.9.2); only stills have none."""
    return bool(frame) and frame[0] >> 5 == 0


def leb128(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def read_leb128(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """-> (the number, where the next byte is). Raises FrameError."""
    number = 0
    for i, byte in enumerate(data[at : at + _MAX_LEB128]):
        number |= (byte & 0x7F) << 7 * i
        if not byte & 0x80:
            return number, at + i + 1
    raise FrameError("an AV1 length without its end")


def _packet(pieces: list[bytes], continues: bool, goes_on: bool, begins: bool) -> bytes:
    """One payload; up to three elements are counted in W and the last of them has no length."""
    counted = len(pieces) if len(pieces) <= 3 else 0
    head = (_Z if continues else 0) | (_Y if goes_on else 0) | counted << 4 | (_N if begins else 0)
    last = len(pieces) - 1 if counted else -1
    return bytes((head,)) + b"".join(
        piece if i == last else leb128(len(piece)) + piece for i, piece in enumerate(pieces)
    )


def _elements(payload: bytes) -> list[bytes]:
    """The OBU elements of one payload, at least one. Raises FrameError."""
    if len(payload) < 2:
        raise FrameError("an AV1 payload without an OBU")
    count, at = (payload[0] & _W) >> 4, 1
    found: list[bytes] = []
    while at < len(payload):
        size = len(payload) - at
        if len(found) + 1 != count:
            size, at = read_leb128(payload, at)
        element = payload[at : at + size]
        at += size
        if not element or at > len(payload):
            raise FrameError("an AV1 OBU element with a wrong length")
        found.append(element)
    if count and len(found) != count:
        raise FrameError("an AV1 payload with fewer OBUs than it says")
    return found


def _read(obu: bytes) -> tuple[int, bytes, bytes]:
    """An OBU as it came -> (its type, its header made to have a size, its body). Raises FrameError."""
    head = 2 if obu[0] & _HAS_EXTENSION else 1
    if len(obu) < head or obu[0] & 0x80:
        raise FrameError("an AV1 OBU with a wrong header")
    body = obu[head:]
    if obu[0] & _HAS_SIZE:
        size, at = read_leb128(obu, head)
        body = obu[at : at + size]
        if len(body) != size:
            raise FrameError("an AV1 OBU with a wrong size")
    return _kind(obu), bytes((obu[0] | _HAS_SIZE,)) + obu[1:head], body


def sent_obus(unit: bytes) -> Iterator[bytes]:
    """The OBUs of a temporal unit that are sent, without their size. Raises FrameError."""
    at = 0
    while at < len(unit):
        bytes_of_head = 2 if unit[at] & _HAS_EXTENSION else 1
        head = unit[at : at + bytes_of_head]
        at += len(head)
        size = len(unit) - at
        if head[0] & _HAS_SIZE:
            size, at = read_leb128(unit, at)
        body = unit[at : at + size]
        at += size
        if head[0] & 0x80 or len(head) != bytes_of_head or at > len(unit):
            raise FrameError("an AV1 temporal unit with a wrong OBU; hand over the low-overhead format")
        if _kind(head) not in _NOT_SENT:
            yield bytes((head[0] & ~_HAS_SIZE,)) + head[1:] + body
