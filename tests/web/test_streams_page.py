"""Streams mode, /watch and /dock in a real browser, while an encoder really publishes by RTMP."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS, LivePage
from live_server import Served, free_port
from playwright.sync_api import Page, expect
from rtmp_source import publishing

BLACK_AND_WHITE = "make it black and white"
KEY = "operator-of-the-test"
FAR_KEY = "schlüssel-für-Ёжик-🎬"  # beyond ASCII
# A video with this selector shows moving pictures: its clock goes on, whatever it showed before.
PLAYS = """
([selector, seconds]) => {
  const video = document.querySelector(selector);
  if (!video?.videoWidth) return false;
  video.counted ??= video.getVideoPlaybackQuality().totalVideoFrames;
  return video.getVideoPlaybackQuality().totalVideoFrames >= video.counted + seconds * 8;
}
"""
QR_PATH = re.compile(r"^(M\d+ \d+h1v1h-1z){200,}$")
EDITED, WATCHED = '[data-testid="edited-video"]', "video.shown"
COLOUR = """
(selector) => {
  const canvas = new OffscreenCanvas(64, 36);
  const context = canvas.getContext("2d");
  context.drawImage(document.querySelector(selector), 0, 0, 64, 36);
  const { data } = context.getImageData(0, 0, 64, 36);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) {
    const rgb = [data[at], data[at + 1], data[at + 2]];
    sum += Math.max(...rgb) - Math.min(...rgb);
  }
  return (sum * 4) / data.length;
}
"""

# The tone that is published as AAC is heard as Opus.
HEARS = """
async () => {
  const reports = [...(await window.watch.reader.getStats()).values()];
  return reports.some((report) => report.type === "inbound-rtp" && report.totalAudioEnergy > 0.001);
}
"""


class Streaming:
    """A server, and what an operator's script would ask of it."""

    def __init__(self, folder: Path, *arguments: str, model: str = "nano") -> None:
        self.served = Served(
            "--model", model, "--drain-s", "0", "--linger-s", "3", "--data-dir", str(folder),
            "--rtmp-port", str(free_port()), *arguments,
        )  # fmt: skip
        self.base = self.served.base
        self.served.start()

    def ask(self, path: str, method: str = "GET", body: object = None, key: str = "") -> Any:
        shown = f"Bearer {key}".encode().decode("latin-1")  # as bytes of UTF-8
        headers = {"Content-Type": "application/json", **({"Authorization": shown} if key else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.loads(reply.read() or b"null")

    def make(self, name: str, **settings: object) -> dict[str, Any]:
        """What is to be copied into its encoder."""
        self.ask(f"/streams/{name}/settings", "PUT", settings)
        return dict(self.ask(f"/streams/{name}/setup"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streaming]:
    started = Streaming(tmp_path_factory.mktemp("kept"))
    yield started
    assert started.served.stop() == 0


def plays(page: Page, selector: str, seconds: float = 1.0) -> None:
    page.evaluate("(selector) => { delete document.querySelector(selector)?.counted; }", selector)
    page.wait_for_function(PLAYS, arg=[selector, seconds], timeout=DEADLINE_MS, polling=100)


def becomes_grey(page: Page, selector: str) -> None:
    for _ in range(100):
        if page.evaluate(COLOUR, selector) < 8:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the picture did not lose its colours")


def open_stream(page: LivePage, name: str) -> None:
    page.open(f"?stream={name}")
    expect(page.it(f"stream-{name}")).to_have_attribute("aria-pressed", "true", timeout=DEADLINE_MS)


def open_watch(page: LivePage, name: str, query: str = "") -> None:
    page.page.goto(f"{page.base}/watch/{name}{query}", timeout=DEADLINE_MS)


def test_a_publisher_without_a_picture_is_told_so(server: Streaming, open_page: Opener) -> None:
    setup = server.make("heard-only")
    page = open_page(server.base)
    open_stream(page, "heard-only")
    with publishing(setup["rtmpUrl"], "sound"):
        expect(page.it("stream-waiting")).to_contain_text("no picture", timeout=DEADLINE_MS)


def test_an_srt_port_that_cannot_be_had_is_said_beside_its_address(
    server: Streaming, open_page: Opener
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        server.make("by-srt", srt={"port": port, "passphrase": "0123456789"})
        page = open_page(server.base)
        open_stream(page, "by-srt")
        page.it("tab-connect").click()
        page.it("how-srt").click()
        expect(page.it("srt-problem")).to_contain_text(f"port {port} cannot be listened on")
    expect(page.it("srt-problem")).to_have_count(0, timeout=3 * DEADLINE_MS)  # it listens now


def test_an_address_of_no_stream_is_told(server: Streaming, open_page: Opener) -> None:
    server.make("there")
    page = open_page(server.base)
    page.open("?stream=nothere")
    expect(page.it("message")).to_contain_text("There is no stream “nothere” here", timeout=DEADLINE_MS)
    page.wait("() => !location.search.includes('nothere')")
    page.it("stream-there").click()
    expect(page.it("stream-there")).to_have_attribute("aria-pressed", "true", timeout=DEADLINE_MS)


def test_a_published_stream_is_seen_and_edited(server: Streaming, open_page: Opener) -> None:
    setup = server.make("seen")
    page = open_page(server.base, permissions=["clipboard-read", "clipboard-write"])
    open_stream(page, "seen")

    # Nobody publishes: how to point OBS here, the key hidden until it is asked for.
    expect(page.it("stream-idle")).to_contain_text("WHIP")
    page.it("copy-cover-server").click()
    expect(page.it("copy-cover-server")).to_have_attribute("data-copied", "true")
    assert page.page.evaluate("() => navigator.clipboard.readText()") == f"{server.base}/whip/seen"
    expect(page.it("row-cover-token")).not_to_contain_text(setup["whipToken"])
    page.it("show-cover-token").click()
    expect(page.it("row-cover-token")).to_contain_text(setup["whipToken"])

    with publishing(setup["rtmpUrl"]):
        plays(page.page, EDITED)
        expect(page.it("stream-idle")).to_have_count(0)
        expect(page.it("stream-state")).to_have_attribute("data-state", "live")
        expect(page.it("publisher")).to_contain_text("RTMP")
        expect(page.it("codec")).to_have_text("H.264 + AAC")
        expect(page.it("resolution")).to_have_text(re.compile("320.192"))
        assert page.page.evaluate(COLOUR, EDITED) > 40

        page.type_instruction(BLACK_AND_WHITE)
        expect(page.it("applied-ms")).to_be_visible()
        expect(page.it("pending")).to_have_count(0)
        becomes_grey(page.page, EDITED)
        assert server.ask("/streams/seen/edit")["received"]["prompt"] == BLACK_AND_WHITE

        # What it cannot do is said, and the edit in force stays.
        beyond = "give the dog a hat and remove the car"
        page.it("instruction").fill(beyond)
        page.it("instruction").press("Enter")
        expect(page.it("message")).to_contain_text(
            "changes nothing: the picture stays as it is", timeout=DEADLINE_MS
        )
        expect(page.it("instruction")).to_have_value(beyond)  # to be mended
        expect(page.it("applied-edit").locator("b")).to_have_text(BLACK_AND_WHITE)

        # An edit from elsewhere is shown like one from here.
        server.ask("/streams/seen/edit", "PUT", {"prompt": "sepia tones"})
        expect(page.it("applied-edit").locator("b")).to_have_text("sepia tones", timeout=DEADLINE_MS)

        # The number keys are the stream's.
        page.page.keyboard.press("Escape")  # the words
        page.page.keyboard.press("Escape")
        page.page.keyboard.press("2")
        second = server.ask("/streams/seen/presets")["presets"][1]["prompt"]
        expect(page.it("applied-edit").locator("b")).to_have_text(second, timeout=DEADLINE_MS)
        page.page.keyboard.press("0")
        expect(page.it("preset-original")).to_have_attribute("aria-pressed", "true", timeout=DEADLINE_MS)

        # The operator ends the publisher; its viewers wait a moment.
        page.it("tab-more").click()
        page.page.once("dialog", lambda dialog: dialog.accept())
        page.it("kick").click()
        expect(page.it("stream-waiting")).to_be_visible(timeout=DEADLINE_MS)
    expect(page.it("stream-idle")).to_be_visible(timeout=DEADLINE_MS)

    # Another source: nothing of the stream is left.
    page.it("source-sample").click()
    page.sees_picture()
    expect(page.it("streams")).to_have_count(0)
    expect(page.it("verdict")).to_be_visible()
    assert "stream=" not in page.page.url
    page.type_instruction(BLACK_AND_WHITE)
    assert server.ask("/streams/seen/edit")["received"]["prompt"] == ""


def test_watch_shows_the_edit_and_comes_back(server: Streaming, open_page: Opener) -> None:
    setup = server.make("watched", prompt=BLACK_AND_WHITE)
    page = open_page(server.base, viewport={"width": 640, "height": 360})
    open_watch(page, "watched")
    said = page.page.get_by_role("status")
    expect(said).to_contain_text("“watched” has not begun yet", timeout=DEADLINE_MS)
    expect(page.page.locator("video")).to_have_count(0)
    with publishing(setup["rtmpUrl"]):
        plays(page.page, WATCHED)
        becomes_grey(page.page, WATCHED)
        expect(said).to_be_empty()
        assert server.ask("/streams/watched/edit")["received"]["prompt"] == BLACK_AND_WHITE
        assert page.page.evaluate("() => document.querySelector('video.shown').muted")
        ground = page.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert ground == "rgba(0, 0, 0, 0)"
        page.page.evaluate("() => { document.querySelector('video.shown').same = true; }")
    with publishing(setup["rtmpUrl"]):  # back while its viewers are kept
        plays(page.page, WATCHED)
        assert page.page.evaluate("() => document.querySelector('video.shown').same")
    expect(page.page.locator("video")).to_have_count(0, timeout=DEADLINE_MS)  # away: nothing is in the way
    expect(said).to_contain_text("“watched” has ended", timeout=DEADLINE_MS)
    with publishing(setup["rtmpUrl"]):  # back after they were sent home
        plays(page.page, WATCHED)


def test_watch_of_a_stream_that_is_not_there_yet(server: Streaming, open_page: Opener) -> None:
    page, on_air = (open_page(server.base, viewport={"width": 640, "height": 360}) for _ in range(2))
    on_air.page.add_init_script("window.obsstudio = { pluginVersion: '2' };")
    for each in (page, on_air):
        open_watch(each, "later")
    expect(page.page.get_by_role("status")).to_contain_text("no stream “later” here yet", timeout=DEADLINE_MS)
    with publishing(server.make("later")["rtmpUrl"]):
        plays(page.page, WATCHED)
        plays(on_air.page, WATCHED)
    expect(page.page.get_by_role("status")).to_contain_text("has ended", timeout=DEADLINE_MS)
    on_air.wait("() => window.watch.reader.state === 'away'")
    expect(on_air.page.get_by_role("status")).to_have_count(0)  # OBS would show the words to everybody


def test_watch_holds_the_last_picture_and_plays_sound(server: Streaming, open_page: Opener) -> None:
    setup = server.make("held")
    page = open_page(server.base, viewport={"width": 640, "height": 384})
    open_watch(page, "held", "?hold=1&sound=1")
    with publishing(setup["rtmpUrl"]):
        plays(page.page, WATCHED)
        assert not page.page.evaluate("() => document.querySelector('video.shown').muted")
        page.page.wait_for_function(HEARS, timeout=DEADLINE_MS, polling=200)
    expect(page.page.locator("canvas.shown")).to_have_count(1, timeout=DEADLINE_MS)
    assert page.page.evaluate(COLOUR, "canvas.shown") > 40


def test_watch_with_a_view_key(server: Streaming, open_page: Opener) -> None:
    setup = server.make("private", viewKey="for-friends")
    with publishing(setup["rtmpUrl"]):
        page = open_page(server.base)
        with page.page.expect_response("**/whep/private") as refused:
            open_watch(page, "private")
        assert refused.value.status == 401
        open_watch(page, "private", "?key=for-friends")
        plays(page.page, WATCHED)
        open_stream(page, "private")  # the operator's page knows the key
        plays(page.page, EDITED)
        expect(page.it("stream-private")).to_contain_text(
            "1 viewer", timeout=DEADLINE_MS
        )  # the other one left


def test_the_dock_edits_the_stream_with_its_key(server: Streaming, open_page: Opener, shots: Path) -> None:
    preset = {"name": "Grey", "prompt": BLACK_AND_WHITE}
    setup = server.make("docked", presets=[preset])
    page = open_page(server.base, viewport={"width": 300, "height": 520})
    page.page.goto(setup["dockUrl"].replace("localhost", "127.0.0.1"), timeout=DEADLINE_MS)
    expect(page.it("dock-state")).to_have_attribute("data-state", "idle", timeout=DEADLINE_MS)
    assert "key=" not in page.page.url
    kept = page.page.evaluate("() => localStorage.getItem('relens.dock.docked')")
    assert kept == setup["whipToken"]

    page.it("dock-instruction").fill("sepia tones")
    expect(page.it("dock-reading")).to_contain_text("sepia", timeout=DEADLINE_MS)
    page.it("dock-instruction").press("Enter")
    expect(page.it("dock-pending")).to_contain_text("sepia tones", timeout=DEADLINE_MS)  # until it is live
    with publishing(setup["rtmpUrl"]):
        expect(page.it("dock-state")).to_have_attribute("data-state", "live", timeout=DEADLINE_MS)
        expect(page.it("dock-applied")).to_contain_text("sepia tones", timeout=DEADLINE_MS)
        page.page.keyboard.press("Escape")
        page.page.keyboard.press("1")
        expect(page.it("dock-applied")).to_contain_text(BLACK_AND_WHITE, timeout=DEADLINE_MS)
        expect(page.it("dock-preset-1")).to_have_attribute("aria-pressed", "true")
        page.page.screenshot(path=str(shots / "dock.png"))
        assert server.ask("/streams/docked/edit")["received"]["prompt"] == BLACK_AND_WHITE
    overflow = page.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0


def test_a_stream_is_made_set_and_deleted(server: Streaming, open_page: Opener) -> None:
    page = open_page(server.base)
    page.page.on("dialog", lambda dialog: dialog.accept())
    page.open("?stream=")
    page.it("stream-new").click()
    page.it("stream-name").fill("Mine")
    page.it("stream-create").click()
    expect(page.it("stream-mine")).to_have_attribute("aria-pressed", "true", timeout=DEADLINE_MS)

    # A new key, and what it looks like to a phone.
    before = server.ask("/streams/mine/settings")["key"]
    page.it("show-whip-token").click()
    expect(page.it("row-whip-token")).to_contain_text(before)
    page.it("new-key").click()
    expect(page.it("show-whip-token")).to_have_attribute("aria-pressed", "false", timeout=DEADLINE_MS)
    assert server.ask("/streams/mine/settings")["key"] != before
    page.it("how-rtmp").click()
    expect(page.it("row-rtmp-server")).to_contain_text("/live")
    page.it("qr").click()
    expect(page.it("qr-code").locator("path")).to_have_attribute("d", QR_PATH, timeout=DEADLINE_MS)

    # Hotkeys: the model's own, one of them rewritten and played.
    page.it("tab-hotkeys").click()
    page.it("hotkey-name-1").fill("Grey")
    page.it("hotkey-prompt-1").fill(BLACK_AND_WHITE)
    page.it("hotkey-save").click()
    expect(page.it("hotkey-save")).to_have_count(0, timeout=DEADLINE_MS)
    kept = server.ask("/streams/mine/settings")["presets"]
    assert (kept[0]["name"], kept[0]["prompt"]) == ("Grey", BLACK_AND_WHITE)
    page.it("hotkey-1").click()
    expect(page.it("pending")).to_contain_text(BLACK_AND_WHITE, timeout=DEADLINE_MS)

    # A target that is switched off at once: nothing is pushed to anybody here.
    page.it("tab-push").click()
    page.it("target-name").fill("Nowhere")
    page.it("target-url").fill("rtmp://127.0.0.1:9/app/")
    page.it("target-key").fill("secret-of-it")
    page.it("target-add").click()
    expect(page.it("target")).to_contain_text("127.0.0.1", timeout=DEADLINE_MS)
    expect(page.it("target")).not_to_contain_text("secret-of-it")
    with page.page.expect_response("**/settings") as put:
        page.it("target-switch").uncheck()
    assert put.value.ok
    expect(page.it("target-said")).to_have_text("off")
    assert server.ask("/streams/mine/settings")["targets"] == [
        {"name": "Nowhere", "url": "rtmp://127.0.0.1:9/app/secret-of-it", "enabled": False}
    ]
    page.it("target-remove").click()
    expect(page.it("target")).to_have_count(0, timeout=DEADLINE_MS)

    page.it("tab-more").click()
    page.it("view-key").fill("for-friends")
    page.it("srt-switch").check()
    page.it("srt-port").fill(str(free_port()))
    page.it("settings-save").click()
    expect(page.it("settings-save")).to_be_disabled(timeout=DEADLINE_MS)
    assert server.ask("/streams/mine/settings")["viewKey"] == "for-friends"
    page.it("tab-connect").click()
    page.it("how-srt").click()
    expect(page.it("row-srt-url")).to_be_visible(timeout=DEADLINE_MS)
    page.it("tab-more").click()
    page.it("stream-delete").click()
    expect(page.it("stream-mine")).to_have_count(0, timeout=DEADLINE_MS)


def test_a_stream_is_pushed_on_and_how_that_goes_is_said(server: Streaming, open_page: Opener) -> None:
    platform = server.make("platform")
    targets = [
        {"name": "Platform", "url": platform["rtmpUrl"]},
        {"name": "Nobody", "url": "rtmp://127.0.0.1:9/app/secret-of-it"},
    ]
    setup = server.make("pushed", targets=targets)
    page = open_page(server.base)
    open_stream(page, "pushed")
    page.it("tab-push").click()
    with publishing(setup["rtmpUrl"]):
        platform_row, nobody_row = page.it("target").nth(0), page.it("target").nth(1)
        expect(platform_row).to_have_attribute("data-state", "pushing", timeout=DEADLINE_MS)
        expect(nobody_row).to_have_attribute("data-state", "backing-off", timeout=DEADLINE_MS)
        expect(nobody_row).to_contain_text("nobody listens there")
        expect(nobody_row).not_to_contain_text("secret-of-it")
        page.it("stream-platform").click()
        plays(page.page, EDITED)


def test_who_is_not_the_operator_sees_and_is_told(open_page: Opener, tmp_path: Path) -> None:
    server = Streaming(tmp_path, "--operator-key", FAR_KEY, model="passthrough")
    try:
        page = open_page(server.base)
        open_stream(page, "live")
        expect(page.it("stream-idle")).to_be_visible()
        expect(page.it("copy-cover-token")).to_have_count(0)
        page.it("instruction").fill("sepia tones")
        page.it("instruction").press("Enter")
        expect(page.it("message")).to_contain_text("operator's key", timeout=DEADLINE_MS)
        expect(page.it("instruction")).to_have_value("sepia tones")
        page.it("message-action").click()
        expect(page.it("operator-note")).to_be_visible()
        expect(page.it("row-watch")).to_contain_text("/watch/live")
        page.it("operator-key").fill("not-this-one")
        page.it("operator-use").click()
        expect(page.it("operator-note")).to_contain_text("not the server's", timeout=DEADLINE_MS)
        page.it("operator-key").fill(FAR_KEY)
        page.it("operator-use").click()
        expect(page.it("row-whip-token")).to_be_visible(timeout=DEADLINE_MS)
        # Kept in this tab over a reload, and nowhere else.
        page.page.reload(timeout=DEADLINE_MS)
        page.it("tab-connect").click()
        expect(page.it("row-whip-token")).to_be_visible(timeout=DEADLINE_MS)
        assert page.page.evaluate("() => JSON.stringify(localStorage)").count(FAR_KEY) == 0

        # A dock without the stream's key asks for it, once it is needed.
        page.page.goto(f"{server.base}/dock/live", timeout=DEADLINE_MS)
        page.it("dock-instruction").fill("sepia tones")
        page.it("dock-instruction").press("Enter")
        expect(page.it("dock-key")).to_be_visible(timeout=DEADLINE_MS)
        page.it("dock-key").locator("input").fill(server.ask("/streams/live/settings", key=FAR_KEY)["key"])
        page.it("dock-key").locator("button").click()
        expect(page.it("dock-instruction")).to_have_value("sepia tones")  # to be sent with it
        page.page.reload(timeout=DEADLINE_MS)
        expect(page.it("dock-instruction")).to_have_value("sepia tones")
        page.it("dock-instruction").press("Enter")
        expect(page.it("dock-said")).to_contain_text("changes nothing", timeout=DEADLINE_MS)  # of this model
        expect(page.it("dock-instruction")).to_have_value("sepia tones")
        page.it("dock-instruction").fill("")
        page.page.keyboard.press("Escape")
        page.page.keyboard.press("0")
        expect(page.it("dock-pending")).to_be_visible(timeout=DEADLINE_MS)
    finally:
        assert server.served.stop() == 0


def test_a_stream_with_a_view_key_is_shown_by_the_key_that_is_given(
    open_page: Opener, tmp_path: Path
) -> None:
    server = Streaming(tmp_path, "--operator-key", KEY, model="passthrough")
    try:
        target = {"name": "A platform", "url": f"rtmp://127.0.0.1:{free_port()}/app/key", "enabled": False}
        preset = {"name": "Secretly", "prompt": "make it night"}
        settings = {"viewKey": "viewers.", "targets": [target], "presets": [preset]}
        key = server.ask("/streams/live/settings", "PUT", settings, key=KEY)["key"]

        # A guest hears that there is a stream; the operator, once known, where it goes to.
        page = open_page(server.base)
        open_stream(page, "live")
        page.it("tab-push").click()
        expect(page.it("operator-note")).to_be_visible()
        expect(page.it("stream-problem")).to_have_count(0)
        expect(page.it("target")).to_have_count(0)
        page.it("operator-key").fill(KEY)
        page.it("operator-use").click()
        expect(page.it("target")).to_contain_text("A platform", timeout=DEADLINE_MS)
        expect(page.it("target-said")).not_to_be_empty()

        # A dock asks for the key at once: without it there is nothing to see.
        page.page.goto(f"{server.base}/dock/live", timeout=DEADLINE_MS)
        expect(page.it("dock-key")).to_be_visible(timeout=DEADLINE_MS)
        expect(page.it("dock-preset-1")).to_have_count(0)
        page.it("dock-key").locator("input").fill("not-this-one")
        page.it("dock-key").locator("button").click()
        expect(page.it("dock-key")).to_contain_text("not the stream's", timeout=DEADLINE_MS)
        page.it("dock-key").locator("input").fill(key)
        page.it("dock-key").locator("button").click()
        expect(page.it("dock-preset-1")).to_contain_text("Secretly", timeout=DEADLINE_MS)
        expect(page.it("dock-key")).to_have_count(0)
    finally:
        assert server.served.stop() == 0


@pytest.mark.parametrize(
    ("name", "width", "height", "phone"), [("desktop", 1280, 800, False), ("phone", 360, 740, True)]
)
def test_screenshots(
    server: Streaming, open_page: Opener, shots: Path, name: str, width: int, height: int, phone: bool
) -> None:
    setup = server.make(f"shot-{name}")
    page = open_page(
        server.base, viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone
    )
    open_stream(page, f"shot-{name}")
    with publishing(setup["rtmpUrl"]):
        plays(page.page, EDITED)
        page.type_instruction("pencil sketch")
        widths = []
        for tab in ("edit", "connect", "push", "hotkeys", "more"):
            page.it(f"tab-{tab}").click()
            page.page.screenshot(path=str(shots / f"streams-{name}-{tab}.png"))
            widths.append(page.page.evaluate("() => document.documentElement.scrollWidth"))
    assert max(widths) <= width, f"{name}: the page is wider than the screen"
