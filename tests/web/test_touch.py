"""Phones: nothing runs off the screen, and what is pressed is large enough for a finger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS
from made_server import made_server
from playwright.sync_api import expect

# What can be pressed and is seen, with its height in CSS pixels; of a checkbox its label is pressed.
PRESSED = """
() => [...document.querySelectorAll("button, select, [role=slider], label:has([type=checkbox])")]
  .map((each) => [each.dataset.testid ?? each.textContent, each.getBoundingClientRect(), each])
  .filter(([, box, each]) => box.width > 1 && getComputedStyle(each).visibility === "visible")
  .map(([name, box]) => [name, Math.round(box.height)])
"""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with made_server() as base:
        yield base


@pytest.mark.parametrize(
    ("width", "height", "least"), [(390, 844, 40), (360, 740, 40), (844, 390, 30), (667, 375, 30)]
)
def test_a_finger_finds_everything(base: str, open_page: Opener, width: int, height: int, least: int) -> None:
    page = open_page(base, viewport={"width": width, "height": height}, is_mobile=True, has_touch=True)
    page.open()
    page.use_camera()  # with its choices in the header
    page.type_instruction("snow, only in the background")
    expect(page.it("region-background")).to_be_visible(timeout=DEADLINE_MS)
    overflow = page.page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert overflow <= 0, f"the page is {overflow} px wider than the screen"
    heights = page.page.evaluate(PRESSED)
    assert len(heights) > 60
    assert [(name, px) for name, px in heights if px < least] == []
