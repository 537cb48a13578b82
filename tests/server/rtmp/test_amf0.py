"""AMF0: what is written is read, what is no AMF0 is refused."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import ProtocolError
from server.rtmp import amf0

PLAIN = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), st.text(max_size=30))
NAMES = st.text(min_size=1, max_size=12)  # an empty name ends an object for some readers
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
).filter(lambda value: depth(value) < 8)


def depth(value: object) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((depth(inner) for inner in inside), default=0)


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.lists(VALUES, max_size=5))
def test_what_is_written_is_read(values: list[amf0.Value]) -> None:
    assert amf0.decode(amf0.encode(*values)) == values


def test_what_encoders_send_besides() -> None:
    ecma = b"\x08\x00\x00\x00\x09\x00\x05width\x00" + struct.pack(">d", 1280) + b"\x00\x00\x09"
    assert amf0.decode(ecma) == [{"width": 1280.0}]
    typed = b"\x10\x00\x01T\x00\x01a\x01\x01\x00\x00\x09"
    assert amf0.decode(typed) == [{"a": True}]
    assert amf0.decode(b"\x06\x05\x0d") == [None, None, None]
    assert amf0.decode(b"\x0b" + struct.pack(">dh", 5, 0)) == [5.0]
    assert amf0.decode(b"\x0c\x00\x00\x00\x02hi") == ["hi"]
    assert amf0.decode(amf0.encode("x" * 70_000)) == ["x" * 70_000]
    assert math.isnan(float(amf0.decode(amf0.encode(math.nan))[0]))  # type: ignore[arg-type]
    assert amf0.decode(b"\x02\x00\x02\xff\xfe") == ["\ufffd\ufffd"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01", b"\x02\x00\x05abc", b"\x03", b"\x03\x00\x01a", b"\x0a\xff\xff\xff\xff", b"\x07\x00\x01",
        b"\x11", b"\xff", b"\x03\x00\x01a" * 5000, b"\x0a\x00\x00\x00\x01" * 5000, b"\x05" * 5000,
        b"\x0c\xff\xff\xff\xff", b"\x0b\x00",
    ],
)  # fmt: skip
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        amf0.decode(data)


def test_what_has_no_form_is_our_own_mistake() -> None:
    with pytest.raises(TypeError, match="no form for object"):
        amf0.encode(object())  # type: ignore[arg-type]
