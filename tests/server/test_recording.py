"""Sessions are written down as they are seen: what took force when, as a timeline that can be rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from visitor import serving

from gpu.film.timeline import read_timeline
from gpu.types import Edit
from server.recording import MOST_ASKED, Recording


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *words: self.said.append((name, *words))


def test_edits_are_written_when_they_take_force_counted_from_the_first_picture() -> None:
    log = Log()
    recording = Recording(log, "s")  # type: ignore[arg-type]
    recording.begin("nano")
    recording.asked(Edit(0, "night"))
    recording.applied(0, 9000)
    recording.shown(12000)
    recording.asked(Edit(1, "undo that"))
    recording.asked(Edit(1, "sepia", 0.5, 100, 7))  # what it was resolved to
    recording.asked(Edit(2, "never seen"))
    recording.asked(Edit(3, "snow"))
    recording.applied(1, 99000)
    recording.applied(-1, 100000)
    recording.applied(3, 189000)
    recording.end("deleted", (640, 480))
    recording.end("again")
    assert log.said == [
        ("begin", "s", "nano"),
        ("edit", "s", 1, 0, "night", 1.0, 400, 0),
        ("edit", "s", 2, 90000, "sepia", 0.5, 100, 7),
        ("edit", "s", 3, 180000, "snow", 1.0, 400, 0),
        ("size", "s", 640, 480),
        ("end", "s", "deleted"),
    ]


def test_without_a_log_nothing_is_said_and_nothing_grows() -> None:
    recording = Recording(None, "s")
    recording.begin("nano")
    for revision in range(10 * MOST_ASKED):
        recording.asked(Edit(revision, "x"))
    assert len(recording._asked) == MOST_ASKED
    recording.applied(10 * MOST_ASKED - 1, 0)
    recording.end("deleted")


async def test_a_live_sessions_timeline_can_be_fetched_while_it_runs_and_afterwards(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path), model="nano") as served:
        visitor = await served.visitor().connect("?prompt=sepia")
        await visitor.hears("applied", revision=0)
        visitor.edit(1, "make it night", strength=0.5, transitionMs=0)
        await visitor.hears("applied", revision=1)
        visitor.edit(2, "undo that")
        await visitor.hears("applied", revision=2)
        address = f"{visitor.location}/timeline"
        for ended in (False, True):
            if ended:
                await visitor.leave()
            async with served.http.get(address) as reply:
                assert reply.status == 200, await reply.text()
                timeline = read_timeline(await reply.read())
            assert timeline.model == "nano"
            assert [(e.prompt, e.strength) for e in timeline.edits] == [
                ("sepia", 1.0), ("make it night", 0.5), ("sepia", 1.0),
            ]  # fmt: skip
            assert timeline.edits[0].at == 0
            assert timeline.edits[0].at < timeline.edits[1].at < timeline.edits[2].at
        async with served.http.get(served.base + "/sessions/nothing/timeline") as reply:
            assert reply.status == 404
