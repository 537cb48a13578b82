"""What words are taken for while they are typed, after the edit that runs: GET /understand with nano."""

from __future__ import annotations

from pathlib import Path

from tests.server.visitor import serving


async def test_words_are_understood_after_the_edit_that_runs(tmp_path: Path) -> None:
    typed = [  # what runs, at which strength, what is typed: whether it is understood, what is said of it
        ("rainy night", 1.0, "rain off", True, "rain is gone, night stays"),
        ("rainy night", 1.0, "stop the snow", False, "there is no snow to stop: rain + night is in force"),
        ("like Starry Night", 1.0, "a bit darker", True, "darker at 40%"),
        ("night", 0.28, "even darker", True, "night at 37%"),
        ("night", 0.0, "50%", True, "at a strength of 50%: night at 42%"),
        # what was undone before is not told here: neither that there is something nor that there is nothing
        ("night", 1.0, "redo", False, '"redo" brings back what "undo that" took'),
        ("night", 1.0, "undo that", True, ""),
    ]
    async with serving(data_dir=str(tmp_path), model="nano") as served:
        for running, strength, prompt, understood, note in typed:
            asked = {"running": running, "strength": str(strength), "prompt": prompt}
            async with served.http.get(served.base + "/understand", params=asked) as reply:
                reading = await reply.json()
            assert (reading["understood"], reading["note"]) == (understood, note), prompt
