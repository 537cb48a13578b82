"""A film's preview is heard in Chromium, and not while it stands; the button and M turn it off and on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_start import CHROMIUM, FLAGS, Opener
from live_page import DEADLINE_MS, LivePage
from live_server import Served
from playwright.sync_api import Playwright, expect

from tests.gpu.film.small_film import make_film

# The connections that the page makes, for their statistics.
KEEP_PEERS = """
window.peers = [];
const Made = RTCPeerConnection;
window.RTCPeerConnection = class extends Made {
  constructor(...how) { super(...how); window.peers.push(this); }
};
"""
ENERGY = """async () => {
  let energy = 0;
  for (const report of (await window.peers.at(-1).getStats()).values())
    if (report.type === "inbound-rtp" && report.kind === "audio") energy += report.totalAudioEnergy ?? 0;
  return energy;
}"""
MUTED = """() => document.querySelector('[data-testid="edited-video"]').muted"""

# What became of it a second after the picture came, said by the page: to ask it would count as a press.
SAY_STATE = """
const look = setInterval(() => {
  const video = document.querySelector('[data-testid="edited-video"]');
  const button = document.querySelector('[data-testid="film-sound"]');
  if (!button || !video.videoWidth || video.paused) return;
  clearInterval(look);
  setTimeout(() => console.log("state", JSON.stringify({
    pressed: navigator.userActivation.hasBeenActive,
    muted: video.muted,
    paused: video.paused,
    button: button.getAttribute("aria-pressed"),
  })), 1000);
}, 100);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("kept")
    served = Served("--model", "passthrough", "--drain-s", "0", "--data-dir", str(data))
    served.start()
    yield served
    assert served.stop() == 0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds, with a tone throughout."""
    return make_film(tmp_path_factory.mktemp("film") / "tone.mp4", 500, sound=True)


def bring(page: LivePage, film: Path) -> None:
    page.page.add_init_script(KEEP_PEERS)
    page.open()
    page.it("source-file").click()
    expect(page.it("deck")).to_be_visible(timeout=DEADLINE_MS)
    page.it("choose-input").set_input_files(film)
    expect(page.it("scrubber")).to_be_visible(timeout=DEADLINE_MS)
    page.sees_picture(3)


def hears(page: LivePage) -> None:
    before = page.page.evaluate(ENERGY)
    page.wait(f"async (before) => (await ({ENERGY})()) > before + 0.01", before)


def test_it_is_heard_and_silent_while_it_stands(server: Served, open_page: Opener, film: Path) -> None:
    page = open_page(server.base)
    bring(page, film)
    button = page.it("film-sound")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.page.evaluate(MUTED) is False
    hears(page)

    page.it("film-play").click()
    page.page.wait_for_timeout(800)
    before = page.page.evaluate(ENERGY)
    page.page.wait_for_timeout(800)
    assert page.page.evaluate(ENERGY) == pytest.approx(before, abs=1e-4)
    page.it("film-play").click()
    hears(page)

    page.page.keyboard.press("m")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert page.page.evaluate(MUTED) is True
    box = button.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44

    page.page.reload(wait_until="load", timeout=DEADLINE_MS)  # it is remembered
    page.sees_picture(3)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.page.evaluate(MUTED) is False

    page.it("source-sample").click()  # nothing of the sample's place is heard
    expect(page.it("deck")).to_have_count(0)
    assert page.page.evaluate(MUTED) is True


def test_a_film_without_sound_has_none_to_turn_on(server: Served, open_page: Opener, tmp_path: Path) -> None:
    page = open_page(server.base)
    bring(page, make_film(tmp_path / "mute.mp4", 50))
    expect(page.it("film-sound")).to_be_disabled()
    expect(page.it("film-sound")).to_have_attribute("aria-label", "This video has no sound")


def test_where_the_browser_wants_a_press_first_the_picture_comes_muted(
    server: Served, open_page: Opener, playwright: Playwright, film: Path
) -> None:
    first = open_page(server.base)
    bring(first, film)
    first.wait("() => new URLSearchParams(location.search).get('video')")
    strict = [flag for flag in FLAGS if not flag.startswith("--autoplay-policy")]
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[*strict, "--autoplay-policy=document-user-activation-required"],
        ignore_default_args=["--autoplay-policy=no-user-gesture-required"],
        timeout=60_000,
    )
    try:
        page = LivePage(browser.new_page(), server.base)
        page.page.add_init_script(SAY_STATE)
        with page.page.expect_console_message(
            lambda message: message.text.startswith("state"), timeout=DEADLINE_MS
        ) as said:
            page.page.goto(first.page.url, wait_until="commit", timeout=DEADLINE_MS)
        state = json.loads(said.value.text.removeprefix("state "))
        assert state == {"pressed": False, "muted": True, "paused": False, "button": "false"}
        page.it("film-sound").click()
        expect(page.it("film-sound")).to_have_attribute("aria-pressed", "true")
        assert page.page.evaluate(MUTED) is False
        page.sees_picture(3)
        assert not page.errors
    finally:
        browser.close()
