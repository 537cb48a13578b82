"""`python -m bench film-journey`: a long film through the page in a real Chromium, from file to result.

Brought by an upload that breaks off (the server is killed) and goes on; seen edited within seconds, sought
in, its instruction changed; rendered whole, taken home, and held against the source: length, frames, sound,
and where flashes and beeps are.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Page, sync_playwright

from bench.chromium import CHROMIUM
from bench.error import BenchError
from bench.figures import json_line, table
from bench.film_edit import CLIP
from bench.journey_film import make_film, tell
from bench.machine import describe
from bench.processes import READY_S, ROOT, free_port

OPENED, SEEKS = 5, (0.25, 0.8, 0.5)
UPLOAD_S = 10.0  # so slow that it can be broken off on its way
FIRST, SECOND = "as a watercolour", "make it night"
WAIT_MS = 60_000
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)  # fmt: skip
VIDEO = "document.querySelector('[data-testid=\"edited-video\"]')"
# Begins to wait; `window.soon` resolves with the milliseconds until the first picture of another stream.
NEW_STREAM = """() => {
  const video = () => VIDEO;
  const old = video()?.srcObject ?? null;
  const began = performance.now();
  window.soon = new Promise((resolve) => {
    const look = () => {
      const now = video();
      if (!now?.srcObject || now.srcObject === old) return void setTimeout(look, 4);
      now.requestVideoFrameCallback(() => resolve(performance.now() - began));
    };
    look();
  });
}""".replace("VIDEO", VIDEO)
# The same for the first picture of the place sought: the film says where it is, a few times a second.
NEW_PLACE = """(share) => {
  const slider = document.querySelector('[data-testid="scrubber"]');
  const box = slider.getBoundingClientRect();
  const at = { clientX: box.left + share * box.width, clientY: box.top + box.height / 2, bubbles: true,
    pointerId: 1, isPrimary: true, button: 0, buttons: 1 };
  const length = Number(slider.getAttribute("aria-valuemax"));
  const began = performance.now();
  slider.dispatchEvent(new PointerEvent("pointerdown", at));
  slider.dispatchEvent(new PointerEvent("pointerup", at));
  window.soon = new Promise((resolve) => {
    const look = () => {
      const off = Math.abs(Number(slider.getAttribute("aria-valuenow")) - share * length);
      if (off > 3) return void setTimeout(look, 4);
      VIDEO.requestVideoFrameCallback(() => resolve(performance.now() - began));
    };
    look();
  });
}""".replace("VIDEO", VIDEO)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", type=Path, nargs="+", default=[CLIP], help="cut and looped into the film")
    parser.add_argument("--size", default="640x360", help="of the film")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the film")
    parser.add_argument("--shots", type=Path, help="a folder for screenshots")


class Served:
    """`relens serve` that can be killed and started again at the same place."""

    def __init__(self, folder: Path) -> None:
        self._port, self._folder = free_port(), folder
        self.base = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["serve", "--port", str(self._port), "--model", "nano", "--rtmp-port", "0", "--drain-s", "0"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server", *words, "--data-dir", str(self._folder / "kept")],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.base}/readyz", timeout=2):
                return
            time.sleep(0.1)
        raise BenchError("relens serve was not ready in time")

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None


class Journey:
    """One visitor with one film."""

    def __init__(self, page: Page, served: Served, film: Path, shots: Path | None) -> None:
        self.page, self.served, self.film, self._shots = page, served, film, shots
        self.figures: dict[str, Any] = {}

    def it(self, name: str) -> Any:
        return self.page.get_by_test_id(name).first

    def say(self, what: str, value: object, key: str, raw: object = None) -> None:
        self.figures[key] = raw if raw is not None else value
        print(f"film-journey: {what}: {value}", file=sys.stderr, flush=True)

    def shot(self, name: str) -> None:
        if self._shots is not None:
            self._shots.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(self._shots / f"{name}.png"))

    def upload(self) -> None:
        """Broken off by kill -9 of the server at a third; it goes on by itself."""
        page, size = self.page, self.film.stat().st_size
        starts: list[int] = []
        page.on("request", lambda request: starts.append(_offset(request)) if _is_part(request) else None)
        page.goto(f"{self.served.base}/?prompt=&autostart=0", wait_until="load", timeout=WAIT_MS)
        self.it("source-file").click()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
        session.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": size / UPLOAD_S})
        self.it("choose-input").set_input_files(self.film)
        progress = "() => document.querySelector('[data-testid=\"upload\"] progress')?.value > 0.33"
        page.wait_for_function(progress, timeout=WAIT_MS, polling=50)
        self.served.stop(signal.SIGKILL)
        page.locator('[data-testid="upload"][data-state="waiting"]').wait_for(timeout=WAIT_MS)
        self.shot("1-broken-off")
        before = len(starts)
        self.served.start()
        self.it("scrubber").wait_for(timeout=4 * WAIT_MS)
        session.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": -1})
        session.detach()
        resumed = starts[before] if len(starts) > before else 0
        if resumed <= 0:
            raise BenchError("the upload began anew after it was broken off")
        self.say(
            "upload went on at", f"{resumed / size:.0%} of {size / 1e6:.0f} MB", "resumed", resumed / size
        )

    def open_preview(self) -> None:
        """From a click on the film to its first edited picture."""
        self._sees_pictures()
        waits = []
        for _ in range(OPENED):
            self.it("source-sample").click()
            self._sees_pictures()
            self.it("source-file").click()
            self.it("film-open").wait_for(timeout=WAIT_MS)
            self.page.evaluate(NEW_STREAM)
            self.it("film-open").click()
            waits.append(self._soon() / 1e3)
            self._sees_pictures()
        self.say(
            "preview, p50 and worst of five", f"{statistics.median(waits):.2f} s, {max(waits):.2f} s",
            "preview_s", [round(wait, 3) for wait in waits],
        )  # fmt: skip

    def seek_and_edit(self) -> None:
        self._instruct(FIRST)
        self.shot("2-preview")
        waits = []
        for share in SEEKS:
            self.page.evaluate(NEW_PLACE, share)
            waits.append(self._soon() / 1e3)
            self._sees_pictures()
        self.say("seeks", ", ".join(f"{wait:.2f} s" for wait in waits), "seek_s", waits)
        took = self._instruct(SECOND)
        self.say("instruction changed, to applied", f"{took:.2f} s", "instruction_s", took)
        self.shot("3-changed")
        self.it("film-play").click()  # the machine is the render's now

    def render(self, out: Path, frames: int) -> None:
        began_s = time.monotonic()
        self.it("render-all").click()
        job = self.page.locator('[data-testid="job"]').first
        job.wait_for(timeout=WAIT_MS)
        shown = False
        while (state := job.get_attribute("data-state")) not in ("DONE", "FAILED", "CANCELLED"):
            time.sleep(1)
            if not shown and time.monotonic() - began_s > 30:
                self.shot("4-rendering")
                shown = True
            text = " ".join(job.inner_text().split())
            print(f"\rfilm-journey: {text[:100]}\033[K", end="", file=sys.stderr, flush=True)
        took_s = time.monotonic() - began_s
        if state != "DONE":
            raise BenchError(f"the render ended {state}: {job.inner_text()}")
        self.say("render", f"{took_s:.0f} s, {frames / took_s:.1f} fps", "render_s", took_s)
        with self.page.expect_download(timeout=WAIT_MS) as download:
            self.it("job-download").click()
        download.value.save_as(out)
        self.shot("5-done")

    def _instruct(self, prompt: str) -> float:
        box = self.it("instruction")
        box.fill(prompt)
        began_s = time.monotonic()
        box.press("Enter")
        self.page.wait_for_function(
            "(prompt) => document.querySelector('[data-testid=\"applied-edit\"] b')?.textContent === prompt",
            arg=prompt, timeout=WAIT_MS, polling=20,
        )  # fmt: skip
        return time.monotonic() - began_s

    def _soon(self) -> float:
        return float(self.page.evaluate("() => window.soon"))

    def _sees_pictures(self) -> None:
        self.page.evaluate(f"() => {{ {VIDEO}.counted = undefined; }}")
        self.page.wait_for_function(
            f"""() => {{
              const video = {VIDEO};
              if (!video.videoWidth) return false;
              const now = video.getVideoPlaybackQuality().totalVideoFrames;
              if (video.counted?.on !== video.srcObject) video.counted = {{ on: video.srcObject, at: now }};
              return now >= video.counted.at + 5;
            }}""",
            timeout=WAIT_MS, polling=50,
        )  # fmt: skip


def _is_part(request: Any) -> bool:
    return request.method == "PATCH" and "/files/" in request.url


def _offset(request: Any) -> int:
    return int(request.headers.get("upload-offset", 0))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    width, height = (int(side) for side in args.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="relens-journey-") as name, sync_playwright() as playwright:
        folder = Path(name)
        film, out = folder / "a long film.mp4", folder / "edited.mp4"
        make_film(args.clips, film, (width, height), round(args.minutes * 60))
        source = tell(film)
        served = Served(folder)
        served.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
            journey = Journey(context.new_page(), served, film, args.shots)
            journey.upload()
            journey.open_preview()
            journey.seek_and_edit()
            journey.render(out, source.frames)
        finally:
            with contextlib.suppress(Error):
                browser.close()
            served.stop()
        result = tell(out)
        size = os.stat(out).st_size
    figures = journey.figures
    apart = [abs(a - b) for a, b in zip(result.offsets_s, source.offsets_s, strict=True)]
    figures |= {
        "bench": "film_journey", "machine": describe(), "size": args.size,
        "frames": [source.frames, result.frames], "duration_s": [source.duration_s, result.duration_s],
        "sound_equal": source.sound == result.sound, "av_offset_s": max(map(abs, result.offsets_s)),
        "av_against_source_s": max(apart),
    }  # fmt: skip
    rows: list[list[object]] = [
        ["frames, source and result", f"{source.frames}, {result.frames}"],
        ["length", f"{source.duration_s:.3f} s, {result.duration_s:.3f} s"],
        ["sound, packet for packet", "equal" if figures["sound_equal"] else "NOT equal"],
        ["sound from picture, worst of all marks", f"{figures['av_offset_s'] * 1e3:.1f} ms"],
        ["the same, against the source's", f"{figures['av_against_source_s'] * 1e3:.1f} ms"],
        ["upload went on at", f"{figures['resumed']:.0%}"],
        ["preview, p50 of 5", f"{statistics.median(figures['preview_s']):.2f} s"],
        ["seek, worst of 3", f"{max(figures['seek_s']):.2f} s"],
        ["instruction, to applied", f"{figures['instruction_s']:.2f} s"],
        ["render", f"{figures['render_s']:.0f} s, {source.frames / figures['render_s']:.1f} fps"],
        ["result", f"{size / 1e6:.0f} MB"],
    ]
    print(table(["of the film", "seen"], rows))
    print(json_line(figures))
    return figures


async def run(args: argparse.Namespace) -> dict[str, Any]:
    try:
        return await asyncio.to_thread(measure, args)
    except Error as error:
        raise BenchError(f"the page: {error}") from error
