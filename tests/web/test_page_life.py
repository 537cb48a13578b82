"""What happens to people: two tabs, a reload, a refused camera, a server that goes away and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_start import CHROMIUM, FLAGS, Opener
from live_page import DEADLINE_MS, LivePage
from live_server import Served
from playwright.sync_api import Playwright, Route, expect

BLACK_AND_WHITE = "make it black and white"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    served = Served("--model", "nano", "--drain-s", "1")
    served.start()
    yield served
    assert served.stop() == 0


def test_two_tabs_at_once(server: Served, open_page: Opener) -> None:
    left, right = open_page(server.base), open_page(server.base)
    for page in (left, right):
        page.open()
        page.use_camera()
    left.type_instruction(BLACK_AND_WHITE)
    right.type_instruction("sepia tones")
    for page in (left, right):
        page.page.bring_to_front()
        page.sees_picture(30)
    left.page.bring_to_front()
    grey = left.shot()
    right.page.bring_to_front()
    brown = right.shot()
    assert grey.colour < 8 < 12 < brown.colour
    assert brown.rgb[..., 0].mean() > brown.rgb[..., 2].mean()  # red over blue


@pytest.mark.parametrize(("width", "height", "hand_held"), [(1280, 800, False), (390, 844, True)])
def test_nothing_moves_when_the_rest_of_the_page_comes(
    server: Served, open_page: Opener, width: int, height: int, hand_held: bool
) -> None:
    page = open_page(
        server.base,
        viewport={"width": width, "height": height},
        is_mobile=hand_held,
        has_touch=hand_held,
    )
    held: list[Route] = []
    page.page.route("**/assets/late.*.js", lambda route: held.append(route))
    page.page.goto(f"{server.base}/?prompt=&autostart=0", wait_until="commit", timeout=DEADLINE_MS)
    places = [page.it("stage"), page.it("instruction"), page.it("strength"), page.it("pause")]
    for place in places:
        expect(place).to_be_visible(timeout=DEADLINE_MS)
    while not held:
        page.page.wait_for_timeout(50)
    expect(page.it("preset-original")).to_have_count(0)
    before = [place.bounding_box() for place in places]
    for route in held:
        route.continue_()
    expect(page.it("preset-original")).to_be_visible(timeout=DEADLINE_MS)
    expect(page.it("fps")).to_be_visible()
    assert [place.bounding_box() for place in places] == before


def test_reload(server: Served, open_page: Opener) -> None:
    page = open_page(server.base)
    page.open(f"?prompt={BLACK_AND_WHITE.replace(' ', '%20')}")
    page.sees_picture()
    expect(page.it("applied-edit").locator("b")).to_have_text(BLACK_AND_WHITE, timeout=DEADLINE_MS)
    page.page.reload(wait_until="load", timeout=DEADLINE_MS)
    page.sees_picture()
    expect(page.it("applied-edit").locator("b")).to_have_text(BLACK_AND_WHITE, timeout=DEADLINE_MS)
    page.sees_picture(30)
    assert page.shot().colour < 8


def test_camera_denied_offers_the_sample(server: Served, playwright: Playwright) -> None:
    """Without the flag that answers for the person, a context without the permission says no."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=60_000)
    try:
        page = LivePage(browser.new_context(permissions=[]).new_page(), server.base)
        page.open()
        page.it("source-camera").click()
        expect(page.it("message")).to_contain_text("amera", timeout=DEADLINE_MS)
        expect(page.it("verdict")).to_have_count(0)  # nothing runs, and nothing is about to
        expect(page.it("stage")).not_to_contain_text("Starting")
        expect(page.page.locator("header [aria-pressed=true]")).to_have_count(0)
        page.it("message-action").click()
        page.sees_picture()
        expect(page.it("message")).to_have_count(0, timeout=DEADLINE_MS)
        assert not page.errors
    finally:
        browser.close()


def test_server_restarted(open_page: Opener) -> None:
    server = Served("--model", "nano", "--drain-s", "0")
    server.start()
    try:
        page = open_page(server.base)
        page.open()
        page.use_camera()
        before = page.type_instruction(BLACK_AND_WHITE)
        page.listen()
        assert server.stop() == 0
        page.wait("() => window.relens.client.state !== 'open'")
        server.start()
        page.wait("() => window.relens.client.state === 'open'", timeout_ms=60_000)
        page.wait("(n) => window.receipts.applied.some((r) => r.revision === n)", before)
        page.sees_picture(20)
        assert page.shot().colour < 8
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("name", "width", "height", "phone"),
    [("desktop", 1440, 900, False), ("phone", 390, 844, True), ("narrow", 360, 640, True)],
)
def test_screenshots(
    server: Served, open_page: Opener, shots: Path, name: str, width: int, height: int, phone: bool
) -> None:
    page = open_page(
        server.base, viewport={"width": width, "height": height}, is_mobile=phone, has_touch=phone
    )
    page.open("?prompt=as%20a%20pencil%20sketch")
    page.sees_picture(40)
    expect(page.it("applied-edit").locator("b")).to_contain_text("pencil", timeout=DEADLINE_MS)
    expect(page.it("fps")).to_contain_text("fps", timeout=DEADLINE_MS)
    page.page.screenshot(path=str(shots / f"{name}.png"))
    assert (shots / f"{name}.png").stat().st_size > 10_000
    overflow = page.page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0, f"{name}: the page is {overflow} px wider than the screen"
    box = page.it("instruction").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= height, "the instruction is in view without scrolling"
