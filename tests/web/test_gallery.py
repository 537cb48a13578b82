"""Presets and the type-ahead: what is shown while one looks, types and presses keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS, LivePage
from made_model import HALF, MIXED, SPEC, TWO_STYLES, UNDO, UNDO_THAT, UNSURE
from made_server import made_server
from playwright.sync_api import Locator, Route, expect

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
MANY = "slightly snow, rain, fog and night, only in the background"
COLOURS = "please recolour the red shirt of the man on the left blue"
# What moves by itself for good moves on.
RESTS = """
() => document.getAnimations().every(
  (one) => one.playState !== "running" || one.effect.getTiming().iterations === Infinity)
"""
SIZES = [
    ("desktop", {"viewport": {"width": 1280, "height": 800}}),
    ("phone", PHONE),
    ("sideways", {"viewport": {"width": 844, "height": 390}, "is_mobile": True, "has_touch": True}),
]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with made_server() as base:
        yield base


def names(page: LivePage) -> list[str]:
    """The presets in view of a screen reader, in order."""
    found = page.page.locator("[data-testid=presets] [data-testid^=preset-]")
    return [str(tile.get_attribute("data-testid")).removeprefix("preset-") for tile in found.all()]


def test_every_preset_has_its_place(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    assert sorted(names(page)) == sorted(["original", *(preset.name for preset in SPEC.presets)])
    for group in ("room", "art", "colour"):
        page.it(f"group-{group}").click()
        expect(page.it(f"group-{group}")).to_have_attribute("aria-current", "true")
        first = next(preset for preset in SPEC.presets if preset.group == group)
        expect(page.it(f"preset-{first.name}")).to_be_in_viewport()
    page.it("preset-colour_pop").focus()
    page.page.keyboard.press("ArrowLeft")
    expect(page.it("preset-recolour")).to_be_focused()
    page.page.keyboard.press("ArrowUp")  # the last row of the group before
    page.page.keyboard.press("ArrowDown")
    expect(page.it("preset-recolour")).to_be_focused()
    page.it("preset-colour_pop").click()
    expect(page.it("preset-colour_pop")).to_have_attribute("aria-pressed", "true")


def test_typing_shows_what_fits_and_what_is_understood(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    box, reading = page.it("instruction"), page.it("reading")
    box.press_sequentially("watercolor")  # as Americans write it
    assert "watercolour" in names(page)
    box.fill("slightly recolour red blue in the background")
    part = reading.locator("[data-part=recolour]")
    expect(part).to_have_attribute("data-region", "background", timeout=DEADLINE_MS)
    expect(part).to_contain_text("50 %")
    assert [swatch.get_attribute("title") for swatch in part.locator(".swatch").all()] == ["red", "blue"]
    expect(reading).to_contain_text("93 % sure")
    expect(reading.get_by_role("status")).to_contain_text("Recolour 50 % (red to blue) in the background")
    box.fill("a fire engine")
    expect(reading).to_contain_text("Outside", timeout=DEADLINE_MS)
    expect(reading.get_by_test_id("nearest")).to_have_text(["Rain", "Snow", "Fog"])
    assert names(page)[:3] == ["rain", "snow", "fog"]
    box.fill(UNSURE)
    expect(reading.get_by_test_id("nearest").first).to_have_text("Winter", timeout=DEADLINE_MS)
    box.fill("")
    assert len(names(page)) == len(SPEC.presets) + 1


def test_keys_go_through_what_fits(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.use_camera()
    box = page.it("instruction")
    box.fill("night")
    box.press("ArrowDown")
    box.press("ArrowDown")
    chosen = page.page.locator("[role=option][aria-selected=true]")
    expect(chosen).to_have_count(1)
    sentence = chosen.locator(".soft").inner_text()
    expect(box).to_have_value(sentence)
    expect(box).to_have_attribute("aria-activedescendant", str(chosen.get_attribute("id")))
    box.press("Enter")
    expect(page.it("applied-edit").locator("b")).to_have_text(sentence, timeout=DEADLINE_MS)
    expect(box).to_have_value("")
    box.press("ArrowUp")  # from an empty line: what was asked for lately
    expect(box).to_have_value(sentence)
    box.press("Escape")
    expect(box).to_have_value("")
    expect(box).to_be_focused()
    box.press("Escape")
    expect(box).not_to_be_focused()
    page.page.keyboard.press("3")
    third = SPEC.presets[2]
    expect(page.it("applied-edit").locator("b")).to_have_text(third.prompt, timeout=DEADLINE_MS)


def test_digits_in_the_empty_box_are_typed(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.listen()
    box = page.it("instruction")
    expect(box).to_be_focused()
    box.press_sequentially("1920s film")
    expect(box).to_have_value("1920s film")
    box.fill("")
    page.page.keyboard.press("0")
    expect(box).to_have_value("0")
    assert page.receipts()["received"] == []
    expect(page.it("pending")).to_have_count(0)


@pytest.mark.parametrize(
    "size", [{"viewport": {"width": 1280, "height": 800}}, PHONE], ids=["desktop", "phone"]
)
def test_what_was_left_out_is_said(
    base: str, open_page: Opener, shots: Path, size: dict[str, object]
) -> None:
    page = open_page(base, **size)
    page.open()
    page.use_camera()
    box, reading = page.it("instruction"), page.it("reading")
    box.fill(TWO_STYLES)
    expect(reading.get_by_test_id("left-out")).to_have_text("without starry night", timeout=DEADLINE_MS)
    expect(reading.get_by_test_id("left-out")).to_be_in_viewport(ratio=1)
    expect(reading.get_by_role("status")).to_contain_text("Pencil sketch, without starry night. 93 % sure")
    box.press("Enter")
    applied = page.it("applied-edit")
    expect(applied.locator("b")).to_have_text(TWO_STYLES, timeout=DEADLINE_MS)
    expect(applied.get_by_test_id("left-out")).to_have_text("without starry night")
    expect(applied.get_by_test_id("left-out")).to_be_in_viewport(ratio=1)
    page.page.screenshot(path=str(shots / f"gallery-{size['viewport']['width']}-left-out.png"))  # type: ignore[index]


def test_undo_marks_the_original(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.use_camera()
    page.type_instruction("fog")
    expect(page.it("preset-original")).to_have_attribute("aria-pressed", "false")
    box = page.it("instruction")
    box.fill(UNDO)
    box.press("Enter")
    expect(page.it("preset-original")).to_have_attribute("aria-pressed", "true", timeout=DEADLINE_MS)
    expect(page.it("applied-edit").locator("b")).to_have_text("Source, as it is")
    expect(page.it("timeline")).to_contain_text(UNDO)  # its words are kept where they are history


def test_undo_that_is_named_by_what_it_brings_back(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.use_camera()
    page.type_instruction("as a pencil sketch")
    page.type_instruction("make it night")
    page.it("strength").fill("40")  # of the night; the sketch was at full strength
    box = page.it("instruction")
    box.fill(UNDO_THAT)
    box.press("Enter")
    expect(page.it("applied-edit").locator("b")).to_have_text("as a pencil sketch", timeout=DEADLINE_MS)
    expect(page.it("preset-pencil")).to_have_attribute("aria-pressed", "true")
    expect(page.it("strength")).to_have_value("100")
    assert UNDO_THAT not in str(page.it("timeline").inner_text())


def test_half_of_that_is_the_edit_in_force_at_half_its_strength(base: str, open_page: Opener) -> None:
    page = open_page(base)
    page.open()
    page.use_camera()
    box = page.it("instruction")
    box.fill(HALF)
    expect(page.it("reading")).to_contain_text("nothing is in force", timeout=DEADLINE_MS)
    page.type_instruction("as a pencil sketch")
    box.fill(HALF)
    expect(page.it("reading")).to_contain_text("at a strength of 50%", timeout=DEADLINE_MS)
    box.press("Enter")
    expect(page.it("message")).to_contain_text("At a strength of 50%.", timeout=DEADLINE_MS)
    expect(page.it("strength")).to_have_value("50")
    expect(page.it("applied-edit").locator("b")).to_have_text("as a pencil sketch")
    expect(page.it("preset-pencil")).to_have_attribute("aria-pressed", "true")
    assert HALF not in str(page.it("timeline").inner_text())
    expect(page.it("message")).to_have_count(0, timeout=DEADLINE_MS)  # it does not stay over the picture
    page.type_instruction("make it night")
    expect(page.it("strength")).to_have_value("100")  # half was said of the sketch


def test_the_sheet_of_keys_opens_at_its_head(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 560})  # lower than the sheet
    page.open()
    page.it("keys").click()
    expect(page.page.get_by_role("heading", name="Keyboard")).to_be_in_viewport(ratio=1)
    page.page.keyboard.press("Enter")  # the button has the focus all the same
    expect(page.page.get_by_role("dialog")).to_have_count(0)


def test_a_tile_without_a_picture_is_its_name(base: str, open_page: Opener, shots: Path) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    first, second = SPEC.presets[:2]
    page.page.route(f"**/nano-{first.name}.*.webp", lambda route: route.abort())
    page.open("?prompt=")
    page.sees_picture()
    expect(page.it(f"preset-{second.name}").locator("img")).to_have_count(1)
    tile = page.it(f"preset-{first.name}")
    expect(tile.locator("img")).to_have_count(0)
    expect(tile).to_have_text(re.compile(first.label))
    page.page.screenshot(path=str(shots / "gallery-desktop-plain-tile.png"))


def test_nothing_is_cut_on_a_phone(base: str, open_page: Opener, shots: Path) -> None:
    page = open_page(base, **PHONE)
    page.open()
    page.use_camera()
    box, applied, width = page.it("instruction"), page.it("applied-edit"), 390

    def inside(element: Locator) -> bool:
        edges = element.bounding_box()
        return edges is not None and edges["x"] >= 0 and edges["x"] + edges["width"] <= width

    box.fill(MANY)
    parts = page.it("reading").locator("[data-part]")
    expect(parts).to_have_count(4, timeout=DEADLINE_MS)
    assert all(inside(part) for part in parts.all())
    page.page.screenshot(path=str(shots / "gallery-phone-many.png"))
    box.press("Enter")
    expect(applied.locator("b")).to_have_text(MANY, timeout=DEADLINE_MS)
    assert all(inside(part) for part in applied.locator("[data-part]").all())
    page.type_instruction(COLOURS)
    assert (applied.locator("b").bounding_box() or {})["width"] > width / 3
    assert inside(applied.locator("[data-part]"))
    expect(page.it("applied-ms")).to_be_visible(timeout=DEADLINE_MS)
    page.page.screenshot(path=str(shots / "gallery-phone-applied.png"))
    box.fill("a fire engine with seven ladders")
    box.press("Enter")
    said = page.it("message").locator("p").first
    expect(said).to_contain_text("changes nothing: the picture stays as it is", timeout=DEADLINE_MS)
    assert said.evaluate("(p) => p.scrollWidth <= p.clientWidth && p.scrollHeight <= p.clientHeight")
    page.page.screenshot(path=str(shots / "gallery-phone-notice.png"))


def test_a_long_refused_word_stays_in_its_box(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.use_camera()
    box, message = page.it("instruction"), page.it("message")
    box.fill("q" * 300)
    box.press("Enter")
    expect(message).to_contain_text("changes nothing: the picture stays as it is", timeout=DEADLINE_MS)
    assert message.evaluate("(box) => box.scrollWidth <= box.clientWidth && box.offsetWidth <= 720")
    expect(message.get_by_role("button", name="Dismiss")).to_be_in_viewport(ratio=1)
    page.it("source-sample").click()  # of words for the picture before
    expect(page.it("source-sample")).to_have_attribute("aria-pressed", "true", timeout=DEADLINE_MS)
    page.sees_picture()
    expect(message).to_have_count(0)


def test_after_a_reload_the_group_in_view_is_marked(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.use_camera()
    page.type_instruction("snow")
    expect(page.it("group-recent")).to_have_attribute("aria-current", "false")
    # What is remembered is there before the presets.
    page.page.route("**/models", lambda route: (page.page.wait_for_timeout(300), route.continue_()))
    page.open()
    expect(page.it("group-recent")).to_be_visible(timeout=DEADLINE_MS)
    expect(page.page.locator("nav.groups [aria-current=true]")).to_have_attribute(
        "data-testid", f"group-{SPEC.presets[0].group}"
    )


def test_the_region_switch_writes_into_the_sentence(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.use_camera()
    box = page.it("instruction")
    box.fill("fog")
    page.it("region-person").click(timeout=DEADLINE_MS)
    expect(box).to_have_value("fog, only on me")
    expect(page.it("reading").locator("[data-part=fog]")).to_have_attribute("data-region", "person")
    page.it("region-background").click()
    expect(box).to_have_value("fog, only in the background")
    box.press("Enter")
    applied = page.it("applied-edit")
    expect(applied.locator("b")).to_have_text("fog, only in the background", timeout=DEADLINE_MS)
    expect(page.it("region-background")).to_have_attribute("aria-pressed", "true")
    page.it("region-everywhere").click()
    expect(applied.locator("b")).to_have_text("fog", timeout=DEADLINE_MS)
    box.fill("make the background night")  # says it in its own words
    expect(page.it("reading").locator("[data-part=night]")).to_be_visible(timeout=DEADLINE_MS)
    expect(page.it("region-person")).to_have_count(0)


def test_no_verdict_stands_beside_words_it_was_not_said_of(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    box, reading, person = page.it("instruction"), page.it("reading"), page.it("region-person")
    box.fill("fog")
    expect(reading.locator("[data-part=fog]")).to_have_count(1, timeout=DEADLINE_MS)
    asked: list[Route] = []
    page.page.route("**/understand?**", lambda route: asked.append(route))
    box.fill("fog and snow")
    expect(reading).to_contain_text("Reading it", timeout=DEADLINE_MS)
    expect(reading).to_have_attribute("aria-busy", "true")
    expect(reading.locator("[data-part]")).to_have_count(0)
    expect(person).to_be_disabled()  # it keeps its place
    while not asked:
        page.page.wait_for_timeout(50)
    asked[-1].continue_()
    expect(reading.locator("[data-part]")).to_have_count(2, timeout=DEADLINE_MS)
    expect(reading).not_to_contain_text("Reading it")
    expect(person).to_be_enabled()
    page.page.unroute("**/understand?**")
    page.page.route("**/understand?**", lambda route: route.abort())
    box.fill("fog and rain")
    expect(reading).to_have_text("", timeout=DEADLINE_MS)  # nobody reads it: nothing is promised
    page.page.unroute("**/understand?**")


def test_edits_in_different_places_are_mixed_and_go_to_one(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.use_camera()
    box, mixed = page.it("instruction"), page.it("region-mixed")
    box.fill(MIXED)
    expect(mixed).to_be_visible(timeout=DEADLINE_MS)
    for region in ("everywhere", "background", "person"):
        expect(page.it(f"region-{region}")).to_have_attribute("aria-pressed", "false")
    box.press("Enter")
    expect(page.it("applied-edit").locator("b")).to_have_text(MIXED, timeout=DEADLINE_MS)
    expect(mixed).to_be_visible()
    page.it("region-background").click()
    expect(page.it("applied-edit").locator("b")).to_have_text(
        "snow, fog, only in the background", timeout=DEADLINE_MS
    )
    expect(mixed).to_have_count(0)
    expect(page.it("region-background")).to_have_attribute("aria-pressed", "true")


def test_every_edit_of_a_long_session_is_reached(base: str, open_page: Opener) -> None:
    page = open_page(base, viewport={"width": 1280, "height": 800})
    page.open()
    page.use_camera()
    strip, earlier, later = page.it("timeline"), page.it("timeline-earlier"), page.it("timeline-later")
    expect(earlier).to_have_count(0)
    labels = [preset.prompt for preset in SPEC.presets[:18]]
    for count, prompt in enumerate(labels, 1):
        page.type_instruction(prompt)
        expect(strip.locator("li")).to_have_count(count, timeout=DEADLINE_MS)
    first, last = strip.locator("li").first, strip.locator("li").last
    expect(last).to_be_in_viewport(ratio=0.9, timeout=DEADLINE_MS)
    expect(first).not_to_be_in_viewport(timeout=DEADLINE_MS)
    expect(later).to_be_disabled(timeout=DEADLINE_MS)
    earlier.click()
    expect(later).to_be_enabled(timeout=DEADLINE_MS)
    earlier.click()
    expect(first).to_be_in_viewport(ratio=0.9, timeout=DEADLINE_MS)
    expect(earlier).to_be_disabled(timeout=DEADLINE_MS)
    strip.locator("ol").hover()
    page.page.mouse.wheel(0, 4000)
    expect(last).to_be_in_viewport(ratio=0.9, timeout=DEADLINE_MS)
    assert strip.locator("button[tabindex='0']").count() == 1
    last.get_by_role("button").focus()
    page.page.keyboard.press("Home")
    expect(first.get_by_role("button")).to_be_focused()
    expect(first).to_be_in_viewport(ratio=0.9, timeout=DEADLINE_MS)
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("Enter")
    expect(page.it("applied-edit").locator("b")).to_have_text(labels[1], timeout=DEADLINE_MS)


@pytest.mark.parametrize(("name", "options"), SIZES, ids=[name for name, _ in SIZES])
def test_screenshots(
    base: str, open_page: Opener, shots: Path, name: str, options: dict[str, object]
) -> None:
    page = open_page(base, **options)
    page.open("?prompt=as%20a%20pencil%20sketch")
    page.sees_picture(20)

    def shot(what: str) -> None:
        page.wait(RESTS)
        page.page.screenshot(path=str(shots / f"gallery-{name}-{what}.png"))
        overflow = page.page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{name}, {what}: the page is {overflow} px wider than the screen"

    shot("idle")
    page.it("group-weather").click()
    shot("weather")
    box, reading = page.it("instruction"), page.it("reading")
    for what, text, said in (
        ("letters", "nig", "Outside"),
        ("parts", "slightly snow and night, only in the background", "Snow"),
        ("colours", "recolour the red shirt blue", "Recolour"),
        ("beyond", "a fire engine with seven ladders", "Outside"),
    ):
        box.fill(text)
        expect(reading).to_contain_text(said, timeout=DEADLINE_MS)  # once the typing rests
        if what == "letters":
            box.press("ArrowDown")
        shot(what)
        assert box.is_visible()
