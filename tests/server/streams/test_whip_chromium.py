"""Debian's Chromium publishes by WHIP and watches its edited picture by WHEP, over plain fetch."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.server.streams.studio import studio
from tests.server.visitor import until

playwright = pytest.importorskip("playwright.async_api")
CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="needs Debian's Chromium"),
]

PAGE = """
() => {
  window.open_ = async (url, pc) => {
    await pc.setLocalDescription(await pc.createOffer());
    const found = []; let etag = null, session = null;
    const send = async () => { if (!session || !found.length) return;
      const body = pc.localDescription.sdp.match(/a=ice-(ufrag|pwd):.*/g).slice(0, 2).join('\\r\\n')
        + '\\r\\nm=audio 9 UDP/TLS/RTP/SAVPF 0\\r\\na=mid:0\\r\\n'
        + found.splice(0).map(c => 'a=' + c + '\\r\\n').join('');
      const r = await fetch(session, {method: 'PATCH', body, headers:
        {'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': etag}});
      window.patched.push(r.status); };
    pc.onicecandidate = e => { if (e.candidate?.candidate) { found.push(e.candidate.candidate); send(); } };
    const r = await fetch(url, {method: 'POST', body: pc.localDescription.sdp,
      headers: {'Content-Type': 'application/sdp'}});
    if (r.status !== 201) return r.status + ' ' + await r.text();
    etag = r.headers.get('ETag'); session = new URL(r.headers.get('Location'), url).href;
    await pc.setRemoteDescription({type: 'answer', sdp: await r.text()});
    await send();
    return session; };
  window.restart = async (session, pc) => {
    pc.onicecandidate = null;
    await pc.setLocalDescription(await pc.createOffer({iceRestart: true}));
    await new Promise(done => setTimeout(done, 300));
    const lines = pc.localDescription.sdp.split('\\r\\n'), first = lines.findIndex(x => x.startsWith('m='));
    const wanted = lines.slice(first).filter(x => /^a=(ice-ufrag|ice-pwd|candidate)/.test(x));
    const body = [...new Set(wanted)].join('\\r\\n') + '\\r\\n';
    const headers = {'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*'};
    const r = await fetch(session, {method: 'PATCH', body, headers});
    if (r.status !== 200) return `${r.status} ${await r.text()} ${body}`;
    const theirs = (await r.text()).split('\\r\\n').filter(x => /^a=(ice-|candidate|end-of)/.test(x));
    const kept = pc.currentRemoteDescription.sdp.split('\\r\\n')
      .filter(x => !/^a=(ice-ufrag|ice-pwd|candidate|end-of)/.test(x));
    const sdp = kept.flatMap(x => x.startsWith('a=mid:') ? [x, ...theirs] : [x]).join('\\r\\n');
    await pc.setRemoteDescription({type: 'answer', sdp});
    return r.status; };
  window.pair = async pc => { for (const s of (await pc.getStats()).values())
    if (s.type === 'transport') return s.selectedCandidatePairId; };
  window.patched = [];
  window.publish = async url => {
    const canvas = document.createElement('canvas'); canvas.width = 320; canvas.height = 240;
    const paint = canvas.getContext('2d'); let n = 0;
    setInterval(() => {
      paint.fillStyle = `hsl(${n++ * 7 % 360} 80% 50%)`; paint.fillRect(0, 0, 320, 240); }, 40);
    const audio = new AudioContext(), tone = audio.createOscillator();
    const sink = audio.createMediaStreamDestination(); tone.connect(sink); tone.start(); await audio.resume();
    const pc = window.publisher = new RTCPeerConnection();
    pc.addTransceiver(sink.stream.getAudioTracks()[0], {direction: 'sendonly'});
    pc.addTransceiver(canvas.captureStream(25).getVideoTracks()[0], {direction: 'sendonly'});
    return await open_(url, pc); };
  window.watch = async url => {
    const pc = window.player = new RTCPeerConnection();
    pc.addTransceiver('audio', {direction: 'recvonly'}); pc.addTransceiver('video', {direction: 'recvonly'});
    const video = window.video = document.createElement('video'); video.autoplay = video.muted = true;
    document.body.append(video);
    window.streams = new Set();
    pc.ontrack = e => { streams.add(e.streams[0].id); video.srcObject = e.streams[0]; };
    return await open_(url, pc); };
  window.decoded = async kind => { for (const s of (await player.getStats()).values())
    if (s.type === 'inbound-rtp' && s.kind === kind) return s.framesDecoded ?? s.packetsReceived; return 0; };
}
"""


@pytest.fixture
async def page() -> AsyncIterator[Any]:
    async with playwright.async_playwright() as driver:
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def evaluates(page: Any, script: str, least: int) -> None:
    for _ in range(400):
        if (await page.evaluate(script) or 0) >= least:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{script} stayed under {least}: {await page.evaluate(script)}")


async def test_chromium_publishes_and_watches(page: Any) -> None:
    async with studio() as here:
        await page.goto(here.served.base + "/healthz")  # its origin is all that is wanted
        await page.evaluate(PAGE)
        assert (await page.evaluate("watch('/whep/live')")).startswith("409 ")
        refusal = await page.evaluate(f"publish('{here.whip}?key=wrong')")
        assert refusal.startswith("401 ")
        session = await page.evaluate(f"publish('{here.whip}?key={here.key}')")
        assert session.startswith(here.whip + "/")
        await until(lambda: here.stream.facts().fps_out > 0, 30, "Chromium's pictures")
        session = await page.evaluate(f"watch('{here.whep}')")
        assert session.startswith(here.whep + "/")
        await evaluates(page, "decoded('video')", 30)
        await evaluates(page, "decoded('audio')", 30)
        await evaluates(page, "video.videoWidth", 320)
        assert await page.evaluate("streams.size") == 1  # sound and picture are kept together
        assert set(await page.evaluate("patched")) == {204}
        facts = here.stream.facts()
        assert facts.publisher is not None
        assert (facts.publisher.codec, facts.publisher.audio) == ("h264", "opus")
        assert facts.publisher.software.startswith("Chrome/")
        pair = await page.evaluate("pair(player)")
        assert await page.evaluate(f"restart('{session}', player)") == 200
        for _ in range(200):
            if await page.evaluate("pair(player)") != pair:
                break
            await asyncio.sleep(0.05)
        assert await page.evaluate("pair(player)") != pair
        await evaluates(page, "decoded('video')", await page.evaluate("decoded('video')") + 20)
        assert await page.evaluate(f"fetch('{session}', {{method: 'DELETE'}}).then(r => r.status)") == 200
        await until(lambda: here.stream.viewers == 0)
        await page.evaluate("publisher.close()")
        await until(lambda: here.stream.state == "waiting", what="the publisher's end is heard")
