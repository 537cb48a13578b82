"""Messages between the server and its children: whole, however the bytes come; nonsense is said to be."""

from __future__ import annotations

import pytest

from server.push.wire import KEYFRAME, MOST_BODY, Broken, Message, Say, Unpacker, packed, packed_json


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_messages_come_whole(step: int) -> None:
    data = packed(Say.VIDEO, -5, b"abc", KEYFRAME) + packed_json(Say.OPEN, url="x") + packed(Say.CONNECTED)
    unpacker = Unpacker()
    found = [m for i in range(0, len(data), step) for m in unpacker.feed(data[i : i + step])]
    assert found[0] == Message(Say.VIDEO, KEYFRAME, -5, b"abc")
    assert found[1].json() == {"url": "x"}
    assert (found[2].kind, found[2].body) == (Say.CONNECTED, b"")


def test_a_body_too_large_is_refused_before_it_is_there() -> None:
    head = bytearray(packed(Say.VIDEO))
    head[4:8] = (MOST_BODY + 1).to_bytes(4, "little")
    with pytest.raises(Broken):
        list(Unpacker().feed(bytes(head)))


def test_json_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="not an object"):
        Message(Say.OPEN, 0, 0, b"[1]").json()
