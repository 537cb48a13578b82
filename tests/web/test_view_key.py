"""A stream that is watched with a key: who comes without it is asked, on the page and on /watch."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS, LivePage
from live_server import Served, free_port
from playwright.sync_api import expect
from rtmp_source import publishing

OPERATOR_KEY = "operator-of-the-test"
VIEW_KEY = "for-friends"
PLAYS = """
(selector) => {
  const video = document.querySelector(selector);
  if (!video?.videoWidth) return false;
  video.counted ??= video.getVideoPlaybackQuality().totalVideoFrames;
  return video.getVideoPlaybackQuality().totalVideoFrames >= video.counted + 5;
}
"""
EDITED, WATCHED = '[data-testid="edited-video"]', "video.shown"
GUESSES = 10  # different ones; then the server hears no other for a while


def ask(base: str, path: str, body: object = None) -> dict[str, Any]:
    """As the operator; with a body it is put."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {OPERATOR_KEY}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, headers, method="GET" if body is None else "PUT")
    with urllib.request.urlopen(request, timeout=20) as reply:
        return dict(json.loads(reply.read()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(
        "--model", "passthrough", "--drain-s", "0", "--operator-key", OPERATOR_KEY,
        "--rtmp-port", str(free_port()), "--data-dir", str(tmp_path_factory.mktemp("kept")),
    )  # fmt: skip
    served.start()
    yield served
    assert served.stop() == 0


@pytest.fixture(scope="module")
def base(server: Served) -> Iterator[str]:
    """With a stream that is live and watched with VIEW_KEY."""
    ask(server.base, "/streams/private/settings", {"viewKey": VIEW_KEY})
    with publishing(ask(server.base, "/streams/private/setup")["rtmpUrl"]):
        yield server.base


def plays(page: LivePage, selector: str) -> None:
    page.wait(PLAYS, selector)


def test_the_page_asks_for_it_and_keeps_it_in_the_tab(base: str, open_page: Opener) -> None:
    page = open_page(base)
    page.open("?stream=private")
    expect(page.it("view-key-needed")).to_contain_text("watched with a view key", timeout=DEADLINE_MS)
    page.it("view-key-given").fill("not-this-one")
    page.it("view-key-use").click()
    expect(page.it("view-key-said")).to_contain_text("not the stream's view key", timeout=DEADLINE_MS)
    page.it("view-key-given").fill(VIEW_KEY)
    page.it("view-key-use").click()
    plays(page, EDITED)
    expect(page.it("publisher")).to_contain_text("RTMP")  # viewers are told more than that there is a stream
    page.page.reload(wait_until="load", timeout=DEADLINE_MS)
    plays(page, EDITED)
    expect(page.it("view-key-needed")).to_have_count(0)

    # Another tab has not been told.
    other = LivePage(page.page.context.new_page(), base)
    other.open("?stream=private")
    expect(other.it("view-key-needed")).to_be_visible(timeout=DEADLINE_MS)
    other.page.close()

    # Whoever had the one before is told, and asked for the new one.
    ask(base, "/streams/private/settings", {"viewKey": "of-tomorrow"})
    try:
        expect(page.it("view-key-said")).to_contain_text("was changed", timeout=DEADLINE_MS)
    finally:
        ask(base, "/streams/private/settings", {"viewKey": VIEW_KEY})


def test_watch_asks_a_person_for_it_and_obs_never(base: str, open_page: Opener) -> None:
    page = open_page(base)
    page.page.goto(f"{base}/watch/private", timeout=DEADLINE_MS)
    box = page.page.get_by_label("View key")
    box.fill("not-this-one")
    box.press("Enter")
    expect(page.page.get_by_role("alert")).to_contain_text("not the stream's", timeout=DEADLINE_MS)
    box.fill(VIEW_KEY)
    box.press("Enter")
    plays(page, WATCHED)
    expect(box).to_have_count(0)
    page.page.reload(timeout=DEADLINE_MS)
    plays(page, WATCHED)

    on_air = open_page(base)
    on_air.page.add_init_script("window.obsstudio = { pluginVersion: '2' };")
    with on_air.page.expect_response("**/whep/private") as refused:
        on_air.page.goto(f"{base}/watch/private?key=not-this-one", timeout=DEADLINE_MS)
    assert refused.value.status == 401
    on_air.wait("() => window.watch.reader.state === 'away'")
    on_air.page.wait_for_timeout(300)
    expect(on_air.page.locator("form")).to_have_count(0)


def test_a_link_with_an_old_key_asks_once_in_a_tab(base: str, open_page: Opener) -> None:
    page = open_page(base)
    page.page.goto(f"{base}/watch/private?key=of-yesterday", timeout=DEADLINE_MS)
    box = page.page.get_by_label("View key")
    box.fill(VIEW_KEY)
    box.press("Enter")
    plays(page, WATCHED)
    page.page.reload(timeout=DEADLINE_MS)
    plays(page, WATCHED)
    expect(box).to_have_count(0)


def test_after_many_wrong_ones_it_says_how_long_to_wait(base: str, open_page: Opener) -> None:
    ask(base, "/streams/guessed/settings", {"viewKey": "nobody-knows"})
    page = open_page(base)
    page.open("?stream=guessed")
    use, said = page.it("view-key-use"), page.it("view-key-said")
    for n in range(GUESSES + 1):
        page.it("view-key-given").fill(f"guess-{n}")
        with page.page.expect_response("**/streams/guessed") as answer:
            use.click()
    assert answer.value.status == 429
    expect(said).to_contain_text(" s.")
    expect(use).to_be_disabled()
    page.page.goto(f"{base}/watch/guessed", timeout=DEADLINE_MS)
    expect(page.page.get_by_role("alert")).to_contain_text("Several wrong keys", timeout=DEADLINE_MS)
