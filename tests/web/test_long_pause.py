"""Who paused for so long that the server let go is told so, takes no place, and goes on by one press."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS, LivePage
from live_server import in_process
from playwright.sync_api import expect

from server.config import Config
from tests.gpu.film.small_film import make_film

STATE = "() => window.relens.client.state"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    with in_process(Config(model="passthrough", port=0, data_dir=str(data), paused_s=1.0)) as base:
        yield base


def let_go(page: LivePage) -> None:
    expect(page.it("message")).to_contain_text("paused for long", timeout=DEADLINE_MS)
    page.page.wait_for_timeout(700)  # in which it would have come back by itself
    assert page.page.evaluate(STATE) == "waiting"
    assert page.page.evaluate("async () => (await (await fetch('/sessions')).json()).sessions") == []


def test_the_camera_goes_on_by_the_notice_and_by_the_pause_button(base: str, open_page: Opener) -> None:
    page = open_page(base)
    page.open()
    page.use_camera()
    for way_back in ("message-action", "pause"):
        page.it("pause").click()
        let_go(page)
        expect(page.it("reconnecting")).to_be_hidden()
        page.it(way_back).click()
        page.sees_picture()
        expect(page.it("message")).to_be_hidden()


def test_a_film_at_its_end_begins_again(base: str, open_page: Opener, tmp_path: Path) -> None:
    film = make_film(tmp_path / "short.mp4", 60)
    page = open_page(base)
    page.open()
    page.it("source-file").click()
    page.it("choose-input").set_input_files(film)
    page.sees_picture()
    let_go(page)
    page.it("film-play").click()
    page.sees_picture(20)
