"""What one tab knows over a reload, and a part of the page that does not come: nobody's words are lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS, LivePage
from made_model import SPEC
from made_server import made_server
from playwright.sync_api import expect

SNOW = "snow, only in the background"
FOG = "thick fog"
HALF_TYPED = "half a sen"
FIRST = SPEC.presets[0].prompt
DESKTOP = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with made_server() as base:
        yield base


def reload(page: LivePage) -> None:
    page.page.reload(wait_until="load", timeout=DEADLINE_MS)


def wanted(page: LivePage) -> str | None:
    """The sentence that the page asks for with its next session; None for none."""
    found = page.page.evaluate("() => window.relens.client.wanted?.prompt ?? null")
    return None if found is None else str(found)


def test_a_reload_asks_again_for_what_was_asked_for(base: str, open_page: Opener) -> None:
    page = open_page(base, permissions=["camera"], **DESKTOP)
    page.open("?autostart=0")
    page.use_camera()
    page.type_instruction(SNOW)
    page.it("strength").fill("40")
    page.wait("() => window.relens.client.wanted?.strength === 0.4")
    page.it("instruction").fill(HALF_TYPED)
    reload(page)
    expect(page.it("applied-edit").locator("b")).to_have_text(SNOW, timeout=DEADLINE_MS)
    expect(page.it("source-camera")).to_have_attribute("aria-pressed", "true")  # allowed already
    expect(page.it("instruction")).to_have_value(HALF_TYPED)
    expect(page.it("strength")).to_have_value("40")
    assert page.page.evaluate("() => window.relens.client.wanted.strength") == 0.4
    page.it("instruction").fill("")
    expect(page.it("region-background")).to_have_attribute("aria-pressed", "true")

    # The source as it is was asked for, too.
    page.it("preset-original").click()
    expect(page.it("applied-edit").locator("b")).to_have_text("Source, as it is", timeout=DEADLINE_MS)
    reload(page)
    page.sees_picture()
    assert not wanted(page)
    expect(page.it("preset-original")).to_have_attribute("aria-pressed", "true")


def test_another_tab_and_a_link_with_its_own_words_begin_anew(base: str, open_page: Opener) -> None:
    page = open_page(base, **DESKTOP)
    page.open("?autostart=0")
    page.it("instruction").fill(SNOW)
    page.it("instruction").press("Enter")
    page.it("instruction").fill(HALF_TYPED)
    reload(page)
    page.wait("(snow) => window.relens.client.wanted?.prompt === snow", SNOW)
    other = LivePage(page.page.context.new_page(), base)
    other.open("?autostart=0")
    other.wait("() => window.relens.client.wanted !== null")
    assert wanted(other) == FIRST
    expect(other.it("instruction")).to_have_value("")
    page.open("?prompt=fog&autostart=0")
    page.wait("() => window.relens.client.wanted !== null")
    assert wanted(page) == "fog"


def test_a_stopped_picture_is_called_paused(base: str, open_page: Opener) -> None:
    page = open_page(base, **DESKTOP)
    page.open()
    expect(page.it("verdict")).to_have_count(0)  # nothing runs, nothing is measured
    page.use_camera()
    page.it("pause").click()
    expect(page.it("verdict")).to_contain_text("Paused")
    page.it("pause").click()
    expect(page.it("verdict")).not_to_contain_text("Paused")


def test_a_part_of_an_older_page_is_said_and_the_words_survive(base: str, open_page: Opener) -> None:
    page = open_page(base, **DESKTOP)
    page.open()
    page.it("instruction").fill(HALF_TYPED)
    page.page.route("**/assets/mode.*.js*", lambda route: route.fulfill(status=404))
    page.it("source-file").click()
    expect(page.it("message")).to_contain_text("has a newer page", timeout=DEADLINE_MS)
    page.page.unroute("**/assets/mode.*.js*")
    with page.page.expect_navigation(timeout=DEADLINE_MS):
        page.it("message-action").click()
    expect(page.it("instruction")).to_have_value(HALF_TYPED, timeout=DEADLINE_MS)
    expect(page.it("message")).to_have_count(0)
    page.it("source-file").click()
    expect(page.it("drop")).to_be_visible(timeout=DEADLINE_MS)


def test_a_part_that_did_not_come_is_asked_for_again(base: str, open_page: Opener) -> None:
    page = open_page(base, **DESKTOP)
    page.open()
    page.page.route("**/assets/mode.*.js*", lambda route: route.abort())
    page.it("source-file").click()
    expect(page.it("message")).to_contain_text("did not come", timeout=DEADLINE_MS)
    page.page.unroute("**/assets/mode.*.js*")
    page.it("source-file").click()  # without a reload
    expect(page.it("drop")).to_be_visible(timeout=DEADLINE_MS)
    expect(page.it("message")).to_have_count(0)


def test_what_the_first_paint_goes_without_is_missed_in_words(base: str, open_page: Opener) -> None:
    page = open_page(base, **DESKTOP)
    page.page.route("**/assets/late.*.js*", lambda route: route.fulfill(status=404))
    page.open()
    expect(page.it("message")).to_contain_text("did not come", timeout=DEADLINE_MS)
    page.it("instruction").fill(HALF_TYPED)
    page.page.unroute("**/assets/late.*.js*")
    with page.page.expect_navigation(timeout=DEADLINE_MS):
        page.it("message-action").click()
    expect(page.it("instruction")).to_have_value(HALF_TYPED, timeout=DEADLINE_MS)
    expect(page.it("message")).to_have_count(0)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of grey."""
    path = tmp_path_factory.mktemp("film") / "grey.mp4"
    with av.open(path, "w") as out:
        video = out.add_stream("libx264", rate=12)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        for _ in range(240):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.full((96, 160, 3), 128, np.uint8), "rgb24")))
        out.mux(video.encode())
    return path


def test_a_film_goes_on_where_it_was_under_its_edit(base: str, open_page: Opener, film: Path) -> None:
    page = open_page(base, **DESKTOP)
    page.open()
    page.it("source-file").click()
    page.it("choose-input").set_input_files(film)
    page.sees_picture(3)
    page.type_instruction(SNOW)
    page.it("film-play").click()  # it stands
    page.it("scrubber").press("Home")
    page.it("scrubber").press("ArrowRight")
    page.it("scrubber").press("ArrowRight")
    scrubber = page.it("scrubber")
    expect(scrubber).to_have_attribute("aria-valuenow", "10")
    page.type_instruction(FOG)
    page.it("scrubber").press("ArrowLeft")
    expect(page.it("timeline").locator("li")).to_have_count(2)
    reload(page)
    expect(scrubber).to_have_attribute("aria-valuenow", re.compile("^[5-9]$"), timeout=DEADLINE_MS)
    expect(page.it("applied-edit").locator("b")).to_have_text(FOG, timeout=DEADLINE_MS)
    made = page.it("timeline").locator("li")
    expect(made).to_have_text([re.compile(f"0:00.*{SNOW}"), re.compile(f"0:10.*{FOG}")])
    expect(made.last.locator("button")).to_have_attribute("data-current", "true")
    expect(page.it("render-what")).to_contain_text("2")  # all of them are rendered where they were made
