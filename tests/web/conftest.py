"""Debian's Chromium with the sample clip as its camera, and servers for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from camera_clip import write_mjpeg
from chromium_start import CHROMIUM, FLAGS, Opener
from live_page import LivePage
from playwright.sync_api import Browser, Playwright, sync_playwright

SHOTS = Path(os.environ.get("PAGE_SHOTS") or Path(__file__).parents[2] / "bench" / "out" / "page")
DIST = Path(__file__).parents[2] / "web" / "dist" / "index.html"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"there is no Chromium at {CHROMIUM}: make browser, or leave out -m 'not browser'")
    assert DIST.is_file(), "the page is not built: make setup"
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mjpeg(tmp_path_factory.mktemp("camera") / "clip.mjpeg")


@pytest.fixture(scope="module")
def chromium(playwright: Playwright, camera_file: Path) -> Iterator[Browser]:
    """With a camera that is granted without asking."""
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            *FLAGS,
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={camera_file}",
        ],
        timeout=60_000,
    )
    yield browser
    browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Opener]:
    """Makes pages; each has a context of its own unless one is given. Errors in a page fail its test."""
    pages: list[LivePage] = []

    def make(base: str, **options: object) -> LivePage:
        context = chromium.new_context(**options)  # type: ignore[arg-type]
        pages.append(LivePage(context.new_page(), base))
        return pages[-1]

    yield make
    errors = [error for page in pages for error in page.errors]
    for page in pages:
        page.page.context.close()
    assert not errors


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots are left for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    return SHOTS
