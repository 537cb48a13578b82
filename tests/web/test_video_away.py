"""Video mode of a server that has no films for now: it says why, and is there by itself once it has."""

from __future__ import annotations

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
