"""The page as a person drives it: type, press, look. Knows the page's test ids and pixels, no server."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

DEADLINE_MS = 30_000  # for a machine that is busy with something else

# The edited picture with the RTP timestamp it carries: the newest one that the browser presents.
GRAB = """
(least) => new Promise((resolve, reject) => {
  const video = document.querySelector('[data-testid="edited-video"]');
  const timer = setTimeout(() => reject(new Error("no picture was presented in 20 s")), 20000);
  const look = (_, frame) => {
    if (frame.rtpTimestamp === undefined || (least !== null && ((frame.rtpTimestamp - least) | 0) < 0)) {
      video.requestVideoFrameCallback(look);
      return;
    }
    clearTimeout(timer);
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    let binary = "";
    for (let at = 0; at < data.length; at += 32768)
      binary += String.fromCharCode(...data.subarray(at, at + 32768));
    resolve({ rtp: frame.rtpTimestamp, width, height, pixels: btoa(binary) });
  };
  video.requestVideoFrameCallback(look);
})
"""


@dataclass(frozen=True, slots=True)
class Shot:
    """A presented picture: rgb [H, W, 3] uint8, and its RTP timestamp (32 bit)."""

    rgb: NDArray[np.uint8]
    rtp: int

    @property
    def luma(self) -> float:
        return float((self.rgb @ np.array([0.299, 0.587, 0.114])).mean())

    @property
    def colour(self) -> float:
        """How far from grey, 0..255: the mean of the largest less the smallest of red, green and blue."""
        return float((self.rgb.max(axis=2).astype(int) - self.rgb.min(axis=2)).mean())


class LivePage:
    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def it(self, name: str) -> Any:
        return self.page.get_by_test_id(name)

    def open(self, query: str = "?prompt=&autostart=0") -> None:
        """Loads the page. By default without an edit and without a source."""
        self.page.goto(f"{self.base}/{query}", wait_until="load", timeout=DEADLINE_MS)
        expect(self.it("instruction")).to_be_visible(timeout=DEADLINE_MS)

    def use_camera(self) -> None:
        self.it("source-camera").click()
        self.sees_picture()

    def sees_picture(self, frames: int = 10) -> None:
        """The edited picture plays: from now on, so many frames of it are shown."""
        self.page.evaluate(
            "() => { delete document.querySelector('[data-testid=\"edited-video\"]').counted; }"
        )
        self.wait(
            """(frames) => {
              const video = document.querySelector('[data-testid="edited-video"]');
              if (!video.videoWidth || window.relens.client.state !== "open") return false;
              const now = video.getVideoPlaybackQuality().totalVideoFrames;
              if (video.counted?.on !== video.srcObject) video.counted = { on: video.srcObject, at: now };
              return now >= video.counted.at + frames;
            }""",
            frames,
        )

    def wait(self, expression: str, argument: object = None, timeout_ms: int = DEADLINE_MS) -> None:
        self.page.wait_for_function(expression, arg=argument, timeout=timeout_ms, polling=100)

    def type_instruction(self, prompt: str) -> int:
        """Types it, presses Enter, waits for `applied`. Returns the revision that was applied."""
        box = self.it("instruction")
        box.fill(prompt)
        box.press("Enter")
        applied = self.it("applied-edit")
        expect(applied.locator("b")).to_have_text(prompt, timeout=DEADLINE_MS)
        return int(applied.get_attribute("data-revision") or 0)

    def listen(self) -> None:
        """Keeps every receipt from now on in window.receipts."""
        self.page.evaluate(
            """() => {
              window.receipts = { received: [], applied: [], shown: [] };
              for (const kind of Object.keys(window.receipts))
                window.relens.client.on(kind, (event) => window.receipts[kind].push({ ...event }));
            }"""
        )

    def receipts(self) -> dict[str, list[dict[str, Any]]]:
        return dict(self.page.evaluate("() => window.receipts"))

    def shot(self, least: int | None = None) -> Shot:
        """The next presented picture whose timestamp is not before `least`."""
        seen = self.page.evaluate(GRAB, least)
        pixels = np.frombuffer(base64.b64decode(seen["pixels"]), np.uint8)
        return Shot(pixels.reshape(seen["height"], seen["width"], 4)[:, :, :3].copy(), int(seen["rtp"]))
