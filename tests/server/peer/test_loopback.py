"""Peer against a stock aiortc connection on loopback, with real codecs."""

from __future__ import annotations

import pytest
from browser import Browser, connect, until

from gpu.types import Codec
from server.peer import PeerState


@pytest.mark.parametrize(("name", "codec"), [("H264", "h264"), ("VP8", "vp8")])
async def test_echo_decodes_and_keeps_timestamps(name: str, codec: Codec) -> None:
    browser = Browser(name)
    peer, listener = await connect(browser)
    try:
        await until(lambda: len(browser.decoded) >= 20 and browser.channel.readyState == "open")
        assert peer.video_codec == codec
        assert all(frame.codec == codec for frame in listener.frames)
        assert listener.frames[0].is_keyframe
        browser.channel.send('{"a":1}')
        browser.channel.send(b"\x00\x01")
        await until(lambda: browser.received == ['{"a":1}', b"\x00\x01"])
        assert listener.messages == ['{"a":1}', b"\x00\x01"]
    finally:
        await peer.close()
        await browser.close()
    assert listener.states[-1] is PeerState.CLOSED
