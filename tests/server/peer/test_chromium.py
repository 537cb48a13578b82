"""Debian's Chromium against a Peer: its codecs, messages, and an ICE restart in mid-stream."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from browser import Echo, until

from gpu.codec import DECODES
from server.peer import Peer, PeerConfig, PeerState

playwright = pytest.importorskip("playwright.async_api")
CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="needs Debian's Chromium"),
]

PAGE = """
async (codec) => {
  const canvas = document.createElement('canvas'); canvas.width = 320; canvas.height = 240;
  document.body.append(canvas);
  const paint = canvas.getContext('2d'); let n = 0;
  setInterval(() => {
    paint.fillStyle = `hsl(${n++ * 7 % 360} 80% 50%)`; paint.fillRect(0, 0, 320, 240); }, 40);
  const pc = window.pc = new RTCPeerConnection();
  window.messages = [];
  window.channel = pc.createDataChannel('edits');
  channel.onmessage = e => messages.push(e.data);
  const out = pc.addTransceiver(canvas.captureStream(25).getVideoTracks()[0], {direction: 'sendrecv'});
  const all = RTCRtpReceiver.getCapabilities('video').codecs;
  const wanted = all.filter(c => codec.test(c.mimeType + ' ' + c.sdpFmtpLine));
  const rtx = all.filter(c => c.mimeType === 'video/rtx');
  out.setCodecPreferences([...wanted, ...rtx]);
  pc.ontrack = e => { const v = document.createElement('video'); v.autoplay = v.muted = true;
    v.srcObject = new MediaStream([e.track]); document.body.append(v); };
  window.negotiate = async (restart) => {
    await pc.setLocalDescription(await pc.createOffer({iceRestart: restart}));
    return pc.localDescription.sdp; };
  window.answer = sdp => pc.setRemoteDescription({type: 'answer', sdp});
  window.decoded = async () => { for (const s of (await pc.getStats()).values())
    if (s.type === 'inbound-rtp' && s.kind === 'video') return s.framesDecoded; return 0; };
  window.pair = async () => { const stats = await pc.getStats();
    for (const s of stats.values()) if (s.type === 'transport') return s.selectedCandidatePairId; };
  return await negotiate(false);
}
"""


@pytest.fixture
async def page() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def evaluates(page: Any, script: str, least: int) -> None:
    for _ in range(600):
        if (await page.evaluate(script) or 0) >= least:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{script} stayed under {least}")


@pytest.mark.parametrize(
    ("pattern", "codec"),
    [
        ("/H264.*packetization-mode=1.*42e01f/", "h264"),
        ("/H264.*packetization-mode=1.*4d/", "h264"),
        ("/VP8/", "vp8"),
        ("/VP9.*profile-id=0/", "vp9"),
        ("/AV1.*profile=0/", "av1"),
    ],
)
async def test_chromium_sees_its_picture_again_and_over_an_ice_restart(
    page: Any, pattern: str, codec: str
) -> None:
    listener = Echo()
    peer = Peer(PeerConfig(codecs=DECODES, send_codecs=DECODES), listener)
    listener.peer = peer
    try:
        offer = await page.evaluate(f"({PAGE})({pattern})")
        await page.evaluate("sdp => answer(sdp)", await peer.accept(offer))
        await until(lambda: PeerState.CONNECTED in listener.states, 20)
        assert peer.codec_in == peer.codec_out == codec
        await evaluates(page, "decoded()", 20)
        await page.evaluate("channel.send('before')")
        await until(lambda: listener.messages == ["before"])
        pair, frames, pts = await page.evaluate("pair()"), len(listener.frames), listener.frames[-1].pts

        offer = await page.evaluate("negotiate(true)")
        answer = await peer.accept(offer)
        await page.evaluate("sdp => answer(sdp)", answer)
        for _ in range(400):
            if await page.evaluate("pair()") != pair:
                break
            await asyncio.sleep(0.05)
        assert await page.evaluate("pair()") != pair
        await until(lambda: peer._restarting is not None and peer._restarting.done())
        assert peer._link is not None
        assert peer._link._path is not None
        assert peer._link._path._active is peer._link._path._ice._connection
        decoded, frames = await page.evaluate("decoded()"), len(listener.frames)
        await evaluates(page, "decoded()", decoded + 20)
        assert len(listener.frames) > frames + 10
        assert listener.frames[-1].pts > pts
        await page.evaluate("channel.send('after')")
        await until(lambda: listener.messages == ["before", "after"])
        await evaluates(page, "messages.length", 2)
        assert await page.evaluate("messages") == ["before", "after"]
        assert listener.states == [PeerState.CONNECTED]
    finally:
        await peer.close()
