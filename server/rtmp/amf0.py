"""AMF0 values to and from bytes (Adobe's "Action Message Format -- AMF 0"). Knows no message.

Numbers are floats, objects and ECMA arrays dicts, strict arrays lists; null and undefined are None, a date
its milliseconds. How deep a peer may nest values, and how many it may send, is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from server.errors import ProtocolError

Value: TypeAlias = "float | bool | str | Mapping[str, Value] | Sequence[Value] | None"

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0, 1, 2, 3, 5, 6  # AMF 0 §2.1
_ECMA_ARRAY, _STRICT_ARRAY, _DATE, _LONG_STRING, _UNSUPPORTED, _XML, _TYPED_OBJECT = 8, 10, 11, 12, 13, 15, 16
_END = b"\x00\x00\x09"
_MAX_DEPTH = 8  # encoders send objects of plain values
_MAX_VALUES = 2048  # of one message: far beyond what encoders send, far below what would hold up the loop
_SHORT_BYTES = 0xFFFF


def decode(data: bytes) -> list[Value]:
    """All values of `data`. Raises ProtocolError for what is not AMF0, or too much of it."""
    reader = _Reader(data)
    values: list[Value] = []
    while reader.at < len(data):
        values.append(reader.value(0))
    return values


def encode(*values: Value) -> bytes:
    """Raises TypeError for what AMF0 has no form for."""
    out = bytearray()
    for value in values:
        _write(out, value)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._left = _MAX_VALUES

    def value(self, depth: int) -> Value:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise ProtocolError(f"AMF of more than {_MAX_VALUES} values, or {_MAX_DEPTH} deep: send less")
        kind = self._take(1)[0]
        if kind in (_OBJECT, _TYPED_OBJECT, _ECMA_ARRAY):
            if kind == _TYPED_OBJECT:
                self._string(2)
            elif kind == _ECMA_ARRAY:
                self._take(4)  # a count that many encoders get wrong: the end marker says where it ends
            return self._members(depth)
        if kind == _STRICT_ARRAY:
            count: int = struct.unpack(">I", self._take(4))[0]
            if count > self._left:
                raise ProtocolError(f"an AMF array of {count} values: send less")
            return [self.value(depth + 1) for _ in range(count)]
        return self._plain(kind)

    def _plain(self, kind: int) -> Value:
        if kind == _NUMBER:
            return float(struct.unpack(">d", self._take(8))[0])
        if kind == _BOOLEAN:
            return self._take(1) != b"\x00"
        if kind == _STRING:
            return self._string(2)
        if kind in (_LONG_STRING, _XML):
            return self._string(4)
        if kind in (_NULL, _UNDEFINED, _UNSUPPORTED):
            return None
        if kind == _DATE:
            return float(struct.unpack(">dh", self._take(10))[0])
        raise ProtocolError(f"an AMF value of type {kind}: AMF0 without references is taken")

    def _members(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while self._data[self.at : self.at + 3] != _END:
            name = self._string(2)
            found[name] = self.value(depth + 1)
        self.at += len(_END)
        return found

    def _string(self, length_bytes: int) -> str:
        return self._take(int.from_bytes(self._take(length_bytes), "big")).decode("utf-8", "replace")

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise ProtocolError(f"AMF that breaks off {count} bytes before its end: send whole values")
        self.at += count
        return self._data[self.at - count : self.at]


def _write(out: bytearray, value: Value) -> None:
    if value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        out += bytes((_BOOLEAN, value))
    elif isinstance(value, int | float):
        out += struct.pack(">Bd", _NUMBER, value)
    elif isinstance(value, str):
        text = value.encode("utf-8", "replace")
        long = len(text) > _SHORT_BYTES
        out += struct.pack(">BI" if long else ">BH", _LONG_STRING if long else _STRING, len(text)) + text
    elif isinstance(value, Mapping):
        out.append(_OBJECT)
        for name, member in value.items():
            key = name.encode("utf-8", "replace")[:_SHORT_BYTES]
            out += struct.pack(">H", len(key)) + key
            _write(out, member)
        out += _END
    elif isinstance(value, Sequence):
        out += struct.pack(">BI", _STRICT_ARRAY, len(value))
        for member in value:
            _write(out, member)
    else:
        raise TypeError(f"AMF0 has no form for {type(value).__name__}")
