"""A camera in a real browser, edited by a real server: the pixels, the receipts, the same frames offline."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import av
import numpy as np
import pytest
from camera_clip import HEIGHT, WIDTH
from chromium_start import Opener
from live_page import DEADLINE_MS, Shot
from live_server import in_process
from playwright.sync_api import expect
from recorded import RecordedModel, Take, digest

from gpu.models.registry import load_model
from gpu.offline import edit_frames
from gpu.types import Frame
from server import workers
from server.config import Config

INSTRUCTIONS = ("make it black and white", "make it night", "photographic negative")
SETTLED_TICKS = 90 * 700  # the transition of 400 ms, and some frames for the cache to fill with the new look
MIN_PSNR_DB = 25.0  # what the browser shows has been through one H.264 encode at a live bitrate


@pytest.fixture(scope="module")
def model() -> Iterator[RecordedModel]:
    recorded = RecordedModel(load_model("nano"))
    yield recorded
    recorded.close()


@pytest.fixture(scope="module")
def base(model: RecordedModel) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "load_model", lambda *_: model)
        with in_process(
            Config(port=0, model="nano", max_bitrate_bps=8_000_000, start_bitrate_bps=6_000_000)
        ) as base:
            yield base


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


def offline(model: RecordedModel, take: Take) -> list[Frame]:
    """The same frames under the same edits, by the path that files take."""
    return list(edit_frames(model.inner, take.frames, take.edits))


def rgb(frame: Frame) -> np.ndarray:
    """[H, W, 3] uint8, by the conversion a browser does (BT.601, limited range)."""
    planes = np.concatenate([frame.y.ravel(), frame.u.ravel(), frame.v.ravel()])
    return av.VideoFrame.from_ndarray(
        planes.reshape(frame.height * 3 // 2, frame.width), "yuv420p"
    ).to_ndarray(format="rgb24")


def luma(frame: Frame) -> float:
    return float(frame.y.mean())


def saturation(frame: Frame) -> float:
    """Mean distance of chroma from grey."""
    return float(np.abs(frame.u.astype(int) - 128).mean() + np.abs(frame.v.astype(int) - 128).mean())


def find(frames: list[Frame], shot: Shot) -> int:
    return next(i for i, frame in enumerate(frames) if frame.pts & 0xFFFFFFFF == shot.rtp)


def settled(model: RecordedModel) -> list[Take]:
    """The takes, once the streams have ended."""
    count, since = -1, time.monotonic()
    deadline = since + 20
    while time.monotonic() < deadline:
        now = sum(len(take.digests) for take in model.takes)
        if now != count:
            count, since = now, time.monotonic()
        elif time.monotonic() - since > 0.7:
            break
        time.sleep(0.1)
    return [take for take in model.takes if take.frames]


def test_three_instructions_in_one_stream(base: str, model: RecordedModel, open_page: Opener) -> None:
    model.forget()
    page = open_page(base)
    page.open()
    page.listen()
    page.use_camera()
    shots: dict[str, list[Shot]] = {}
    revisions = []
    for prompt in INSTRUCTIONS:
        revision = page.type_instruction(prompt)
        revisions.append(revision)
        page.wait("(n) => window.receipts.shown.some((r) => r.revision === n)", revision)
        applied = next(r for r in page.receipts()["applied"] if r["revision"] == revision)
        after_transition = (applied["pts"] + SETTLED_TICKS) & 0xFFFFFFFF
        shots[prompt] = [page.shot(after_transition), page.shot(), page.shot()]
    receipts = page.receipts()
    page.page.close()

    # Receipts: each instruction was received, applied and seen on the screen, in this order of revisions.
    assert revisions == sorted(set(revisions))
    for kind in ("received", "applied", "shown"):
        assert [r["revision"] for r in receipts[kind] if r["revision"] in revisions] == revisions
    assert all(r["reading"]["understood"] for r in receipts["received"] if r["revision"] in revisions)
    times = [r["appliedMs"] for r in receipts["shown"] if r["revision"] in revisions]
    print(f"applied and on the screen after {statistics.median(times):.0f} ms (p50 of {len(times)})")

    # Same frames out: what the live stream made of its frames, the offline run makes too, byte for byte.
    takes = settled(model)
    edited: list[Frame] = []
    sources: list[Frame] = []
    for take in takes:
        again = offline(model, take)
        assert [digest(frame) for frame in again] == take.digests
        edited += again
        sources += take.frames
    assert len(edited) > 30

    # What the browser shows is what the model made of the frame of that very timestamp.
    for prompt, seen in shots.items():
        matches = [psnr(shot.rgb, rgb(edited[find(edited, shot)])) for shot in seen]
        print(f"{prompt}: {max(matches):.1f} dB to the offline frame")
        assert max(matches) > MIN_PSNR_DB, (prompt, matches)
        if (shot := seen[0]).rgb.shape == (HEIGHT, WIDTH, 3):
            assert psnr(shot.rgb, rgb(sources[find(sources, shot)])) < max(matches)

    # And it is what was asked for.
    def pair(prompt: str) -> tuple[Frame, Shot]:
        shot = shots[prompt][-1]
        return sources[find(sources, shot)], shot

    source, shot = pair("make it black and white")
    assert saturation(source) > 10
    assert shot.colour < 8
    source, shot = pair("make it night")
    assert shot.luma < 0.75 * luma(source)
    source, shot = pair("photographic negative")
    tones = np.corrcoef(rgb(source).mean(axis=2).ravel(), shot.rgb.mean(axis=2).ravel())[0, 1]
    assert tones < -0.5


def test_no_instruction_is_the_source(base: str, model: RecordedModel, open_page: Opener) -> None:
    model.forget()
    page = open_page(base)
    page.open()
    expect(page.it("stage")).to_contain_text("Choose a source", timeout=DEADLINE_MS)
    page.use_camera()
    expect(page.it("stage")).not_to_contain_text("Choose a source")
    page.sees_picture(20)
    shots = [page.shot() for _ in range(3)]
    page.page.close()
    takes = settled(model)
    for take in takes:
        assert [digest(frame) for frame in take.frames] == take.digests
    sources = [frame for take in takes for frame in take.frames]
    assert max(psnr(shot.rgb, rgb(sources[find(sources, shot)])) for shot in shots) > MIN_PSNR_DB


def test_an_instruction_out_of_reach_leaves_the_picture(base: str, open_page: Opener) -> None:
    page = open_page(base)
    page.open()
    page.use_camera()
    page.type_instruction("make it black and white")
    box = page.it("instruction")
    box.fill("replace the dog by a fire engine with seven ladders")
    box.press("Enter")
    expect(page.it("message")).to_be_visible(timeout=DEADLINE_MS)
    expect(box).to_have_value("replace the dog by a fire engine with seven ladders")  # to be mended
    page.sees_picture()
    page.wait(
        """() => document.querySelector('[data-testid="applied-edit"] b').textContent
            .includes("black and white")"""
    )


def test_an_edit_the_server_dropped_is_back_in_the_box(base: str, open_page: Opener) -> None:
    page = open_page(base)
    page.open()
    page.use_camera()
    box = page.it("instruction")
    box.fill("make it night")
    page.page.evaluate(
        """() => {
          for (let i = 0; i < 400; i++) window.relens.client.resume();
          document.querySelector(".bar form").requestSubmit();
        }"""
    )
    expect(page.it("message")).to_contain_text("too many messages", timeout=DEADLINE_MS)
    expect(box).to_have_value("make it night")
    expect(page.it("pending")).to_have_count(0)
