"""Video mode of a server that has no films for now: it says why, and is there by itself once it has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chromium_start import Opener
from live_page import DEADLINE_MS
from live_server import Served
from playwright.sync_api import expect


@pytest.mark.parametrize("linked", [False, True])
def test_films_come_by_themselves(tmp_path: Path, open_page: Opener, linked: bool) -> None:
    in_the_way = tmp_path / "kept"
    in_the_way.write_text("")
    served = Served("--model", "passthrough", "--drain-s", "0", "--data-dir", str(in_the_way))
    served.start()
    try:
        page = open_page(served.base)
        if linked:
            page.open("?video=gone")
        else:
            page.open()
            page.it("source-file").click()
        problem = page.it("video-problem")
        expect(problem).to_contain_text("Films are not there yet", timeout=DEADLINE_MS)
        expect(problem).to_contain_text("cannot be written")
        in_the_way.unlink()
        if linked:  # what was linked to is looked for then
            expect(problem).to_contain_text("no such video here", timeout=DEADLINE_MS)
        else:
            expect(problem).to_be_hidden(timeout=DEADLINE_MS)
        expect(page.it("shelf")).to_be_visible()
    finally:
        assert served.stop() == 0


def test_what_the_tab_had_of_a_film_outlives_reloads_until_it_comes(
    tmp_path: Path, open_page: Opener
) -> None:
    in_the_way = tmp_path / "kept"
    in_the_way.write_text("")
    edit = {"revision": 1, "prompt": "snow", "atS": 4, "strength": 1}
    kept = {
        "relens.tab": {"version": 1, "prompt": "snow", "strength": 1, "film": "f1", "at": 12},
        "relens.tab.timeline": {"version": 1, "film": "f1", "edits": [edit]},
    }
    served = Served("--model", "passthrough", "--drain-s", "0", "--data-dir", str(in_the_way))
    served.start()
    try:
        page = open_page(served.base)
        page.page.goto(f"{served.base}/healthz", timeout=DEADLINE_MS)
        for key, value in kept.items():
            page.page.evaluate("([key, text]) => sessionStorage.setItem(key, text)", [key, json.dumps(value)])
        page.open("?video=f1")
        problem = page.it("video-problem")
        for _ in range(2):
            expect(problem).to_contain_text("Films are not there yet", timeout=DEADLINE_MS)
            page.page.reload(wait_until="load", timeout=DEADLINE_MS)
        expect(problem).to_contain_text("Films are not there yet", timeout=DEADLINE_MS)
        page.page.goto(f"{served.base}/healthz", timeout=DEADLINE_MS)
        tab, timeline = (
            json.loads(page.page.evaluate("(key) => sessionStorage.getItem(key)", key)) for key in kept
        )
        assert (tab["film"], tab["at"]) == ("f1", 12)
        assert timeline["film"] == "f1"
        assert [each["atS"] for each in timeline["edits"]] == [4]
    finally:
        assert served.stop() == 0
