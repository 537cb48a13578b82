"""The full-size model's path from browser to browser, on a CPU at a toy size: receipts, pictures, warning.

Its weights are random, so its picture is noise: much more colourful than the sample, which is how the two are
told apart here. What is looked at is that it comes, that the page follows it, and that nobody can take it for
an edit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS
from live_server import Served
from playwright.sync_api import expect

pytest.importorskip("torch")

PROMPT = "dress the person in a white space suit"
WARNING = "random weights: for measuring only, the picture means nothing"
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SIDEWAYS = {"viewport": {"width": 844, "height": 390}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    served = Served("--model", "liveedit-toy", "--random-weights", "--drain-s", "0")
    served.start()
    yield served
    assert served.stop() == 0


def test_an_instruction_from_the_box_to_the_screen(server: Served, open_page: Opener, shots: Path) -> None:
    page = open_page(server.base, **DESKTOP)
    page.open("?prompt=")
    page.listen()
    page.sees_picture()
    source = page.shot().colour
    box = page.it("instruction")
    box.fill(PROMPT)
    expect(page.it("reading")).to_contain_text(PROMPT, timeout=DEADLINE_MS)
    expect(page.it("reading")).not_to_contain_text("sure")
    revision = page.type_instruction(PROMPT)
    page.wait("(n) => window.receipts.shown.some((r) => r.revision === n)", revision)
    receipts = page.receipts()
    for kind in ("received", "applied", "shown"):
        assert [r["revision"] for r in receipts[kind] if r["revision"] == revision] == [revision]
    received = next(r for r in receipts["received"] if r["revision"] == revision)
    assert received["reading"]["understood"]
    assert received["reading"]["label"] == PROMPT
    edited = 0.0
    until_s = time.monotonic() + DEADLINE_MS / 1000
    while edited <= source + 30 and time.monotonic() < until_s:  # the transition may still be under way
        page.sees_picture(24)
        edited = page.shot().colour
    print(f"colour: {source:.0f} of the source, {edited:.0f} edited")
    assert edited > source + 30
    expect(page.it("model-note")).to_have_text(WARNING)
    expect(page.it("model")).to_contain_text("liveedit-toy")
    page.page.screenshot(path=shots / "liveedit-desktop.png")
    page.type_instruction("turn the person into a white marble statue")
    page.sees_picture()
    box.fill("undo")
    box.press("Enter")
    expect(page.it("preset-original")).to_have_attribute("aria-pressed", "true", timeout=DEADLINE_MS)
    page.sees_picture(24)
    assert page.shot().colour < (source + edited) / 2


@pytest.mark.parametrize(
    ("name", "screen"),
    [("desktop", DESKTOP), ("phone", PHONE), ("sideways", SIDEWAYS)],
    ids=lambda v: str(v)[:8],
)
def test_the_warning_is_in_sight_and_in_nobodys_way(
    name: str, screen: dict[str, object], server: Served, open_page: Opener, shots: Path
) -> None:
    page = open_page(server.base, **screen)
    page.open(f"?prompt={PROMPT.replace(' ', '%20')}")
    page.sees_picture()
    note = page.it("model-note")
    expect(note).to_have_text(WARNING)
    expect(note).to_be_in_viewport(ratio=1)
    page.page.screenshot(path=shots / f"liveedit-{name}-note.png")
    clear = """
    () => {
      const box = document.querySelector('[data-testid="model-note"]').getBoundingClientRect();
      const stage = document.querySelector('[data-testid="stage"]').getBoundingClientRect();
      const inside = box.left >= stage.left && box.right <= stage.right
        && box.top >= stage.top && box.bottom <= stage.bottom;
      const others = [...document.querySelectorAll('.stage .tag, .stage .views')];
      return inside && others.every((other) => {
        const { left, right, top, bottom } = other.getBoundingClientRect();
        return box.right <= left || box.left >= right || box.bottom <= top || box.top >= bottom;
      });
    }
    """
    assert page.page.evaluate(clear), "it lies on the picture and covers nothing else"


def test_another_models_pictures_carry_no_warning(server: Served, open_page: Opener) -> None:
    page = open_page(server.base, **DESKTOP)
    page.open("?prompt=&model=passthrough")
    page.sees_picture()
    page.wait("() => window.relens.client.state === 'open'")
    expect(page.it("model").locator("select")).to_have_value("passthrough", timeout=DEADLINE_MS)
    expect(page.it("model-note")).to_have_count(0)
