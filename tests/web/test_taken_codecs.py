"""Codecs that are taken and not sent: a browser's VP9 and AV1 come back edited, in H.264 or VP8."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from live_page import DEADLINE_MS
from live_server import in_process
from playwright.sync_api import Browser, Page

from server.config import Config

# Three colours beside each other, and a white bar that walks along the bottom.
PAGE = """
async ({sent, back, lines}) => {
  const canvas = document.createElement('canvas'); canvas.width = 320; canvas.height = 240;
  document.body.append(canvas);
  const paint = canvas.getContext('2d'); let n = 0;
  setInterval(() => {
    ['#aa645a', '#5a966e', '#5a6eaa'].forEach((colour, i) => {
      paint.fillStyle = colour; paint.fillRect(i * 107, 0, 107, 240); });
    paint.fillStyle = 'white'; paint.fillRect(n++ * 4 % 320, 220, 16, 20); }, 40);
  const all = RTCRtpReceiver.getCapabilities('video').codecs;
  const named = name => all.filter(c => c.mimeType === 'video/' + name &&
    !/packetization-mode=0|profile-id=[1-9]|profile=[1-9]/.test(c.sdpFmtpLine));
  const rtx = named('rtx');
  const pc = window.pc = new RTCPeerConnection();
  const track = canvas.captureStream(25).getVideoTracks()[0];
  if (lines === 1) {
    pc.addTransceiver(track, {direction: 'sendrecv'})
      .setCodecPreferences([...named(sent), ...named(back), ...rtx]);
  } else {
    pc.addTransceiver(track, {direction: 'sendonly'}).setCodecPreferences([...named(sent), ...rtx]);
    pc.addTransceiver('video', {direction: 'recvonly'}).setCodecPreferences([...named(back), ...rtx]);
  }
  pc.createDataChannel('edits');
  const video = window.video = document.createElement('video'); video.autoplay = video.muted = true;
  document.body.append(video);
  pc.ontrack = e => { video.srcObject = new MediaStream([e.track]); };
  await pc.setLocalDescription(await pc.createOffer());
  const answer = await fetch('/sessions?prompt=' + encodeURIComponent('photographic negative'),
    {method: 'POST', headers: {'Content-Type': 'application/sdp'}, body: pc.localDescription.sdp});
  if (answer.status !== 201) return await answer.text();
  await pc.setRemoteDescription({type: 'answer', sdp: await answer.text()});
  return '';
}
"""
SPOKEN = """
async () => {
  const stats = await pc.getStats(), found = {};
  for (const s of stats.values())
    if ((s.type === 'inbound-rtp' || s.type === 'outbound-rtp') && s.kind === 'video' && s.codecId)
      found[s.type] = [stats.get(s.codecId).mimeType, s.framesDecoded ?? s.framesEncoded];
  return found;
}
"""
GRAB = """
() => {
  const canvas = new OffscreenCanvas(320, 240), context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  return [0, 1, 2].map(i => Array.from(context.getImageData(i * 107 + 20, 20, 67, 160).data));
}
"""


@contextmanager
def visited(chromium: Browser, **settings: Any) -> Iterator[Page]:
    with in_process(Config(port=0, model="nano", **settings)) as base:
        context = chromium.new_context()
        try:
            page = context.new_page()
            page.goto(f"{base}/healthz", timeout=DEADLINE_MS)
            yield page
        finally:
            context.close()


@pytest.mark.parametrize(
    ("sent", "back", "lines", "codecs"),
    [
        ("VP9", "H264", 2, None),  # the lines say it all
        ("AV1", "VP8", 2, None),
        ("VP9", "VP8", 1, ("vp9", "vp8")),  # one line with two codecs: the settings say which is sent
        ("AV1", "H264", 1, ("av1", "h264")),
    ],
)
def test_what_is_sent_in_one_codec_comes_back_edited_in_another(
    chromium: Browser, sent: str, back: str, lines: int, codecs: tuple[str, ...] | None
) -> None:
    settings = {} if codecs is None else {"codecs": codecs}
    with visited(chromium, **settings) as page:
        refused = page.evaluate(PAGE, {"sent": sent, "back": back, "lines": lines})
        assert not refused
        page.wait_for_function(
            "() => video.getVideoPlaybackQuality().totalVideoFrames > 20",
            timeout=2 * DEADLINE_MS,
            polling=100,
        )
        spoken = page.evaluate(SPOKEN)
        assert spoken["outbound-rtp"][0] == f"video/{sent}"
        assert spoken["inbound-rtp"][0] == f"video/{back}"
        assert min(spoken["outbound-rtp"][1], spoken["inbound-rtp"][1]) >= 20
        seen = np.array(page.evaluate(GRAB)).reshape(3, -1, 4)[..., :3].mean(axis=1)
    # Pale colours: Chromium converts a canvas by BT.709 and says so in H.264 only; others come a little off.
    painted = np.array([(0xAA, 0x64, 0x5A), (0x5A, 0x96, 0x6E), (0x5A, 0x6E, 0xAA)])
    assert np.abs(seen - (255 - painted)).max() < 20, seen
